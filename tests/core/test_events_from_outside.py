"""Events from outside: who takes them, which are kept, and which are only noted."""

from __future__ import annotations

import json

import pytest

from tasker_temporal.core.messages import Content
from tasker_temporal.core.requests import (
    PauseTask,
    ResumeTask,
    RetryFrom,
    RetryTask,
    SendEvent,
)
from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.waiting import waiting
from tasker_temporal.errors import RequestRefused
from tests.core.driving import ONCE, restored, seconds, started, step, template
from tests.core.expecting import EVENTS, PAID, expecting, tell


def test_an_event_ends_a_wait_and_its_payload_is_the_result() -> None:
    drive = expecting(step("w", awaits="event", on=PAID), step("t", "w"))
    (wait, _) = waiting(drive.task)
    assert (wait.kind, wait.what) == ("event", "received('paid', match='event.order == context.order')")
    tell(drive)
    assert drive.states == {"w": "complete", "t": "in_progress"}
    result = drive.task.steps["w"].result
    assert result is not None
    assert result.data == b'{"order":7}'
    row = drive.row("external.received")
    assert row.metadata["taken_by"] == ["w"]
    assert row.metadata["payload"]["size"] == 11
    assert b"order" not in json.dumps(dict(row.metadata)).encode()


def test_a_payload_that_ended_a_wait_is_kept_for_good_because_no_activity_has_it() -> None:
    drive = expecting(step("w", awaits="event", on=PAID))
    tell(drive)
    assert drive.closed == "complete"
    kept = restored(drive.task).steps["w"]
    assert (kept.by_hand, kept.result) == (True, Content(b'{"order":7}'))


def test_one_event_serves_every_step_that_waits_for_it_begun_or_not() -> None:
    drive = expecting(
        step("a"),
        step("v", awaits="event", on=PAID),
        step("w", awaits="event", on=PAID, after=["a"]),
        step("t", on=PAID),
    )
    tell(drive)
    assert drive.states == {"a": "in_progress", "v": "complete", "w": "pending", "t": "in_progress"}
    drive.succeed("a")
    assert drive.states["w"] == "complete"


def test_each_step_keeps_the_first_event_that_matches() -> None:
    drive = expecting(step("a"), step("w", awaits="event", on={"received": "paid"}, after=["a"]))
    tell(drive, 1)
    tell(drive, 2)
    assert [row.metadata["taken_by"] for row in drive.rows if row.event == "external.received"] == [["w"], []]
    drive.succeed("a")
    assert drive.task.steps["w"].result == Content(b'{"order":1}')


def test_an_event_that_does_not_match_or_that_nobody_waits_for_is_noted_and_not_kept() -> None:
    drive = expecting(step("w", awaits="event", on=PAID), step("z"))
    tell(drive, 8)
    assert drive.states["w"] == "in_progress"
    tell(drive)
    tell(drive)
    assert [row.metadata["taken_by"] for row in drive.rows if row.event == "external.received"] == [[], ["w"], []]
    assert sum(len(kept) for kept in drive.task.inbox.values()) == 1


def test_a_match_that_cannot_be_evaluated_does_not_match_and_the_row_says_of_whom() -> None:
    drive = expecting(step("w", awaits="event", on={"received": "paid", "match": "event.nothing > 1"}))
    tell(drive)
    assert drive.states["w"] == "in_progress"
    assert drive.row("external.received").metadata["unclear"] == ["w"]


def test_the_same_id_twice_is_one_event() -> None:
    drive = expecting(step("w", awaits="event", on={"received": "paid"}), step("z"))
    tell(drive, 8, id="p-1")
    tell(drive, 7, id="p-1")
    assert drive.task.steps["w"].result == Content(b'{"order":8}')
    assert len([row for row in drive.rows if row.event == "external.received"]) == 1
    drive.ask(SendEvent, name="other", id="p-1")
    assert len([row for row in drive.rows if row.event == "external.received"]) == 2


def test_an_event_under_the_id_of_another_request_is_refused() -> None:
    drive = expecting(step("w", awaits="event", on={"received": "paid"}), step("z"))
    drive.ask(PauseTask, request_id="event:paid:p-1")
    with pytest.raises(RequestRefused, match="'event:paid:p-1' was already used for pause of the task"):
        tell(drive, id="p-1")


def test_an_undeclared_event_is_refused() -> None:
    drive = expecting(step("z"))
    with pytest.raises(RequestRefused, match="no event 'gone' is declared: expected one of paid, other"):
        drive.ask(SendEvent, name="gone")
    with pytest.raises(RequestRefused, match="the task's template declares no events"):
        started(step("z")).ask(SendEvent, name="gone")


def test_a_payload_for_which_there_is_no_room_is_refused_until_others_are_over() -> None:
    on = {"received": "paid", "match": "event.n == 1"}, {"received": "paid", "match": "event.n == 2"}
    drive = expecting(step("a"), step("v", awaits="event", on=on[0], after=["a"]), step("w", awaits="event", on=on[1]))
    drive.ask(SendEvent, name="paid", payload={"n": 1, "text": "x" * 200_000})
    large = {"n": 2, "text": "x" * 100_000}
    with pytest.raises(RequestRefused, match="what came early would be more than 262144 bytes"):
        drive.ask(SendEvent, name="paid", payload=large)
    drive.succeed("a")
    drive.ask(SendEvent, name="paid", payload=large)
    assert drive.closed == "complete"


def test_a_wait_that_is_done_again_takes_the_event_that_it_had() -> None:
    drive = expecting(step("a"), step("w", awaits="event", on={"received": "paid"}, after=["a"]), step("z"))
    tell(drive)
    drive.succeed("a")
    drive.ask(RetryFrom, step="a")
    assert drive.states["w"] == "pending"
    drive.succeed("a")
    assert drive.states["w"] == "complete"


def test_a_wait_that_is_done_again_waits_anew_if_its_event_is_not_kept_any_more() -> None:
    drive = expecting(
        step("w", awaits="event", on={"received": "paid"}),
        step("v", awaits="event", on={"received": "other"}),
        step("z"),
    )
    drive.ask(SendEvent, name="paid", payload="x" * 200_000)
    drive.ask(SendEvent, name="other", payload="x" * 200_000)
    drive.ask(RetryFrom, step="w")
    assert drive.states == {"w": "in_progress", "v": "complete", "z": "in_progress"}
    tell(drive)
    assert drive.states["w"] == "complete"


def test_a_wait_that_is_too_long_fails_or_is_skipped_as_it_says() -> None:
    waits = [step(how, awaits="event", on=PAID, deadline=seconds(60), on_deadline=how) for how in ("fail", "skip")]
    drive = expecting(*waits, step("t", on={"skipped": "skip"}))
    drive.wait(60)
    assert drive.states == {"fail": "error", "skip": "skipped", "t": "in_progress"}
    failure = drive.task.steps["fail"].failure
    assert failure is not None
    assert failure.type == "StepDeadlineExceeded"


def test_a_step_takes_the_payload_of_the_event_that_it_ran_after() -> None:
    on = {"all_of": [PAID, {"received": "other"}]}
    drive = expecting(step("t", on=on, when="context.order == 7"))
    drive.ask(SendEvent, name="other", payload="first")
    (wait,) = waiting(drive.task)
    assert (wait.kind, wait.step) == ("event", "t")
    tell(drive)
    assert drive.states["t"] == "in_progress"


def test_an_event_or_a_time_whichever_is_first() -> None:
    for early in (True, False):
        drive = expecting(step("t", on={"any_of": [PAID, {"elapsed": 60}]}))
        tell(drive) if early else drive.wait(60)
        assert drive.states["t"] == "in_progress"
        assert drive.timers == {}


def test_events_come_to_paused_and_held_tasks_too() -> None:
    drive = expecting(step("a", retry=ONCE), step("t", on=PAID), on_error="hold")
    drive.ask(PauseTask)
    tell(drive)
    assert drive.states["t"] == "pending"
    drive.ask(ResumeTask)
    assert drive.states["t"] == "in_progress"
    held = expecting(step("a", retry=ONCE), step("t", on={"all_of": [{"completed": "a"}, PAID]}), on_error="hold")
    held.fail("a")
    tell(held)
    held.ask(RetryTask)
    held.succeed("a")
    assert held.states["t"] == "in_progress"


def test_a_wait_decides_nothing_and_only_a_wait_can_be_skipped_when_it_is_too_long() -> None:
    found = unsound(
        template(
            step("w", awaits="event", on=PAID, branches=("x",)),
            step("a", deadline=seconds(1), on_deadline="skip"),
            events=EVENTS,
        )
    )
    assert found == [
        "step 'w': it has branches, but no handler that could choose among them",
        "step 'a': its on_deadline='skip': only a wait for an event can be skipped when its deadline passes",
    ]
