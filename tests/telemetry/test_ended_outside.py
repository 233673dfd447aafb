"""What a terminated task cannot tell, the sweeper tells: its spans, with the ids that they would have had, once."""

from __future__ import annotations

import logging
import uuid

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec

from tasker_temporal import Limits, TaskerPlugin, TaskHandle, TaskTemplate, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.sinks import Sink
from tasker_temporal.sinks.sweep import SWEEP
from tasker_temporal.telemetry import Telemetry
from tests.patience import until_visible
from tests.server.conftest import histories, worker
from tests.shell.kit import Gate
from tests.sinks.kit import Kept
from tests.telemetry.picture import named, one, picture
from tests.telemetry.receiver import Receiver
from tests.telemetry.test_metrics import Scraped


async def nothing() -> None: ...


def stuck(gate: Gate, *sinks: Sink) -> TaskTemplate[object]:
    """Its tasks continue as new, and then wait for ever."""
    template = TaskTemplate[object](
        f"ended.stuck_{uuid.uuid4().hex}", sinks=sinks, limits=Limits(drain_events=14), version="2.0.0"
    )
    before = template.add_step("step0", nothing)
    for number in (1, 2):
        before = template.add_step(f"step{number}", nothing, after=[before])
    template.add_step("waits", gate.passage, after=[before])
    return template


@pytest.mark.parametrize("sinks", [(), (Sink(name="all"),)], ids=["without sinks", "with a sink"])
async def test_a_terminated_tasks_tree_is_whole(
    server: DevServer,
    receiver: Receiver,
    provider: TracerProvider,
    caplog: pytest.LogCaptureFixture,
    sinks: tuple[Sink],
) -> None:
    scraped, gate = Scraped(), Gate()
    template = stuck(gate, *sinks)
    plugin = TaskerPlugin(template, telemetry=Telemetry(provider), sinks={"all": Kept()})
    client = await server.client(plugins=[plugin], runtime=scraped.runtime)
    async with worker(client) as running:
        with provider.get_tracer("mine").start_as_current_span("customer"):
            task = await start_task(client, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await task.audit()
        await task.workflow.terminate(reason="out of patience")
        with caplog.at_level(logging.INFO, "tasker_temporal.task"):
            await swept_again_and_again(client, task, running.task_queue)
    provider.force_flush()
    assert len(await histories(task)) > 1
    task_span, step = one(receiver.spans, f"task {template.name}"), one(receiver.spans, f"step {template.name}.waits")
    assert picture([span for span in receiver.spans if span.name.startswith(("customer", "start", "task"))]) == (
        f"customer\n  start {template.name}\n    task {template.name} (terminated, terminated, ERROR)"
    )
    assert step.parent_span_id == task_span.span_id
    assert {span.parent_span_id for span in named(receiver.spans, f"step {template.name}.step0")} == {task_span.span_id}
    assert task_span.start_time_unix_nano < step.start_time_unix_nano < step.end_time_unix_nano
    assert task_span.end_time_unix_nano == step.end_time_unix_nano
    samples = scraped.samples()
    assert samples["tasker_task_duration"] == {f"{template.name}/terminated": 1}
    assert samples["tasker_step_duration"][f"{template.name}/waits/terminated"] == 1
    assert sum(samples["tasker_waits_begun"].values()) == sum(samples["tasker_wait_duration"].values())
    [line] = [record for record in caplog.records if getattr(record, "event", "") == "task.terminated"]
    assert (line.levelname, line.getMessage()) == ("WARNING", f"task {task.id}: task.terminated")
    assert line.trace_id == task_span.trace_id.hex()  # type: ignore[attr-defined]


async def swept_again_and_again(client: Client, task: TaskHandle, queue: str) -> None:
    """By two sweeps of one schedule, and two by hand, as soon as visibility knows of the end."""
    await until_visible(client, f"WorkflowId = '{task.id}' AND ExecutionStatus = 'Terminated'")
    id = f"sweep-{uuid.uuid4()}"
    sweep = ScheduleActionStartWorkflow(SWEEP, id=id, task_queue=queue)
    schedule = await client.create_schedule(id, Schedule(action=sweep, spec=ScheduleSpec()))
    for count in (1, 2):
        await schedule.trigger()
        while (
            len((described := await schedule.describe()).info.recent_actions) < count or described.info.running_actions
        ):
            pass
    await schedule.delete()
    for _ in range(2):
        await client.execute_workflow(SWEEP, id=f"sweep-{uuid.uuid4()}", task_queue=queue)
