"""When a failed step is tried again, and when not."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from tasker_temporal.core.messages import Failure, RunStep, StartTimer, StepFailed, StopTimer
from tasker_temporal.core.retry import Retry
from tests.core.driving import BEGIN, ONCE, STEADY, Drive, limits, seconds, started, step, template


@pytest.mark.parametrize(
    ("retry", "attempt", "expected"),
    [
        # base 1 s, doubled, the exponent never below 2, at most 30 s.
        (Retry(jitter="none"), 1, 4),
        (Retry(jitter="none"), 2, 4),
        (Retry(jitter="none"), 3, 8),
        (Retry(jitter="none"), 4, 16),
        (Retry(jitter="none"), 5, 30),
        (Retry(jitter="none"), 100, 30),
        (Retry(base_delay=seconds(0.5), jitter="none"), 3, 4),
        (Retry(base_delay=seconds(2), multiplier=3, max_delay=seconds(100), jitter="none"), 1, 18),
        (Retry(base_delay=seconds(2), multiplier=3, max_delay=seconds(100), jitter="none"), 3, 54),
        (Retry(base_delay=seconds(2), multiplier=3, max_delay=seconds(100), jitter="none"), 4, 100),
        (Retry(multiplier=1, jitter="none"), 9, 1),
        (Retry(base_delay=seconds(0), jitter="none"), 3, 0),
        # 2 ** 5000 is no float.
        (Retry(jitter="none"), 5000, 30),
        (Retry(base_delay=seconds(0), jitter="none"), 5000, 0),
    ],
)
def test_the_delay_is_the_design_documents_formula(retry: Retry, attempt: int, expected: float) -> None:
    assert retry.delay(attempt, "seed") == seconds(expected)


def test_full_jitter_lies_below_the_delay_and_depends_on_the_seed_alone() -> None:
    """SHA-256 of "task-1/charge/3" begins with c3 1e 24 9a 66 21 d3, as a fraction of 2 ** 56."""
    delays = [Retry().delay(3, f"task-{index}/charge/3") for index in range(200)]
    assert all(timedelta(0) <= delay < seconds(8) for delay in delays)
    assert len(set(delays)) == 200
    assert sum(delay > seconds(4) for delay in delays) == pytest.approx(100, abs=25)
    assert delays == [Retry().delay(3, f"task-{index}/charge/3") for index in range(200)]


def test_a_failed_step_is_tried_again_when_its_delay_is_over() -> None:
    drive = started(step("a", retry=STEADY))
    (timer,) = [command.timer for command in drive.fail("a") if isinstance(command, StartTimer)]
    assert (timer.id, timer.kind, timer.step, timer.due) == ("backoff:a:1", "backoff", "a", BEGIN + seconds(4))
    assert timer.cause == drive.row("step.failed", "a").sort_key
    drive.wait(3.999)
    assert drive.states == {"a": "error"}
    drive.wait(0.001)
    assert drive.states == {"a": "in_progress"}
    assert drive.commands[-1] == RunStep("a", execution=2, attempt=2)
    assert drive.row("step.retry_requested", "a").cause == timer.cause


def test_a_backoff_says_how_long_until_when_and_who_wanted_it() -> None:
    drive = started(step("a", retry=STEADY))
    drive.fail("a")
    payload = drive.event("step.backoff")
    assert payload.model_dump() == {
        "task_id": "task-1",
        "step": "a",
        "attempt": 1,
        "delay": 4.0,
        "retry_at": "2026-01-01T00:00:04+00:00",
        "requested": False,
    }


def test_the_first_attempt_counts() -> None:
    drive = started(step("a", retry=Retry(attempts=3, jitter="none")))
    for _ in range(2):
        drive.fail("a")
        drive.wait(30)
    drive.fail("a")
    assert drive.ran() == ["a", "a", "a"]
    assert drive.path("a") == ["pending", *["in_progress", "error", "pending"] * 2, "in_progress", "error"]
    assert [row.metadata["attempt"] for row in drive.rows if row.event == "step.failed"] == [1, 2, 3]
    assert drive.closed == "error"


def test_used_up_attempts_are_announced_once_with_their_number() -> None:
    drive = started(step("a", retry=Retry(attempts=2)), step("b"))
    drive.fail("a")
    drive.wait(30)
    drive.fail("a")
    drive.succeed("b")
    assert drive.said.count("step.max_retries_reached") == 1
    assert drive.event("step.max_retries_reached").attempts == 2
    assert "step.failed_permanently" not in drive.said


def test_a_permanent_failure_ends_the_retries_at_once() -> None:
    drive = started(step("a", retry=Retry(attempts=5)))
    drive.fail("a", retryable=False)
    assert drive.closed == "error"
    assert drive.event("step.failed_permanently").because == "permanent"
    assert drive.timers == {}


def test_a_step_that_is_not_retryable_has_one_attempt() -> None:
    drive = started(step("a", retry=Retry(attempts=5), retryable=False))
    drive.fail("a")
    assert drive.ran() == ["a"]
    assert drive.event("step.failed_permanently").because == "not_retryable"
    assert drive.task.steps["a"].template.max_attempts == 1


def test_a_retry_with_one_attempt_has_used_it_up() -> None:
    drive = started(step("a", retry=ONCE))
    drive.fail("a")
    assert drive.event("step.max_retries_reached").attempts == 1
    assert drive.task.steps["a"].final == "attempts"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(7, 7), (0, 0), (0.25, 0.25), (299, 299), (301, 300), (-5, 0), (1e300, 300), (math.inf, 300), (math.nan, 0)],
)
def test_retry_after_wins_up_to_its_cap_and_is_never_negative(asked: float, expected: float) -> None:
    drive = started(step("a", retry=Retry(base_delay=seconds(20))))
    drive.fail("a", after=asked)
    assert drive.timers["backoff:a:1"].due == BEGIN + seconds(expected)
    assert drive.event("step.backoff").requested is True


def test_the_cap_of_retry_after_is_the_templates() -> None:
    drive = started(step("a", retry=Retry(max_retry_after=seconds(5))))
    drive.fail("a", after=60)
    assert drive.timers["backoff:a:1"].due == BEGIN + seconds(5)


def test_two_steps_that_fail_together_do_not_wait_the_same_time() -> None:
    drive = started(step("a"), step("b"))
    drive.fail("a")
    drive.fail("b")
    assert drive.timers["backoff:a:1"].due != drive.timers["backoff:b:1"].due


def test_a_step_that_comes_back_waits_behind_those_that_waited_longer() -> None:
    drive = started(step("a", retry=STEADY), step("b"), step("c"), limits=limits(in_flight=1))
    drive.fail("a", after=0)
    drive.fire("backoff:a:1")
    drive.succeed("b")
    assert drive.ran() == ["a", "b", "c"]
    drive.succeed("c", "a")
    assert drive.ran() == ["a", "b", "c", "a"]


def test_with_on_failure_continue_independent_steps_go_on() -> None:
    drive = started(step("a", retry=ONCE), step("b"), step("c", "b"), step("d", "a"))
    drive.fail("a")
    assert drive.state == "in_progress"
    drive.succeed("b", "c")
    assert drive.states == {"a": "error", "b": "complete", "c": "complete", "d": "pending"}
    assert drive.closed == "error"
    assert drive.row("task.failed").metadata == {"failed_steps": ["a"]}


def test_with_on_failure_stop_nothing_new_starts_and_what_runs_ends() -> None:
    drive = started(step("a", retry=ONCE), step("b"), step("c", "b"), on_failure="stop")
    drive.fail("a")
    assert drive.state == "in_progress"
    drive.succeed("b")
    assert drive.states == {"a": "error", "b": "complete", "c": "pending"}
    assert drive.closed == "error"


def test_with_on_failure_stop_a_step_that_backs_off_is_not_waited_for() -> None:
    drive = started(step("a", retry=ONCE), step("b", retry=STEADY), on_failure="stop")
    drive.fail("b")
    commands = drive.fail("a")
    assert StopTimer("backoff:b:1") in commands
    assert drive.closed == "error"
    assert drive.row("task.failed").metadata == {"failed_steps": ["a", "b"]}


def test_with_on_failure_stop_a_backoff_that_ends_starts_nothing_while_others_run() -> None:
    drive = started(step("a", retry=ONCE), step("b", retry=STEADY), step("c"), on_failure="stop")
    drive.fail("b")
    drive.fail("a")
    drive.wait(4)
    assert drive.states == {"a": "error", "b": "pending", "c": "in_progress"}
    drive.succeed("c")
    assert drive.closed == "error"


def test_skipping_the_failed_step_lets_a_stopped_task_go_on() -> None:
    drive = started(step("a", retry=ONCE), step("b"), step("c", "b"), on_failure="stop")
    drive.fail("a")
    drive.skip("a")
    drive.succeed("b", "c")
    assert drive.closed == "complete"


def test_a_task_waits_for_the_steps_that_will_be_tried_again() -> None:
    drive = started(step("a", retry=ONCE), step("b", retry=STEADY))
    drive.fail("a")
    drive.fail("b")
    assert drive.state == "in_progress"
    drive.wait(4)
    drive.succeed("b")
    assert drive.closed == "error"


def test_a_failure_keeps_its_type_and_text_for_the_report() -> None:
    drive = Drive(template(step("a")))
    drive.start()
    drive.tell(StepFailed("a", 1, Failure("CardDeclined", "no money")))
    assert drive.task.steps["a"].failure == Failure("CardDeclined", "no money", True, None)
