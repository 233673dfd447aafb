"""Deadlines, missing handlers, late outcomes, and timers that outlive nothing."""

from __future__ import annotations

import pytest

from tasker_temporal.core.messages import (
    Content,
    Failure,
    HandlerMissing,
    RunStep,
    StartTimer,
    StepFailed,
    StepStopped,
    StepSucceeded,
    StopStep,
    StopTimer,
    TimerFired,
)
from tests.core.driving import BEGIN, KEY, ONCE, STEADY, Drive, dump, limits, seconds, started, step


def test_a_deadline_begins_with_the_first_attempt() -> None:
    drive = started(step("a"), step("b", "a", deadline=seconds(60)))
    drive.wait(5)
    (timer,) = [command.timer for command in drive.succeed("a") if isinstance(command, StartTimer)]
    assert (timer.id, timer.kind, timer.due) == ("deadline:b", "deadline", BEGIN + seconds(65))
    assert timer.cause == drive.row("step.execution_requested", "b").sort_key


def test_a_deadline_covers_all_attempts() -> None:
    drive = started(step("a", retry=STEADY, deadline=seconds(60)))
    drive.fail("a")
    drive.wait(4)
    assert drive.timers["deadline:a"].due == BEGIN + seconds(60)
    assert drive.said.count("step.execution_requested") == 2


def test_a_deadline_that_passes_stops_the_running_execution_for_good() -> None:
    drive = started(step("a", deadline=seconds(60)), step("b"))
    drive.wait(60)
    assert StopStep("a", 1) in drive.commands
    assert drive.states["a"] == "error"
    assert drive.event("step.failed_permanently").because == "deadline"
    assert drive.task.steps["a"].failure == Failure("StepDeadlineExceeded", "not over within 0:01:00", False)
    assert drive.row("step.failed", "a").cause == drive.row("step.execution_requested", "a").sort_key


def test_what_an_execution_says_after_its_deadline_is_noted() -> None:
    drive = started(step("a", deadline=seconds(60)), step("b"))
    drive.wait(60)
    drive.succeed("a", data=b"late")
    assert drive.states["a"] == "error"
    assert drive.row("step.outcome_noted", "a").metadata["outcome"] == "complete"


def test_a_deadline_that_passes_during_a_backoff_ends_the_retries() -> None:
    drive = started(step("a", deadline=seconds(60)))
    drive.fail("a", after=90)
    drive.wait(60)
    row = drive.row("step.deadline_exceeded", "a")
    assert (row.kind, row.from_state, row.to_state) == ("noted", None, None)
    assert drive.event("step.failed_permanently").because == "deadline"
    assert drive.closed == "error"
    assert drive.timers == {}


def test_a_deadline_that_passes_while_the_step_waits_for_a_place_is_not_forgotten() -> None:
    """Its next attempt is overdue as soon as it begins."""
    drive = started(step("a", retry=STEADY, deadline=seconds(10)), step("b"), limits=limits(in_flight=1))
    drive.fail("a")
    drive.wait(20)
    assert drive.states == {"a": "pending", "b": "in_progress"}
    commands = drive.succeed("b")
    assert [command.timer.due for command in commands if isinstance(command, StartTimer)] == [BEGIN + seconds(10)]
    drive.wait(0)
    assert drive.event("step.failed_permanently").because == "deadline"
    drive.stop("a")
    assert drive.closed == "error"


@pytest.mark.parametrize("how", ["complete", "exhausted", "permanent", "skipped", "cancelled"])
def test_a_deadlines_timer_is_stopped_when_the_step_is_over(how: str) -> None:
    drive = started(step("a", deadline=seconds(60), retry=ONCE if how == "exhausted" else STEADY), step("b"))
    match how:
        case "complete":
            drive.succeed("a")
        case "exhausted":
            drive.fail("a")
        case "permanent":
            drive.fail("a", retryable=False)
        case "skipped":
            drive.fail("a")
            drive.skip("a")
        case "cancelled":
            drive.fail("a")
            drive.cancel()
    assert StopTimer("deadline:a") in drive.replies[-1]
    assert drive.state == "in_progress"


def test_a_backoffs_timer_is_stopped_when_the_step_is_skipped() -> None:
    drive = started(step("a"), step("b"))
    drive.fail("a")
    assert drive.skip("a") == [StopTimer("backoff:a:1")]


def test_a_task_that_ends_stops_the_timers_that_are_left() -> None:
    drive = started(step("a", retry=ONCE), step("b", deadline=seconds(60)), on_failure="stop")
    drive.fail("b")
    commands = drive.fail("a")
    assert commands[:2] == [StopTimer("backoff:b:1"), StopTimer("deadline:b")]
    assert drive.task.timers == {}


def test_a_timer_that_nobody_knows_any_more_fires_in_vain() -> None:
    drive = started(step("a"))
    before = dump(drive.task)
    assert drive.tell(TimerFired("backoff:a:9")) == []
    assert dump(drive.task) == before


# A handler that no worker has.


def test_a_missing_handler_is_no_attempt() -> None:
    drive = started(step("a", retry=ONCE))
    drive.miss("a")
    assert drive.states == {"a": "in_progress"}
    drive.wait(1)
    assert drive.commands[-1] == RunStep("a", execution=2, attempt=1)
    assert drive.row("step.handler_missing", "a").metadata == {"execution": 1, "handler": "tests.flow.a"}
    assert drive.row("step.redispatched", "a").cause == drive.row("step.handler_missing", "a").sort_key
    drive.succeed("a")
    assert drive.closed == "complete"


def test_a_missing_handler_is_waited_for_as_long_again_each_time_between_1_and_30_seconds() -> None:
    drive = started(step("a"), handler_grace=seconds(100))
    waits = []
    while drive.closed is None:
        drive.miss("a")
        if timer := drive.timers.get(f"handler:a:{drive.task.steps['a'].execution}"):
            waits.append((timer.due - drive.now).total_seconds())
            drive.fire(timer)
    assert waits == [1, 1, 2, 4, 8, 16, 30, 30, 8]
    assert sum(waits) == 100


def test_a_handler_that_does_not_come_within_the_grace_fails_its_step_for_good() -> None:
    drive = started(step("a"), handler_grace=seconds(1))
    drive.miss("a")
    drive.wait(1)
    drive.miss("a")
    message = "no worker had the handler 'tests.flow.a' for 0:00:01"
    assert drive.task.steps["a"].failure == Failure("HandlerMissing", message, retryable=False)
    assert drive.closed == "error"


def test_without_a_grace_a_missing_handler_fails_its_step_at_once() -> None:
    drive = started(step("a"), handler_grace=seconds(0))
    drive.miss("a")
    assert drive.closed == "error"


def test_a_handler_that_came_is_forgotten_to_have_been_missing() -> None:
    drive = started(step("a", retry=STEADY), handler_grace=seconds(10))
    drive.miss("a")
    drive.wait(9)
    drive.fail("a")
    drive.wait(4)
    drive.miss("a")
    assert drive.timers["handler:a:3"].due == drive.now + seconds(1)


def test_a_deadline_ends_the_wait_for_a_handler() -> None:
    drive = started(step("a", deadline=seconds(1.5)), step("b"))
    drive.miss("a")
    drive.wait(1)
    drive.miss("a")
    drive.wait(1)
    assert drive.states["a"] == "error"
    assert drive.timers == {}


# Outcomes that nobody waits for any more.


def test_a_late_result_is_noted_and_leaves_a_trace_alone() -> None:
    drive = started(step("a"), step("b"))
    drive.succeed("a")
    assert drive.tell(StepSucceeded("a", 1, Content(b"again"))) == []
    row = drive.rows[-1]
    assert (row.kind, row.event, row.entity, row.cause) == ("noted", "step.outcome_noted", "step:a", None)
    assert row.metadata == {"execution": 1, "outcome": "complete", "result": drive.task.trace(b"again")}
    assert drive.task.steps["a"].result == Content(b'"fine"')


def test_a_late_failure_is_noted() -> None:
    drive = started(step("a"), step("b"))
    drive.succeed("a")
    drive.tell(StepFailed("a", 1, Failure("Boom", "secret")))
    assert drive.rows[-1].metadata["outcome"] == "error"
    assert drive.rows[-1].metadata["error"]["type"] == "Boom"
    assert drive.task.steps["a"].failure is None


def test_a_late_stop_and_a_late_missing_handler_are_noted() -> None:
    drive = started(step("a"), step("b"))
    drive.succeed("a")
    drive.tell(StepStopped("a", 1))
    assert drive.rows[-1].metadata == {"execution": 1, "outcome": "cancelled"}
    drive.tell(HandlerMissing("a", 1, "tests.flow.a"))
    assert drive.rows[-1].metadata == {"execution": 1, "outcome": "handler_missing"}


def test_the_outcome_of_an_execution_before_the_present_one_is_late() -> None:
    drive = started(step("a", retry=STEADY))
    drive.fail("a")
    drive.wait(4)
    drive.tell(StepSucceeded("a", 1, Content(b"old")))
    assert drive.states == {"a": "in_progress"}
    assert drive.rows[-1].event == "step.outcome_noted"


def test_a_late_outcome_is_noted_even_when_the_task_is_over() -> None:
    drive = started(step("a"))
    drive.succeed("a")
    drive.tell(StepSucceeded("a", 1, Content(b"again")))
    assert drive.rows[-1].event == "step.outcome_noted"
    assert drive.closed == "complete"


def test_a_stop_that_nobody_asked_for_leaves_nothing_to_wait_for() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.stop("a")
    assert drive.row("step.cancelled", "a").cause == drive.row("step.execution_requested", "a").sort_key
    assert drive.event("workflow.task_state_unclear").found == {"pending": 1, "cancelled": 1}
    assert drive.closed == "error"


def test_a_trace_says_nothing_without_the_tasks_key() -> None:
    assert started(step("a")).task.key == KEY
    other = Drive(started(step("a")).task.template)
    other.task.key = b"another"
    assert other.task.trace(b"x") != started(step("a")).task.trace(b"x")
