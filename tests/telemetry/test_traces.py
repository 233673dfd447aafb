"""A task is one trace: every span once, in its place, with the time that it really took."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Replayer, Worker

from tasker_temporal import (
    Limits,
    RequestRefused,
    Retry,
    RetryableError,
    StepContext,
    TaskerPlugin,
    TaskFailed,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import TaskCancelled
from tasker_temporal.reader import Reader
from tasker_temporal.telemetry import Telemetry
from tests.patience import until_history
from tests.server.conftest import histories, replayed, worker
from tests.shell.kit import Gate
from tests.telemetry.picture import named, one, picture
from tests.telemetry.receiver import Receiver

Connected = Callable[..., Any]
SOON = Retry(attempts=2, base_delay=timedelta(milliseconds=10), jitter="none")


@pytest.fixture
def mine(provider: TracerProvider) -> Tracer:
    """The user's own tracer."""
    return provider.get_tracer("mine")


@pytest.fixture
def listened(server: DevServer, provider: TracerProvider) -> Connected:
    """A client whose tasks are listened to."""

    async def connect(*templates: TaskTemplate[Any]) -> Client:
        return await server.client(plugins=[TaskerPlugin(*templates, telemetry=Telemetry(provider))])

    return connect


def shop(mine: Tracer) -> TaskTemplate[str]:
    """Its first step is tried twice, the second is a plain function in a thread."""
    template = TaskTemplate("shop.order", context=str)

    @template.step(retry=SOON)
    async def charge(order: str, ctx: StepContext) -> int:
        with mine.start_as_current_span("bank"):
            if ctx.attempt == 1:
                raise RetryableError("the bank is closed")
        return 1

    @template.step
    def ship(paid: int = result_of(charge)) -> int:
        with mine.start_as_current_span("lorry"):
            return paid

    return template


ORDER = """\
customer
  start shop.order
    task shop.order (complete)
      step shop.order.charge (complete)
        attempt shop.order.charge (1, RetryableError, ERROR)
          bank (ERROR)
        attempt shop.order.charge (2)
          bank
      step shop.order.ship (complete)
        attempt shop.order.ship (1)
          lorry"""


async def test_a_task_is_one_tree_with_and_without_the_cache(
    receiver: Receiver, provider: TracerProvider, mine: Tracer, listened: Connected, cache: int
) -> None:
    template = shop(mine)
    client = await listened(template)
    async with worker(client, max_cached_workflows=cache) as working:
        with mine.start_as_current_span("customer"):
            task = await start_task(client, template, "x", task_queue=working.task_queue)
        await task.result()
    provider.force_flush()
    assert picture(receiver.spans) == ORDER
    assert len({span.trace_id for span in receiver.spans}) == 1
    await replayed(task, template)


async def test_spans_last_as_long_as_what_they_tell_of(
    receiver: Receiver, provider: TracerProvider, mine: Tracer, listened: Connected
) -> None:
    template = shop(mine)
    client = await listened(template)
    async with worker(client) as working:
        await (await start_task(client, template, "x", task_queue=working.task_queue)).result()
    provider.force_flush()
    task, step = one(receiver.spans, "task shop.order"), one(receiver.spans, "step shop.order.charge")
    first, second = named(receiver.spans, "attempt shop.order.charge")
    backoff = 40_000_000  # 10 ms, doubled twice, as nanoseconds
    assert task.start_time_unix_nano <= step.start_time_unix_nano <= first.start_time_unix_nano
    assert second.start_time_unix_nano - first.end_time_unix_nano >= backoff
    assert second.end_time_unix_nano <= step.end_time_unix_nano <= task.end_time_unix_nano


async def test_a_replay_tells_nothing(
    receiver: Receiver, provider: TracerProvider, mine: Tracer, listened: Connected
) -> None:
    template, telemetry = shop(mine), Telemetry(provider)
    client = await listened(template)
    async with worker(client) as working:
        task = await start_task(client, template, "x", task_queue=working.task_queue)
        await task.result()
    provider.force_flush()
    before = receiver.names()
    # The plugin does not even listen there; an interceptor that does hears nothing new.
    listening = telemetry.of_worker(None, {template.name: template.compiled}, {}, {template.name: frozenset()})
    for history in await histories(task):
        await Replayer(workflows=[], plugins=[TaskerPlugin(template)], interceptors=[listening]).replay_workflow(
            history
        )
    provider.force_flush()
    assert receiver.names() == before


LONG = """\
start long.task
  task long.task (complete)
    step long.task.s0 (complete)
      attempt long.task.s0 (1, RetryableError, ERROR)
      attempt long.task.s0 (2)
    step long.task.s1 (complete)
      attempt long.task.s1 (1, RetryableError, ERROR)
      attempt long.task.s1 (2)
    step long.task.s2 (complete)
      attempt long.task.s2 (1, RetryableError, ERROR)
      attempt long.task.s2 (2)
    step long.task.s3 (complete)
      attempt long.task.s3 (1, RetryableError, ERROR)
      attempt long.task.s3 (2)"""


async def test_a_task_of_many_runs_is_one_tree(
    receiver: Receiver, provider: TracerProvider, listened: Connected, cache: int
) -> None:
    template = TaskTemplate("long.task", limits=Limits(drain_events=10))

    async def work(ctx: StepContext) -> None:
        if ctx.attempt == 1:
            raise RetryableError("not yet")

    after: list[Any] = []
    for number in range(4):
        after = [template.add_step(f"s{number}", work, after=after, retry=SOON)]
    client = await listened(template)
    async with worker(client, max_cached_workflows=cache) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        await task.result()
    provider.force_flush()
    assert len(await Reader(client, task.id).runs()) > 2
    assert picture(receiver.spans) == LONG
    top = one(receiver.spans, "task long.task")
    assert top.start_time_unix_nano <= min(s.start_time_unix_nano for s in named(receiver.spans, "step long.task.s0"))


STARTED = """\
customer
  start sad.task
    task sad.task (error, TaskFailed, ERROR)
      step sad.task.weep (error, RuntimeError, ERROR)
        attempt sad.task.weep (1, RuntimeError, ERROR)
    task sad.task (complete, -> ask retry)
      step sad.task.weep (complete)
        attempt sad.task.weep (1)"""


async def test_a_reopened_task_goes_on_in_its_trace_linked_to_who_asked(
    receiver: Receiver, provider: TracerProvider, mine: Tracer, listened: Connected
) -> None:
    template, wells = TaskTemplate[None]("sad.task"), [True]

    async def weep() -> None:
        if wells:
            wells.pop()
            raise RuntimeError("secret")

    template.add_step("weep", weep, retry=Retry(attempts=1))
    client = await listened(template)
    async with worker(client) as working:
        with mine.start_as_current_span("customer"):
            task = await start_task(client, template, None, task_queue=working.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        with mine.start_as_current_span("operator"):
            await task.retry(actor="ann", reason="she has cried enough")
        await task.result()
    provider.force_flush()
    spans = receiver.spans
    [customer] = {span.trace_id for span in spans if span.name == "customer"}
    mended = named(spans, "task sad.task")[-1]
    starts = {s.span_id: s for s in named(spans, "start sad.task")}
    assert [link.span_id in starts and starts[link.span_id].trace_id != customer for link in mended.links] == [True]
    shown = picture([span for span in spans if span.trace_id == customer])
    assert shown == STARTED.replace("ask retry", "unknown")


async def test_a_task_that_no_span_led_to_has_a_trace_of_its_own_also_when_reopened(
    receiver: Receiver, provider: TracerProvider, listened: Connected, server: DevServer
) -> None:
    template, wells = TaskTemplate[None]("lone.task"), [True]

    async def weep() -> None:
        if wells:
            wells.pop()
            raise RuntimeError("no")

    template.add_step("weep", weep, retry=Retry(attempts=1))
    silent = await server.client(plugins=[TaskerPlugin(template)])
    async with worker(await listened(template)) as working:
        task = await start_task(silent, template, None, task_queue=working.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        await task.retry(actor="ann", reason="again")
        await task.result()
    provider.force_flush()
    first, second = named(receiver.spans, "task lone.task")
    assert first.trace_id == second.trace_id
    assert first.span_id != second.span_id
    assert first.parent_span_id == second.parent_span_id == b""


async def test_requests_hang_in_the_callers_trace_and_are_linked_to_the_task(
    receiver: Receiver, provider: TracerProvider, mine: Tracer, listened: Connected, cache: int
) -> None:
    gate = Gate()
    template = TaskTemplate[None]("asked.task")
    template.add_step("wait", gate.passage)
    client = await listened(template)
    async with worker(client, max_cached_workflows=cache) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        await gate.reached.wait()
        with mine.start_as_current_span("operator"):
            await task.pause(actor="ann", reason="wait")
            with pytest.raises(RequestRefused):
                await task.pause(actor="ann", reason="wait again")
            asked = {"request": "resume", "actor": "ann", "reason": "go on"}
            await task.workflow.signal("transition", asked)
        await until_history(task, "WORKFLOW_EXECUTION_SIGNALED")
        gate.open()
        await task.result()
    provider.force_flush()
    spans = receiver.spans
    operator, top = one(spans, "operator"), one(spans, "task asked.task")
    assert picture(span for span in spans if span.trace_id == operator.trace_id).splitlines() == [
        "operator",
        "  ask pause",
        "    request pause (-> unknown)",
        "  ask pause",
        "    request pause (RequestRefused, -> unknown, ERROR)",
        "  request transition (-> unknown)",
    ]
    links = [link for span in spans for link in span.links]
    assert {(link.trace_id, link.span_id) for link in links} == {(top.trace_id, top.span_id)}


async def test_every_end_of_a_step_is_told(receiver: Receiver, provider: TracerProvider, listened: Connected) -> None:
    gate = Gate()
    template = TaskTemplate[None]("ends.task", cancel_grace=timedelta(0))

    async def nothing() -> None: ...

    wait = template.add_step("wait", gate.passage)
    template.add_step("skipped", nothing, after=[wait])
    template.add_step("resolved", nothing, after=[wait])
    template.add_step("given", nothing, after=[wait])
    template.add_step("never", nothing, after=[wait])
    client = await listened(template)
    async with worker(client) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        await gate.reached.wait()
        said = {"actor": "ann", "reason": "why not"}
        await task.skip("skipped", actor="ann", reason="why not")
        await task.resolve_step("resolved", actor="ann", reason="why not")
        await task.complete_step("given", None, actor="ann", reason="why not")
        await task.cancel(**said)
        with pytest.raises(TaskCancelled):
            await task.result()
    provider.force_flush()
    top = one(receiver.spans, "task ends.task")
    told = [span for span in receiver.spans if span is top or span.parent_span_id == top.span_id]
    assert sorted(line.strip() for line in picture(told).splitlines()) == [
        "step ends.task.given (complete)",
        "step ends.task.never (cancelled)",
        "step ends.task.resolved (resolved_manually)",
        "step ends.task.skipped (skipped)",
        "step ends.task.wait (cancelled)",
        "task ends.task (cancelled)",
    ]


async def test_a_step_that_begins_anew_before_it_was_over_leaves_no_attempt_without_a_parent(
    receiver: Receiver, provider: TracerProvider, listened: Connected
) -> None:
    template = TaskTemplate[None]("anew.task")

    async def stubborn(ctx: StepContext) -> None:
        if ctx.execution == 1:
            raise RetryableError("later", retry_after=3600)

    template.add_step("stubborn", stubborn, retry=Retry(attempts=2, max_retry_after=timedelta(hours=2)))
    client = await listened(template)
    async with worker(client) as working:
        task = await start_task(client, template, None, task_queue=working.task_queue)
        await until_history(task, "TIMER_STARTED")
        await task.retry_step("stubborn", fresh=True, actor="ann", reason="now")
        await task.result()
    provider.force_flush()
    [trace_id] = {span.trace_id for span in named(receiver.spans, "task anew.task")}
    assert picture(span for span in receiver.spans if span.trace_id == trace_id).splitlines()[1:] == [
        "  task anew.task (complete)",
        "    step anew.task.stubborn (pending)",
        "      attempt anew.task.stubborn (1, RetryableError, ERROR)",
        "    step anew.task.stubborn (complete)",
        "      attempt anew.task.stubborn (1)",
    ]


async def test_what_was_not_sampled_by_the_starter_is_not_told(
    receiver: Receiver, provider: TracerProvider, mine: Tracer, listened: Connected
) -> None:
    template = shop(mine)
    client = await listened(template)
    unsampled = trace.SpanContext(7, 7, is_remote=True, trace_flags=trace.TraceFlags(0))
    async with worker(client) as working:
        with trace.use_span(trace.NonRecordingSpan(unsampled)):
            task = await start_task(client, template, "x", task_queue=working.task_queue)
        await task.result()
    provider.force_flush()
    assert receiver.names() == []


async def test_the_baggage_of_the_starter_reaches_the_handler(provider: TracerProvider, listened: Connected) -> None:
    from opentelemetry import baggage, context

    template = TaskTemplate[None]("carries.task")

    async def look() -> Any:
        return baggage.get_baggage("tenant")

    step = template.add_step("look", look)
    client = await listened(template)
    async with worker(client) as working:
        token = context.attach(baggage.set_baggage("tenant", "blue"))
        task = await start_task(client, template, None, task_queue=working.task_queue)
        context.detach(token)
        await task.result()
        assert await task.result_of(step) == "blue"


async def test_a_task_that_a_handler_starts_hangs_in_its_attempt_with_the_starters_baggage(
    receiver: Receiver, provider: TracerProvider, mine: Tracer, listened: Connected
) -> None:
    from opentelemetry import baggage, context

    inner, outer = TaskTemplate[None]("carries.inner"), TaskTemplate[None]("carries.outer")
    client: Client
    working: Worker

    async def look() -> Any:
        return baggage.get_baggage("tenant")

    looked = inner.add_step("look", look)

    async def order() -> Any:
        task = await start_task(client, inner, None, task_queue=working.task_queue)
        await task.result()
        return await task.result_of(looked)

    ordered = outer.add_step("order", order)
    client = await listened(inner, outer)
    async with worker(client) as working:
        token = context.attach(baggage.set_baggage("tenant", "blue"))
        with mine.start_as_current_span("customer"):
            task = await start_task(client, outer, None, task_queue=working.task_queue)
        context.detach(token)
        await task.result()
        assert await task.result_of(ordered) == "blue"
    provider.force_flush()
    assert (
        picture(receiver.spans)
        == """\
customer
  start carries.outer
    task carries.outer (complete)
      step carries.outer.order (complete)
        attempt carries.outer.order (1)
          start carries.inner
            task carries.inner (complete)
              step carries.inner.look (complete)
                attempt carries.inner.look (1)"""
    )


async def test_telemetry_that_fails_harms_no_task(
    server: DevServer, mine: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

    class Broken(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            if span.name.startswith(("step", "task", "request")):
                raise RuntimeError("the exporter is broken")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    template = shop(mine)
    client = await server.client(plugins=[TaskerPlugin(template, telemetry=Telemetry(provider))])
    async with worker(client) as working:
        task = await start_task(client, template, "x", task_queue=working.task_queue)
        await task.result()
    await replayed(task, template)
    assert "telemetry failed, the task goes on" in caplog.text


@activity.defn
async def greet(name: str) -> str:
    return f"hello {name}"


@workflow.defn(sandboxed=False)
class Greeting:
    """A workflow of the user's own. It may even have a method that a task's workflow has, too."""

    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(greet, name, start_to_close_timeout=timedelta(seconds=10))

    def listen(self, ear: object) -> None:
        raise AssertionError("nobody listens to it")


async def test_workflows_that_are_no_tasks_are_left_alone(
    receiver: Receiver, server: DevServer, provider: TracerProvider, mine: Tracer
) -> None:
    client = await server.client(plugins=[TaskerPlugin(shop(mine), telemetry=Telemetry(provider))])
    queue = f"queue-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, workflows=[Greeting], activities=[greet]):
        assert await client.execute_workflow(Greeting.run, "bob", id=queue, task_queue=queue) == "hello bob"
    provider.force_flush()
    assert receiver.names() == []
