"""Rows reach their sinks: all of them, in order, with one activity, and nothing is paid without sinks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tasker_temporal import (
    Limits,
    Retry,
    RetryableError,
    TaskerPlugin,
    TaskFailed,
    TaskTemplate,
    TemplateError,
    start_task,
)
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import UnknownSink, UnknownTemplate
from tasker_temporal.sinks import Sink, StepMoved, TaskEvent, TaskMoved
from tests.server.conftest import histories, replayed, worker
from tests.shell.kit import Gate, kinds, lasting
from tests.sinks.kit import AUDIT, Kept, connect, once, rows_in, told_all


async def nothing() -> None: ...


def small(*sinks: Sink) -> TaskTemplate[object]:
    template = TaskTemplate[object]("sinks.small", sinks=sinks)
    first = template.add_step("first", nothing)
    template.add_step("second", nothing, after=[first])
    return template


@pytest.fixture(params=[1000, 0], ids=["cached", "uncached"])
def cache(request: pytest.FixtureRequest) -> int:
    size: int = request.param
    return size


async def test_a_sink_gets_every_row_in_order_and_a_task_pays_one_activity(server: DevServer, cache: int) -> None:
    kept, template = Kept(), small(AUDIT)
    connected = await connect(server, template, audit=kept)
    async with worker(connected, max_cached_workflows=cache) as running:
        task = await start_task(connected, template, {"customer": "ann"}, task_queue=running.task_queue)
        await task.result()
    await told_all(kept.events, task)
    assert kept.batches == [len(kept.events)]
    assert [event.type for event in kept.events][-1] == "task.completed"
    assert kinds(lasting((await histories(task))[0].events)).count("ACTIVITY_TASK_SCHEDULED") == 3
    await replayed(task, template)


async def test_without_sinks_not_one_event_is_added(server: DevServer) -> None:
    found = []
    for sinks in [(), (Sink(name="audit"),)]:
        template = small(*sinks)
        connected = await connect(server, template, audit=Kept())
        async with worker(connected) as running:
            task = await start_task(connected, template, None, task_queue=running.task_queue)
            await task.result()
        found.append(kinds(lasting((await histories(task))[0].events)))
    activity = ["ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_COMPLETED"]
    assert found[0] == ["WORKFLOW_EXECUTION_STARTED", *activity * 2, "WORKFLOW_EXECUTION_COMPLETED"]
    assert sorted(found[1]) == sorted([*found[0], *activity, "TIMER_STARTED"])


async def test_a_sink_gets_what_its_patterns_fit_numbered_without_a_gap(server: DevServer) -> None:
    kept, template = Kept(), small(Sink(name="moves", events=("task.*", "step.completed")))
    connected = await connect(server, template, moves=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
    assert [event.type for event in kept.events] == [
        "task.initialize_requested",
        "task.start_requested",
        "step.completed",
        "step.completed",
        "task.completed",
    ]
    assert [event.number for event in kept.events] == [1, 2, 3, 4, 5]
    steps = [event.data.step for event in kept.events if isinstance(event.data, StepMoved)]
    assert steps == ["first", "second"]
    last = kept.events[-1]
    assert isinstance(last.data, TaskMoved)
    assert (last.data.to_state, last.task_id, last.template) == ("complete", task.id, "sinks.small")


async def test_a_start_can_name_its_own_sinks(server: DevServer) -> None:
    kept, template = Kept(), small()
    connected = await connect(server, template, audit=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue, sinks=[AUDIT])
        await task.result()
        await told_all(kept.events, task)
        await replayed(task, template)
        with pytest.raises(
            TemplateError, match=r"sink 'audit': its pattern 'step.faild' fits no.*you mean 'step.failed"
        ):
            await start_task(connected, template, None, sinks=[Sink(name="audit", events=("step.faild",))])
        with pytest.raises(UnknownTemplate, match="sinks= needs a task's template"):
            await start_task(connected, "sinks.stranger", None, task_queue="nowhere", sinks=[AUDIT])


def test_a_sink_that_could_never_get_anything_is_a_mistake() -> None:
    with pytest.raises(TemplateError, match=r"sink 'a': its pattern 'step.faild' fits no event"):
        _ = small(Sink(name="a", events=("step.faild", "task.*"))).compiled
    with pytest.raises(TemplateError, match="sink 'a': expected an identifier as its name, and one sink of each name"):
        _ = small(Sink(name="a"), Sink(name="a")).compiled


async def test_a_start_cannot_name_two_sinks_alike_or_one_that_gets_nothing(server: DevServer) -> None:
    template = small()
    connected = await connect(server, template, a=Kept())
    for sinks, said in (
        ([Sink(name="a"), Sink(name="a")], "one sink of each name"),
        ([Sink(name="a", events=())], r"sink 'a': it gets no events: expected some, as events=\('\*',\)"),
    ):
        with pytest.raises(TemplateError, match=said):
            await start_task(connected, template, None, task_queue="nowhere", sinks=sinks)


async def test_a_worker_that_cannot_reach_a_sink_says_so_at_once(server: DevServer) -> None:
    connected = await server.client(plugins=[TaskerPlugin(small(AUDIT), sinks={"other": Kept()})])
    with pytest.raises(UnknownSink, match=r"'sinks\.small' names sink 'audit', which this worker does not know"):
        worker(connected)
    elsewhere = small(Sink(name="audit", task_queue="elsewhere"))
    worker(await server.client(plugins=[TaskerPlugin(elsewhere)]))


async def test_rows_of_a_task_that_goes_on_are_sent_in_time_and_by_full_batches(server: DevServer) -> None:
    gate, early, full = Gate(), Kept(), Kept()
    sinks = Sink(name="early", within=timedelta(milliseconds=50)), Sink(name="full", batch=4, within=None)
    template = TaskTemplate[object]("sinks.waits", sinks=sinks)
    template.add_step("waits", gate.passage)
    connected = await connect(server, template, early=early, full=full)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await early.until("step.execution_requested")
        await full.until("task.start_requested")
        gate.open()
        await task.result()
        await told_all(early.events, task)
        await told_all(full.events, task)
        assert full.batches[0] == 4
        await replayed(task, template)


async def test_a_sink_that_the_worker_does_not_know_is_waited_for_aloud(server: DevServer) -> None:
    gate = Gate()
    stranger = TaskTemplate[object]("sinks.small")
    first = stranger.add_step("first", nothing)
    stranger.add_step("second", gate.passage, after=[first])
    connected = await connect(server, stranger)
    template = small(Sink(name="audit", batch=1, grace=timedelta(minutes=1)))
    kept = Kept()
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        [line] = [line for line in await task.waiting() if line["kind"] == "sink"]
        assert line["what"].startswith("sink 'audit' to take ")
        assert line["since"]
        why = ""
        while "its last try" not in why:
            [why] = [reason.sentence for reason in (await task.why()).reasons if reason.kind == "sink"]
        assert why.startswith("the task waits for sink 'audit' to take ")
        assert "this worker knows no sink 'audit': pass TaskerPlugin(..., sinks={'audit': ...})" in why
        gate.open()
    knowing = await connect(server, small(AUDIT), audit=kept)
    async with worker(knowing, task_queue=running.task_queue):
        await task.result()
    await told_all(kept.events, task)


async def test_a_dead_sink_holds_no_task_open_and_gets_all_of_it_later(server: DevServer) -> None:
    alive = asyncio.Event()

    def trouble(events: Sequence[TaskEvent]) -> None:
        if not alive.is_set():
            raise ConnectionError("nobody is there")

    dead, well = Kept(trouble), Kept()
    template = small(Sink(name="dead", grace=timedelta(milliseconds=300)), Sink(name="well"))
    connected = await connect(server, template, dead=dead, well=well)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
        await told_all(well.events, task)
        assert not dead.events
        alive.set()
        await dead.until("task.completed")
        await told_all(dead.events, task)
    await replayed(task, template)


async def test_a_batch_on_its_way_when_the_task_ends_is_given_its_grace(server: DevServer) -> None:
    def trouble(events: Sequence[TaskEvent]) -> None:
        if not task_over.is_set():
            raise RetryableError("later", retry_after=0.1)

    task_over, kept = asyncio.Event(), Kept(trouble)
    template = small(Sink(name="audit", batch=2, grace=timedelta(milliseconds=500)))
    connected = await connect(server, template, audit=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
        task_over.set()
        await kept.until("task.completed")
    await told_all(kept.events, task)
    await replayed(task, template)


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
async def test_nothing_is_lost_or_disordered_when_a_task_continues_as_new(server: DevServer, down: bool) -> None:
    """A run that continues as new leaves what was not acknowledged to the next."""
    alive = asyncio.Event()

    def trouble(events: Sequence[TaskEvent]) -> None:
        if down and not alive.is_set():
            raise ConnectionError("nobody is there")

    kept = Kept(trouble)
    template = TaskTemplate[object]("sinks.long", sinks=[Sink(name="audit", batch=5)], limits=Limits(drain_events=20))
    before = template.add_step("step0", nothing)
    for number in range(1, 8):
        before = template.add_step(f"step{number}", nothing, after=[before])
    connected = await connect(server, template, audit=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
        alive.set()
        await kept.until("task.completed")
    assert len(await histories(task)) > 1
    await told_all(kept.events, task)
    await replayed(task, template)


async def test_a_reopened_task_goes_on_with_its_numbers(server: DevServer) -> None:
    kept, fail = Kept(), [True]
    template = TaskTemplate[object]("sinks.reopened", sinks=[Sink(name="steps", events=("step.*",))])

    @template.step(retry=Retry(attempts=1))
    async def fails() -> None:
        if fail.pop():
            fail.append(False)
            raise ValueError("not yet")

    connected = await connect(server, template, steps=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        await task.retry(actor="ann", reason="it was our fault")
        await task.result()
    wanted = [row for row in await task.audit() if row.event.startswith("step.")]
    assert rows_in(kept.events) == wanted
    assert len(once(kept.events)) == len(kept.events)
    await replayed(task, template)
