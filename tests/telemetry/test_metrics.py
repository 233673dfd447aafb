"""What is counted and measured: once for each fact, under labels that the table knows, by Prometheus and by OTLP."""

from __future__ import annotations

import re
import socket
import urllib.request
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig

from tasker_temporal import (
    Limits,
    PermanentError,
    RequestRefused,
    Retry,
    RetryableError,
    StepContext,
    TaskerPlugin,
    TaskFailed,
    TaskTemplate,
    start_task,
)
from tasker_temporal.core.events import Event, Payload
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.dev import DevServer
from tasker_temporal.requests import KINDS
from tasker_temporal.sinks import Sink, TaskEvent
from tasker_temporal.telemetry import Telemetry, deliveries
from tasker_temporal.telemetry.calls import REQUESTS
from tasker_temporal.telemetry.catalogue import METRICS, STEPS_NAMED, WAITS
from tasker_temporal.telemetry.environment import metrics_config
from tasker_temporal.telemetry.metrics import step_label
from tasker_temporal.telemetry.waits import Waits
from tests.core.driving import Drive
from tests.core.scenes import SCENES
from tests.patience import until_history
from tests.server.conftest import worker
from tests.shell.kit import Gate
from tests.telemetry.receiver import Receiver

SOON = Retry(attempts=2, base_delay=timedelta(milliseconds=1), jitter="none")

Samples = dict[str, dict[str, float]]
"""For each metric its values, by the values of its labels in the table's order, with `/` between them."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def quiet(variables: dict[str, str]) -> Runtime:
    """A runtime that exports as the variables say, and is silent when the receiver is gone before it."""
    return Runtime(telemetry=TelemetryConfig(logging=None, metrics=metrics_config(variables)))


class Scraped:
    """A runtime whose metrics are served to Prometheus."""

    def __init__(self) -> None:
        self.port = free_port()
        self.runtime: Runtime = quiet(
            {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(self.port)}
        )

    def text(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            text: str = answer.read().decode()
            return text

    def all(self) -> Samples:
        """Counters, and the counts of histograms."""
        found: Samples = {}
        for line in self.text().splitlines():
            matched = re.fullmatch(r"(tasker_\w+?)(?:_total|_seconds_count)\{(.*)\} (\S+)", line)
            if matched is not None:
                labels = dict(re.findall(r'(\w+)="([^"]*)"', matched[2]))
                labels.pop("service_name", None)
                name = matched[1]
                assert set(labels) == set(METRICS[name].labels), name
                key = "/".join(labels[label] for label in METRICS[name].labels)
                found.setdefault(name, {})[key] = float(matched[3])
        return found

    def samples(self) -> Samples:
        """Those that anything was counted in."""
        counted = {name: {key: value for key, value in values.items() if value} for name, values in self.all().items()}
        return {name: values for name, values in counted.items() if values}


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


@pytest.fixture
def measured(server: DevServer, scraped: Scraped) -> Callable[..., Any]:
    """A client on that runtime, whose tasks are listened to."""

    async def connect(*templates: TaskTemplate[Any]) -> Client:
        plugin = TaskerPlugin(*templates, telemetry=Telemetry())
        return await server.client(plugins=[plugin], runtime=scraped.runtime)

    return connect


def busy(gate: Gate) -> TaskTemplate[None]:
    """A task in which much happens, in few runs."""
    template = TaskTemplate[None]("busy.task", on_error="hold", limits=Limits(drain_events=30))

    looked = template.custom_event("shop.looked", int, description="Somebody looked.", category="telemetry")
    bought = template.custom_event("shop.bought", int, description="Somebody bought.")

    async def flaky(ctx: StepContext) -> None:
        ctx.publish(looked, ctx.attempt)
        ctx.publish(bought, ctx.attempt)
        if ctx.attempt == 1:
            raise RetryableError("once more")

    async def hopeless() -> None:
        raise RuntimeError("no")

    async def broken() -> None:
        raise PermanentError("never")

    first = template.add_step("flaky", flaky, retry=SOON)
    wait = template.add_step("wait", gate.passage, after=[first])
    template.add_step("hopeless", hopeless, retry=SOON, after=[wait])
    template.add_step("broken", broken, after=[wait])
    return template


BUSY: Samples = {
    "tasker_task_transitions": {
        "busy.task/none/pending": 1,
        "busy.task/pending/in_progress": 1,
        "busy.task/in_progress/paused": 1,
        "busy.task/paused/in_progress": 1,
        "busy.task/in_progress/error": 1,
        "busy.task/error/resolved_manually": 1,
    },
    "tasker_task_duration": {"busy.task/resolved_manually": 1},
    "tasker_step_transitions": {
        "busy.task/none/pending": 4,
        "busy.task/pending/in_progress": 6,
        "busy.task/in_progress/complete": 2,
        "busy.task/in_progress/error": 4,
        "busy.task/error/pending": 2,
    },
    "tasker_step_duration": {
        "busy.task/flaky/complete": 1,
        "busy.task/wait/complete": 1,
        "busy.task/hopeless/error": 1,
        "busy.task/broken/error": 1,
    },
    "tasker_attempt_duration": {
        "busy.task/flaky/complete": 1,
        "busy.task/flaky/error": 1,
        "busy.task/wait/complete": 1,
        "busy.task/hopeless/error": 2,
        "busy.task/broken/error": 1,
    },
    "tasker_events_published": {"busy.task/shop.looked": 2},
    "tasker_retries_used_up": {"busy.task/hopeless": 1},
    "tasker_steps_failed_permanently": {"busy.task/broken/permanent": 1},
    "tasker_requests": {
        "busy.task/pause/applied": 1,
        "busy.task/pause/refused": 1,
        "busy.task/resume/applied": 1,
        "busy.task/resolve/applied": 1,
    },
    "tasker_waits_begun": {
        "busy.task/execution": 6,
        "busy.task/backoff": 2,
        "busy.task/pause": 1,
        "busy.task/hold": 1,
    },
    "tasker_wait_duration": {
        "busy.task/execution": 6,
        "busy.task/backoff": 2,
        "busy.task/pause": 1,
        "busy.task/hold": 1,
    },
}


async def test_each_fact_is_counted_once_with_and_without_the_cache(
    measured: Callable[..., Any], scraped: Scraped, cache: int
) -> None:
    gate = Gate()
    template = busy(gate)
    client = await measured(template)
    ann: Any = {"actor": "ann", "reason": "to see what happens"}
    async with worker(client, max_cached_workflows=cache) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        await gate.reached.wait()
        await task.pause(**ann)
        with pytest.raises(RequestRefused):
            await task.pause(**ann)
        await task.resume(**ann)
        gate.open()
        await task.settled()
        await task.resolve(**ann)
        await task.result()
    assert scraped.samples() == BUSY


async def test_what_can_be_counted_stands_at_nothing_before_it_is(
    measured: Callable[..., Any], scraped: Scraped
) -> None:
    """An alert on the increase of a counter that begins at 1 would miss the first."""
    template = busy(Gate())
    async with worker(await measured(template)):
        found = scraped.all()
    counters = {name for name, metric in METRICS.items() if metric.kind == "counter"}
    assert counters - set(found) == {"tasker_requests", "tasker_steps_failed_permanently", "tasker_sink_deliveries"}
    assert not any(value for values in found.values() for value in values.values())
    for name, values in found.items():
        assert set(BUSY[name]) <= set(values)
    assert set(found["tasker_retries_used_up"]) == {f"busy.task/{step.name}" for step in template.compiled.steps}
    assert set(found["tasker_waits_begun"]) == {f"busy.task/{kind}" for kind in WAITS}


async def test_a_wait_for_a_handler_is_seen_while_it_lasts(
    measured: Callable[..., Any], server: DevServer, scraped: Scraped
) -> None:
    async def here() -> None: ...

    old, new = TaskTemplate[None]("moved.task"), TaskTemplate[None]("moved.task")
    old.add_step("gone", here)
    new.add_step("other", here)
    client = await measured(new)
    async with worker(client) as working:
        starter = await server.client(plugins=[TaskerPlugin(old)])
        task = await start_task(starter, old, None, task_queue=working.task_queue)
        await until_history(task, "TIMER_STARTED")
        await task.report()
        samples = scraped.samples()
        assert samples["tasker_waits_begun"] == {"moved.task/execution": 1, "moved.task/handler": 1}
        assert samples["tasker_wait_duration"] == {"moved.task/execution": 1}
        await task.workflow.terminate()


async def test_a_sinks_deliveries_are_measured_if_somebody_listens(
    measured: Callable[..., Any], server: DevServer, scraped: Scraped
) -> None:
    @activity.defn
    async def deliver() -> None:
        deliveries.delivered("shop.order", "warehouse", 3, 0.25)
        deliveries.failed("shop.order", "warehouse", 1)

    await deliver()  # Nobody listens here.
    client = await measured()
    async with worker(client, activities=[deliver]) as working:
        await client.execute_activity(
            deliver, id="delivery", task_queue=working.task_queue, start_to_close_timeout=timedelta(seconds=10)
        )
    samples = scraped.samples()
    assert samples["tasker_sink_deliveries"] == {"shop.order/warehouse/delivered": 3, "shop.order/warehouse/failed": 1}
    assert samples["tasker_sink_lag"] == {"shop.order/warehouse": 1}


async def test_a_real_sinks_lag_and_failures_are_measured(server: DevServer, scraped: Scraped) -> None:
    failures = [ConnectionError("down")]

    async def warehouse(events: Sequence[TaskEvent]) -> None:
        if failures:
            raise failures.pop()

    async def work() -> None: ...

    template = TaskTemplate[None]("sunk.task", sinks=[Sink(name="warehouse", events=("task.completed",))])
    template.add_step("work", work)
    plugin = TaskerPlugin(template, sinks={"warehouse": warehouse}, telemetry=Telemetry())
    client = await server.client(plugins=[plugin], runtime=scraped.runtime)
    async with worker(client) as working:
        await (await start_task(client, template, None, task_queue=working.task_queue)).result()
    samples = scraped.samples()
    assert samples["tasker_sink_deliveries"] == {"sunk.task/warehouse/delivered": 1, "sunk.task/warehouse/failed": 1}
    assert samples["tasker_sink_lag"] == {"sunk.task/warehouse": 1}


def test_every_wait_of_the_table_begins_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: set[str | None] = set()
    waits: dict[int, Waits] = {}
    hear = Drive._hear

    def listening(drive: Drive, event: Event[Payload]) -> None:
        begun.add(waits.setdefault(id(drive), Waits({})).hear(event, drive.task)[1])
        hear(drive, event)

    monkeypatch.setattr(Drive, "_hear", listening)
    drives = [scene.driven() for scene in SCENES.values()]
    assert len(drives) == len(SCENES)
    # No step of the scenes waits for something from outside.
    assert begun - {None} | {"event"} == set(WAITS)


def test_every_metric_of_the_table_is_shown_to_be_recorded() -> None:
    sinks = {"tasker_sink_deliveries", "tasker_sink_lag"}
    assert set(BUSY) | sinks == set(METRICS)


async def test_the_same_metrics_go_to_a_collector(server: DevServer, receiver: Receiver) -> None:
    gate = Gate()
    gate.open()
    template = busy(gate)
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
    plugin = TaskerPlugin(template, telemetry=Telemetry())
    client = await server.client(plugins=[plugin], runtime=quiet(variables))
    async with worker(client) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        await task.settled()
        await task.resolve(actor="ann", reason="done")
        await task.result()
        over = (("state", "resolved_manually"), ("template", "busy.task"))
        receiver.until(lambda: over in receiver.metrics.get("tasker_task_duration", {}), "the task's duration")
        receiver.until(lambda: {"tasker_step_duration", "tasker_waits_begun"} <= set(receiver.metrics), "the others")
    assert receiver.metrics["tasker_task_duration"][over] == 1
    receiver.until(lambda: any(name.startswith("temporal_") for name in receiver.metrics), "the SDK's own metrics")


def test_a_label_has_few_values_whatever_the_template() -> None:
    def of(count: int) -> Template:
        return Template(name="wide", steps=tuple(StepTemplate(name=f"s{n}") for n in range(count)))

    assert step_label(of(STEPS_NAMED), "s1") == "s1"
    assert step_label(of(STEPS_NAMED + 1), "s1") == "*"
    ids = {"task_id", "run_id", "actor", "error", "trace_id", "execution", "attempt"}
    assert frozenset(KINDS) == REQUESTS
    assert not ids & {label for metric in METRICS.values() for label in metric.labels}


async def test_signals_of_any_name_share_few_labels(measured: Callable[..., Any], scraped: Scraped) -> None:
    gate = Gate()
    template = TaskTemplate[None]("signalled.task")
    template.add_step("wait", gate.passage)
    client = await measured(template)
    async with worker(client) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        await gate.reached.wait()
        for name in ("transition", "a", "b"):
            await task.workflow.signal(name, {"request": "pause"})
        gate.open()
        await task.result()
    counted = scraped.samples()["tasker_requests"]
    assert counted == {"signalled.task/transition/applied": 1, "signalled.task/unknown/applied": 2}


async def test_a_failed_task_is_measured_as_such(measured: Callable[..., Any], scraped: Scraped) -> None:
    async def fail() -> None:
        raise PermanentError("no")

    template = TaskTemplate[None]("fails.task")
    template.add_step("fail", fail)
    client = await measured(template)
    async with worker(client) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
    assert scraped.samples()["tasker_task_duration"] == {"fails.task/error": 1}
