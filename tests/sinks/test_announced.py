"""Events that are no rows reach the sinks that name them: numbered with the rows, in order, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasker_temporal import Limits, Retry, TaskFailed, TaskTemplate, start_task
from tasker_temporal.core import outbox
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.dev import DevServer
from tasker_temporal.sinks import Announced, JsonLines, RowData, Sink, TaskEvent, resend
from tasker_temporal.sinks.archive import archived
from tasker_temporal.sinks.ends import TERMINATED
from tests.cli.kit import tasker
from tests.server.conftest import histories, replayed, worker
from tests.shell.kit import Gate
from tests.sinks.kit import Kept, connect, once
from tests.sinks.test_sweep import swept

NAMED = ("task.*", "step.failed", "step.max_retries_reached", "workflow.step_completed", "error.task_blocked")


async def nothing() -> None: ...


async def breaks() -> None:
    raise ValueError("it broke")


def long_template(*sinks: Sink) -> TaskTemplate[object]:
    """Its tasks continue as new on their way, and fail."""
    template = TaskTemplate[object]("sinks.heard", sinks=sinks, limits=Limits(drain_events=20))
    before = template.add_step("step0", nothing)
    template.add_step("breaks", breaks, retry=Retry(attempts=1), after=[before])
    for number in range(1, 6):
        before = template.add_step(f"step{number}", nothing, after=[before])
    return template


def told(events: Sequence[TaskEvent]) -> list[TaskEvent]:
    """Whichever sink it was."""
    return [event.model_copy(update={"sink": ""}) for event in once(events)]


@pytest.mark.parametrize("carried", [True, False], ids=["carried", "read from the records"])
async def test_what_is_no_row_comes_between_the_rows_also_to_a_sink_that_was_down(
    server: DevServer, monkeypatch: pytest.MonkeyPatch, carried: bool
) -> None:
    alive = asyncio.Event()

    def trouble(events: Sequence[TaskEvent]) -> None:
        if not alive.is_set():
            raise ConnectionError("nobody is there")

    if not carried:
        monkeypatch.setattr(outbox, "CARRIED_BYTES", 1)
    well, down = Kept(), Kept(trouble)
    template = long_template(
        Sink(name="well", events=NAMED), Sink(name="down", events=NAMED, grace=timedelta(milliseconds=100))
    )
    client = await connect(server, template, well=well, down=down)
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        alive.set()
        await down.until("task.failed")
        await well.until("task.failed")
        before = once(well.events)
        count, sending = await resend(client, task.id, "well", start=3)
        await sending.result()
    assert len(await histories(task)) > 1, "it continued as new"
    assert told(down.events) == told(before)
    assert (well.events[2 - len(before) :], count) == (before[2:], len(before) - 2)
    kinds = [event.type for event in before]
    assert kinds.count("step.max_retries_reached") == kinds.count("error.task_blocked") == 1
    assert kinds.count("workflow.step_completed") == 6
    assert kinds.index("step.max_retries_reached") == kinds.index("step.failed") + 1
    assert [event.data.row for event in before if isinstance(event.data, RowData)] == [
        row for row in await task.audit() if outbox.fits(NAMED, row.event)
    ]
    await replayed(task, template)


async def test_it_says_which_row_it_stands_behind_and_has_the_shape_of_the_catalogue(server: DevServer) -> None:
    kept = Kept()
    template = TaskTemplate[object](
        "sinks.alarm", sinks=[Sink(name="alarm", events=("step.failed", "step.max_retries_reached"))]
    )
    template.add_step("breaks", breaks, retry=Retry(attempts=1))
    client = await connect(server, template, alarm=kept)
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        await kept.until("step.max_retries_reached")
    failed, used_up = once(kept.events)
    assert isinstance(failed.data, RowData)
    assert isinstance(used_up.data, Announced)
    said, row = used_up.data, failed.data.row
    assert (used_up.number, said.step, said.after, said.place, said.cause) == (
        2,
        "breaks",
        row.sort_key,
        1,
        row.sort_key,
    )
    assert used_up.id == f"{task.id}/{row.sort_key}.1/{row.digest[:12]}"
    shape = EVENTS.payload(used_up.type)
    assert dict(shape(**said.payload)) == {"task_id": task.id, "step": "breaks", "attempts": 1}
    with pytest.raises(ValidationError):
        shape(**{**said.payload, "more": 1})
    assert TaskEvent.model_validate_json(used_up.json_bytes()) == used_up


async def test_what_a_terminated_task_announced_is_not_lost(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, gate = Kept(), Gate()
    template = TaskTemplate[Any]("sinks.heard_stuck", sinks=[Sink(name="all", events=("task.*", *NAMED[2:]))])
    template.add_step("waits", gate.passage, after=[template.add_step("first", nothing)])
    client = await connect(server, template, all=kept)
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await task.audit()
        await task.workflow.terminate()
        monkeypatch.setattr(outbox, "CARRIED_BYTES", 1)
        await swept(client, running.task_queue)
        await kept.until(TERMINATED)
    assert [event.type for event in once(kept.events)] == [
        "task.initialize_requested",
        "task.start_requested",
        "workflow.step_completed",
        TERMINATED,
    ]


async def test_an_archive_that_has_more_than_rows_is_read_and_verified_as_any(
    server: DevServer, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    template = TaskTemplate[object](
        "sinks.archived",
        sinks=[
            Sink(
                name="all",
                events=("*", "step.max_retries_reached", "error.task_blocked"),
                grace=timedelta(minutes=1),
            )
        ],
    )
    template.add_step("breaks", breaks, retry=Retry(attempts=1))
    client = await connect(server, template, all=JsonLines(file))
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        rows = await task.audit()
    read = await tasker("audit", task.id, "--archive", str(file), "--verify", folder=tmp_path)
    assert (read.code, read.err) == (0, "")
    assert (await archived(str(file), task.id)).rows == rows
    assert len(await JsonLines(file).events(task.id)) == len(rows) + 2
