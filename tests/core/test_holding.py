"""A task in error: held for somebody to step in, retried, or reopened after its run had closed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tasker_temporal.core.messages import (
    RunStep,
    StopTimer,
    TimerFired,
)
from tasker_temporal.core.requests import (
    Ask,
    ChangeStep,
    CompleteStep,
    ResolveStep,
    ResolveTask,
    RetryStep,
    RetryTask,
    SkipStep,
)
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.rows import verify
from tasker_temporal.core.template import Template
from tasker_temporal.core.waiting import waiting
from tests.core.doors import BY, begun, failed, held, refused, resolved
from tests.core.driving import ONCE, STEADY, Drive, approval, seconds, started, step, template

# Hold.


def test_a_held_task_stays_open_and_says_what_could_be_done() -> None:
    drive = held()
    assert (drive.state, drive.closed, drive.timers["hold"].due) == ("error", None, drive.now + seconds(30 * 86400))
    task, a, b = waiting(drive.task)
    assert (task.kind, task.since, task.until) == ("hold", drive.now, drive.timers["hold"].due)
    assert task.could == ("cancel", "retry", "resolve")
    assert (a.kind, b.kind) == ("failure", "failure")


def test_a_retried_task_does_its_failed_steps_again_and_nothing_else() -> None:
    drive = started(step("a"), step("b", "a", retry=ONCE), step("c", "b"), on_error="hold")
    drive.succeed("a")
    drive.fail("b")
    commands = drive.ask(RetryTask)
    assert commands == [StopTimer("hold"), RunStep("b", 2, 1)]
    drive.finish()
    assert (drive.closed, drive.ran()) == ("complete", ["a", "b", "b", "c"])
    assert drive.path() == ["pending", "in_progress", "error", "pending", "in_progress", "complete"]
    assert drive.task.ended_at == drive.now


def test_a_retried_task_starts_its_deadlines_anew() -> None:
    drive = started(step("a", deadline=seconds(10), retry=STEADY), on_error="hold")
    drive.fail("a", retryable=False)
    drive.wait(3600)
    drive.ask(RetryTask)
    drive.fail("a")
    drive.wait(5)
    drive.succeed("a")
    assert drive.closed == "complete"


REMOVALS: dict[str, Callable[[str], Ask]] = {
    "skip": lambda name: SkipStep(step=name, **BY),
    "resolve_step": lambda name: ResolveStep(step=name, **BY),
    "complete_step": lambda name: CompleteStep(step=name, result=1, **BY),
    "retry_step": lambda name: RetryStep(step=name, **BY),
}


@pytest.mark.parametrize("name", REMOVALS)
def test_who_removes_the_last_failure_requests_the_retry_of_the_task(name: str) -> None:
    drive = held()
    drive.tell(REMOVALS[name]("a"))
    assert (drive.state, drive.running) == ("error", {})
    lines = {line.step: line.kind for line in waiting(drive.task)}
    assert lines == {None: "hold", "b": "failure"} | ({"a": "hold"} if name == "retry_step" else {})
    drive.tell(REMOVALS[name]("b"))
    retry = drive.row("task.retry_requested")
    assert (retry.actor, retry.reason) == ("tasker", "its last failure was removed")
    assert [row.step for row in drive.rows if row.sort_key == retry.cause] == ["b"]
    drive.finish()
    assert (drive.closed, drive.timers) == ("complete", {})


def test_a_hold_ends_and_then_the_task_has_failed() -> None:
    drive = held()
    drive.wait(30 * 86400)
    assert (drive.closed, drive.state, drive.rows[-1].event) == ("error", "error", "task.hold_ended")
    assert drive.rows[-1].cause == drive.row("task.failed").sort_key
    assert waiting(drive.task) == ()


def test_a_held_task_can_be_cancelled_or_resolved() -> None:
    drive = held()
    drive.cancel()
    assert (drive.closed, drive.states, drive.timers) == ("cancelled", {"a": "cancelled", "b": "cancelled"}, {})
    assert (resolved().closed, resolved().timers) == ("resolved_manually", {})


def test_a_held_task_is_held_in_its_next_run() -> None:
    drive = held()
    drive.drain()
    later = drive.continued()
    assert later.timers["hold"].due == drive.timers["hold"].due
    later.ask(RetryTask)
    later.finish()
    assert later.closed == "complete"


def test_a_stopped_task_is_retried_with_the_step_that_was_to_be_tried_again() -> None:
    drive = started(
        step("a", retry=ONCE), step("b", retry=STEADY, deadline=seconds(60)), on_failure="stop", on_error="hold"
    )
    drive.fail("b")
    drive.fail("a")
    assert (drive.state, list(drive.timers)) == ("error", ["hold"])
    drive.wait(600)
    drive.ask(RetryTask)
    drive.finish()
    assert drive.closed == "complete"


# Reopened runs.


def test_a_reopened_task_goes_on_with_its_chain_and_its_answers() -> None:
    drive = started(step("a"), step("b", "a", retry=ONCE), step("z", after=["b"]))
    drive.skip("z", request_id="one")
    drive.succeed("a")
    drive.fail("b")
    assert drive.closed == "error"
    later = drive.reopened()
    assert later.task.answers["one"][:2] == (7, 7)
    assert later.skip("z", request_id="one") == []
    later.ask(RetryTask)
    assert later.ran() == ["b"]
    later.finish()
    assert later.closed == "complete"
    assert verify(later.rows, drive.task.head) == later.task.head
    assert later.rows[0].sort_key == drive.rows[-1].sort_key + 1
    assert later.rows[0].metadata == {"run_id": "run-1"}


def test_a_reopened_task_of_which_nothing_more_is_asked_fails_again() -> None:
    drive = failed().reopened()
    drive.ask(ChangeStep, step="a", attempts=9)
    drive.wait(10)
    assert drive.closed == "error"
    later = drive.reopened()
    later.ask(RetryTask)
    assert later.task.steps["a"].template.max_attempts == 9


def test_a_reopened_task_whose_template_says_so_is_held() -> None:
    drive = held()
    drive.wait(30 * 86400)
    later = drive.reopened()
    assert later.timers["hold"].due == later.now + seconds(30 * 86400)


PROBLEMS = ({"loc": ("total",), "type": "missing", "msg": "Field required"},)


@pytest.mark.parametrize("on_error", ["hold", "fail"])
def test_a_task_whose_context_is_not_valid_cannot_be_retried(on_error: str) -> None:
    drive = Drive(template(step("a"), step("b", "a"), on_error=on_error))
    drive.start(problems=PROBLEMS)
    assert drive.closed == "error"
    later = drive.reopened()
    error = refused(later, RetryTask(**BY))
    assert error.rule == "its context is not valid: start another task with a valid one"
    assert error.legal == ("cancel", "resolve")
    assert waiting(later.task)[0].could == error.legal
    later.ask(ResolveTask)
    assert later.closed == "resolved_manually"


def test_skipping_steps_of_a_task_with_an_invalid_context_does_not_start_it() -> None:
    drive = Drive(template(step("a"), step("b")))
    drive.start(problems=PROBLEMS)
    later = drive.reopened()
    later.skip("a")
    later.ask(CompleteStep, step="b", result=1)
    assert (later.state, later.ran()) == ("error", [])
    later.wait(10)
    assert later.closed == "error"


def test_a_timer_that_nobody_knows_any_more_changes_nothing() -> None:
    drive = begun("pending")
    before = len(drive.rows)
    drive.tell(TimerFired("backoff:a:9"))
    assert len(drive.rows) == before


# Times that no calendar has.

NEVER = timedelta(days=3_000_000)


@pytest.mark.parametrize(
    "made",
    [
        template(step("a", deadline=NEVER)),
        template(step("a", retry=Retry(attempts=2, base_delay=NEVER, max_delay=NEVER, jitter="none"))),
        template(step("a", on={"elapsed": NEVER.total_seconds()})),
        template(step("a", retry=ONCE), on_error="hold", hold_for=NEVER),
        template(approval("a", "ann", deadline=NEVER)),
        template(step("a"), cancel_grace=NEVER),
    ],
)
def test_what_is_over_after_the_last_year_is_as_good_as_never_over_and_stops_no_task(made: Template) -> None:
    drive = Drive(made)
    drive.start()
    if drive.states["a"] == "in_progress" and made.steps[0].runs and not made.steps[0].deadline:
        drive.cancel() if made.cancel_grace == NEVER else drive.fail("a")
    assert {timer.due.year for timer in drive.task.timers.values()} == {9999}
    assert drive.restored().task.timers == drive.task.timers
