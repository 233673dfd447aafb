"""What is over can be read and verified with no worker, no template and no replay, and no byte of it can be changed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from tasker_temporal import (
    Limits,
    PermanentError,
    Retry,
    Row,
    State,
    TaskCancelled,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.core.rows import verify
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import RecordError, TaskLost
from tasker_temporal.histories import Histories, joined
from tasker_temporal.reader import Reader
from tasker_temporal.record import INLINE_LIMIT, STEPS_SHOWN, outcome
from tests.core.driving import started, step
from tests.server.conftest import Connect, histories, replayed, worker
from tests.shell.kit import Gate, history, kinds, said

SOON = timedelta(seconds=1.2)

ENDINGS = {
    "completed": (State.COMPLETE, "task.completed"),
    "failed": (State.ERROR, "task.failed"),
    "cancelled": (State.CANCELLED, "task.cancelled"),
    "stopped": (State.CANCELLED, "task.cancelled"),
    "continued": (State.COMPLETE, "task.completed"),
}
"""Of each template, the state in which its task ends, and its last event."""


def template_of(ending: str, gate: Gate) -> TaskTemplate[Any]:
    limits = Limits(drain_events=10) if ending == "continued" else Limits()
    template = TaskTemplate(f"record.{ending}", version="1.2.3", limits=limits)

    @template.step
    async def first(given: Any) -> dict[str, Any]:
        return {"first": given}

    @template.step(retry=Retry(attempts=2, base_delay=timedelta(0), jitter="none"))
    def second(known: dict[str, Any] = result_of(first)) -> str:
        if ending == "failed":
            raise PermanentError("no such account")
        return f"second of {known['first']}"

    @template.step(after=[second], heartbeat_timeout=SOON)
    async def third() -> str:
        await gate.passage()
        return "third"

    @template.step(after=[third])
    async def fourth() -> None: ...

    return template


async def end(task: TaskHandle, ending: str, gate: Gate) -> None:
    """Bring the task to its end."""
    if ending in ("cancelled", "stopped"):
        await gate.reached.wait()
    if ending == "cancelled":
        await task.cancel(actor="ann", reason="too late")
    if ending == "stopped":
        await task.workflow.cancel(reason="too late")
    gate.open()
    with suppress(TaskFailed, TaskCancelled):
        await task.result()


@dataclass
class Closed:
    """One task of each ending, over; and a client that has no plugin, no template, and no worker anywhere."""

    stranger: Client
    ids: dict[str, str]

    def task(self, ending: str) -> TaskHandle:
        return TaskHandle(self.stranger, self.ids[ending])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed(server: DevServer) -> AsyncIterator[Closed]:
    gates = {ending: Gate() for ending in ENDINGS}
    templates = {ending: template_of(ending, gates[ending]) for ending in ENDINGS}
    connected = await server.client(plugins=[TaskerPlugin(*templates.values())])
    tasks = {}
    async with worker(connected) as running:
        for ending, template in templates.items():
            tasks[ending] = await start_task(connected, template, "secret sauce", task_queue=running.task_queue)
        await asyncio.gather(*(end(tasks[ending], ending, gates[ending]) for ending in ENDINGS))
    for ending, task in tasks.items():
        await replayed(task, templates[ending])
    yield Closed(await server.client(), {ending: task.id for ending, task in tasks.items()})


# Read without a worker.


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_closed_task_reports_without_a_worker(closed: Closed, ending: str) -> None:
    report = await closed.task(ending).report()
    assert (report.task_id, report.template, report.version) == (closed.ids[ending], f"record.{ending}", "1.2.3")
    assert report.state is ENDINGS[ending][0]
    assert report.started_at is not None
    assert report.ended_at is not None
    assert report.ended_at > report.started_at
    assert list(report.steps) == ["first", "second", "third", "fourth"]
    assert report.steps["first"].state is State.COMPLETE
    error = report.steps["second"].last_error
    assert (None if error is None else error.message) == ("no such account" if ending == "failed" else None)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_audit_of_a_closed_task_is_whole_and_verified_without_a_worker(closed: Closed, ending: str) -> None:
    rows = await closed.task(ending).audit()
    assert [row.sort_key for row in rows] == list(range(1, len(rows) + 1))
    assert (rows[0].event, rows[-1].event) == ("task.initialize_requested", ENDINGS[ending][1])
    assert "step.completed first" in said(rows)
    assert said(rows).count("workflow.run_continued") == (1 if ending == "continued" else 0)


async def test_a_run_that_ends_while_its_audit_is_read_is_read_once_more(
    closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was open when its record was looked for, and over when it was asked."""
    whole, still_open = await closed.task("completed").audit(), [True]

    async def is_open(histories: Histories, run_id: str) -> bool:
        return bool(still_open and still_open.pop())

    monkeypatch.setattr(Histories, "is_open", is_open)
    assert await closed.task("completed").audit() == whole
    assert still_open == []


@pytest.mark.parametrize("ending", ENDINGS)
async def test_the_results_of_a_closed_task_are_read_without_a_worker(closed: Closed, ending: str) -> None:
    task = closed.task(ending)
    assert await task.result_of("first") == {"first": "secret sauce"}
    if ending == "failed":
        with pytest.raises(RecordError, match=r"step 'second' of task .* is error: it has no result"):
            await task.result_of("second")
    else:
        assert await task.result_of("second") == "second of secret sauce"


async def test_a_step_that_is_not_there_has_no_result(closed: Closed) -> None:
    with pytest.raises(RecordError, match=r"there is no step 'fifth' .* there are first, second, third"):
        await closed.task("completed").result_of("fifth")


async def test_a_closed_task_ends_for_who_waits_later_as_it_did(closed: Closed) -> None:
    assert (await closed.task("completed").result()).state is State.COMPLETE
    assert (await closed.task("continued").result()).state is State.COMPLETE
    with pytest.raises(TaskFailed, match="step 'second' failed: PermanentError: no such account") as failed:
        await closed.task("failed").result()
    assert failed.value.report.state is State.ERROR
    with pytest.raises(TaskCancelled) as cancelled:
        await closed.task("cancelled").result()
    assert cancelled.value.report.state is State.CANCELLED


async def test_the_rows_of_a_task_that_went_on_are_those_of_all_its_runs(closed: Closed) -> None:
    task = closed.task("continued")
    first, second = await histories(task)
    rows = await task.audit()
    records = [await Reader(closed.stranger, task.id).record(run.run_id) for run in (first, second)]
    assert [*records[0].rows, *records[1].rows] == rows
    assert records[1].before == (records[0].rows[-1].sort_key, records[0].head)
    [continued] = [row for row in rows if row.event == "workflow.run_continued"]
    assert continued.metadata == {"run_id": first.run_id}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_row_holds_no_input_no_result_and_no_message(closed: Closed, ending: str) -> None:
    text = json.dumps([row.plain() for row in await closed.task(ending).audit()])
    assert "sauce" not in text
    assert "account" not in text


def test_of_a_record_in_markers_the_last_that_is_whole_counts() -> None:
    """A run that wrote one, and was ended while it wrote the next."""
    first = [{"last": 5, "part": number, "parts": 2, "data": data} for number, data in enumerate("ab")]
    second = [{"last": 7, "part": number, "parts": 2, "data": data} for number, data in enumerate("cd")]
    assert joined([*first, *second]) == "cd"
    assert joined([*second, *first[1:], *first[:1], second[0]]) == "ab"
    assert joined([*first, second[1]]) == "ab"
    assert joined([first[1]]) is joined([]) is None


@pytest.mark.parametrize(("count", "shown"), [(STEPS_SHOWN, STEPS_SHOWN), (STEPS_SHOWN + 1, None)])
def test_a_result_shows_the_states_of_not_too_many_steps(count: int, shown: int | None) -> None:
    drive = started(*(step(f"s{number}") for number in range(count)))
    drive.finish()
    found = outcome(drive.task, None)
    assert found["counts"] == {"total": count, "complete": count}
    assert len(found.get("steps", ())) == (shown or 0)


# Change one byte.


def exported(rows: list[Row]) -> list[str]:
    """As JSON lines."""
    return [json.dumps(row.plain(), separators=(",", ":")) for row in rows]


def forged(line: str) -> Iterator[str]:
    """The line with each of its characters changed in turn, as far as a row can still be read from it."""
    for place, character in enumerate(line):
        other = line[:place] + chr(ord(character) ^ 1) + line[place + 1 :]
        with suppress(ValueError, KeyError, TypeError):
            Row.of(json.loads(other))
            yield other


@pytest.mark.parametrize("ending", ["completed", "failed", "cancelled"])
async def test_a_changed_byte_of_any_exported_row_names_that_row(closed: Closed, ending: str) -> None:
    """The first row is named by the number it bears: nothing before it could tell which it should have."""
    task = closed.task(ending)
    start = (await Reader(closed.stranger, task.id).record()).before[1]
    lines = exported(await task.audit())
    verify([Row.of(json.loads(line)) for line in lines], start)
    tried = 0
    for number, line in enumerate(lines, 1):
        for changed in forged(line):
            forgery = [*lines[: number - 1], changed, *lines[number:]]
            with pytest.raises(RecordError) as found:
                verify([Row.of(json.loads(row)) for row in forgery], start)
            named = Row.of(json.loads(changed)).sort_key if number == 1 else number
            assert found.value.sort_key == named, changed
            tried += 1
    assert tried > 100 * len(lines)


async def test_a_row_that_is_dropped_or_moved_is_named(closed: Closed) -> None:
    task = closed.task("completed")
    start = (await Reader(closed.stranger, task.id).record()).before[1]
    rows = await task.audit()
    for number in range(1, len(rows)):
        with pytest.raises(RecordError) as dropped:
            verify([*rows[: number - 1], *rows[number:]], start)
        assert dropped.value.sort_key in (number, number + 1)
        with pytest.raises(RecordError) as moved:
            verify([*rows[: number - 1], rows[number], rows[number - 1], *rows[number + 1 :]], start)
        assert moved.value.sort_key in (number, number + 1)


# A large record.

MANY = 3000


def wide(gate: Gate) -> TaskTemplate[Any]:
    """So many steps, of names so hard to compress, that the record of their rows is over the limit."""
    template = TaskTemplate("record.wide")

    async def nothing() -> None: ...

    root = template.add_step("root", nothing, after=[template.add_step("gate", gate.passage)])
    for number in range(MANY):
        noise = hashlib.shake_256(str(number).encode()).digest(72)
        template.add_step(f"s{base64.b64encode(noise, b'__').decode()}", nothing, after=[root])
    return template


async def test_a_record_over_one_mebibyte_goes_to_markers_and_reads_back(server: DevServer, client: Connect) -> None:
    gate = Gate()
    template = wide(gate)
    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await task.skip("root", actor="ann", reason="none of it")
        while_open = await task.audit()
        gate.open()
        await task.result()
    events = await history(task)
    markers = [event for event in events if event.HasField("marker_recorded_event_attributes")]
    assert sum(marker.ByteSize() for marker in markers) > INLINE_LIMIT
    assert kinds(events)[-1] == "WORKFLOW_EXECUTION_COMPLETED"
    assert events[-1].ByteSize() < 10_000
    late = TaskHandle(await server.client(), task.id)
    rows = await late.audit()
    assert rows[: len(while_open)] == while_open
    assert said(rows)[-1] == "task.completed"
    assert (await late.report()).counts == {"total": MANY + 2, "complete": 1, "skipped": MANY + 1}
    await replayed(task, template)


# Ended from outside.


async def test_a_terminated_task_is_lost_and_says_so(server: DevServer, client: Connect) -> None:
    gate = Gate()
    template = template_of("completed", gate)
    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, "tea", task_queue=running.task_queue)
        await gate.reached.wait()
        await task.workflow.terminate("enough")
        with pytest.raises(TaskLost, match=f"task '{task.id}' was ended from outside: .*terminated") as lost:
            await task.result()
    assert lost.value.report is None
    for read in (task.audit, task.report):
        with pytest.raises(RecordError, match=f"task '{task.id}' left no record: .*from outside"):
            await read()
    with pytest.raises(RecordError, match="left no record"):
        await task.result_of("first")
    assert await task.waiting() == []


async def test_a_task_that_timed_out_is_lost_and_says_so(server: DevServer) -> None:
    stranger = await server.client()
    task = TaskHandle(stranger, f"slow-{uuid.uuid4()}")
    await stranger.start_workflow("record.slow", id=task.id, task_queue="nobody", run_timeout=timedelta(seconds=0.2))
    with pytest.raises(TaskLost, match=r"was ended from outside: .*timed out"):
        await task.result()
    with pytest.raises(RecordError):
        await task.audit()
