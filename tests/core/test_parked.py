"""A step without a handler: it waits for people, or for something from outside, and takes no place meanwhile."""

from __future__ import annotations

import pytest

from tasker_temporal.core.inbox import KEPT_BYTES, KEPT_PER_NAME, keep_early, require_room, take
from tasker_temporal.core.messages import Content, StopStep
from tasker_temporal.core.requests import CompleteStep, PauseTask, ResumeTask, SkipStep
from tasker_temporal.core.waiting import waiting
from tasker_temporal.errors import RequestRefused
from tests.core.driving import Drive, approval, dump, essence, limits, restored, seconds, started, step


def parked(*others: object, **options: object) -> Drive:
    return started(step("gate", awaits="event"), step("b", "gate"), *others, **options)  # type: ignore[arg-type]


def test_a_step_without_a_handler_is_in_progress_and_runs_nothing() -> None:
    drive = parked()
    assert drive.states == {"gate": "in_progress", "b": "pending"}
    assert drive.ran() == []
    assert (drive.task.parked, drive.task.in_flight, drive.task.bytes_in_flight) == (1, 0, 0)
    assert drive.closed is None


def test_its_end_starts_what_waits_for_it() -> None:
    drive = parked()
    drive.ask(CompleteStep, step="gate", result={"paid": True})
    assert drive.ran() == ["b"]
    assert drive.task.parked == 0
    assert not [command for command in drive.commands if isinstance(command, StopStep)]
    drive.finish()
    assert drive.state == "complete"


def test_it_takes_no_place_in_the_window() -> None:
    drive = started(
        step("a"),
        step("b"),
        approval("gate", "ann"),
        limits=limits(in_flight=1),
    )
    assert drive.states == {"a": "in_progress", "b": "pending", "gate": "in_progress"}
    drive.succeed("a")
    assert drive.ran() == ["a", "b"]


def test_a_task_that_waits_for_it_alone_is_not_over() -> None:
    drive = started(step("gate", awaits="event"), step("a", retry={"attempts": 1}))
    drive.fail("a")
    assert drive.state == "in_progress"
    drive.ask(CompleteStep, step="gate", result=1)
    assert drive.state == "error"


def test_its_deadline_fails_it_without_anything_to_stop() -> None:
    drive = started(step("gate", awaits="event", deadline=seconds(60)), step("b", "gate"))
    drive.wait(61)
    assert drive.task.steps["gate"].final == "deadline"
    assert drive.state == "error"
    assert not [command for command in drive.commands if isinstance(command, StopStep)]


def test_cancelling_ends_it_at_once_and_waits_for_what_runs() -> None:
    drive = started(step("gate", awaits="event"), step("a"), approval("last", "ann"))
    drive.cancel()
    assert drive.states == {"gate": "cancelled", "a": "in_progress", "last": "cancelled"}
    assert drive.state == "in_progress"
    drive.stop("a")
    assert drive.state == "cancelled"


def test_cancelling_a_task_that_only_waits_ends_it_at_once() -> None:
    drive = started(step("gate", awaits="event"), step("later", "gate"))
    drive.cancel()
    assert drive.states == {"gate": "cancelled", "later": "cancelled"}
    assert drive.state == "cancelled"


def test_a_cancelled_grace_leaves_it_alone() -> None:
    drive = started(step("gate", awaits="event"), step("a"))
    drive.cancel()
    drive.wait(31)
    assert [row.metadata.get("abandoned") for row in drive.rows if row.to_state == "cancelled"] == [None, True, None]


def test_one_that_became_viable_while_paused_opens_at_resume() -> None:
    drive = started(step("a"), step("gate", awaits="event", after=["a"]), step("c", awaits="event", after=["a"]))
    drive.ask(PauseTask)
    drive.succeed("a")
    assert drive.states["gate"] == "pending"
    assert list(drive.task.gates) == ["gate", "c"]
    drive.ask(SkipStep, step="gate")
    assert list(drive.task.gates) == ["c"]
    assert essence(restored(drive.task)) == essence(drive.task)
    drive.ask(ResumeTask)
    assert drive.states["c"] == "in_progress"


def test_it_says_what_it_waits_for_and_until_when() -> None:
    drive = started(step("gate", awaits="event", deadline=seconds(60)), approval("ok", "ann"))
    event, people = waiting(drive.task)
    assert (event.kind, event.step, event.until) == ("event", "gate", drive.now + seconds(60))
    assert (people.kind, people.step, people.until) == ("approval", "ok", None)


def test_a_snapshot_keeps_what_is_parked_and_what_came_early() -> None:
    drive = parked()
    keep_early(drive.task, "paid", "m-1", 3, Content(b'{"sum": 7}'))
    drive.task.journal.commit()
    later = restored(drive.task)
    assert essence(later) == essence(drive.task)
    assert take(later, "paid")[0].content == Content(b'{"sum": 7}')
    assert later.inbox == {}
    assert take(later, "paid") == ()


def test_what_came_early_is_undone_with_its_message() -> None:
    task = parked().task
    before = dump(task)
    keep_early(task, "paid", "m-1", 3, Content(b"1"))
    take(task, "paid")
    task.journal.rollback()
    assert dump(task) == before


def test_an_inbox_that_is_full_refuses() -> None:
    task = parked().task
    for number in range(KEPT_PER_NAME):
        require_room(task, "paid", Content(b"1"))
        keep_early(task, "paid", str(number), 3, Content(b"1"))
    with pytest.raises(RequestRefused, match="100 are kept for 'paid' already"):
        require_room(task, "paid", Content(b"1"))
    room = KEPT_BYTES - KEPT_PER_NAME * Content(b"1").size - Content(b"").size
    require_room(task, "shipped", Content(b"x" * room))
    with pytest.raises(RequestRefused, match=f"more than {KEPT_BYTES} bytes"):
        require_room(task, "shipped", Content(b"x" * (room + 1)))
