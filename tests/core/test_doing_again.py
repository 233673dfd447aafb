"""What is done once more: one step, a step and all below it, a whole task."""

from __future__ import annotations

from tasker_temporal.core.messages import (
    DROPPED,
    Content,
    RunStep,
    StopTimer,
)
from tasker_temporal.core.requests import (
    PauseTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
)
from tasker_temporal.core.snapshot import SPARE_BYTES
from tests.core.doors import BY, REQUESTS, failed_step, refused, taken
from tests.core.driving import ONCE, STEADY, Drive, limits, seconds, started, step

# Retry one step.


def test_a_step_that_backs_off_is_tried_at_once() -> None:
    drive = failed_step()
    commands = drive.ask(RetryStep, step="a")
    assert commands == [StopTimer("backoff:a:1"), RunStep("a", 2, 2)]
    assert drive.timers == {}


def test_a_fresh_retry_gives_all_attempts_anew_and_counts_executions_on() -> None:
    drive = failed_step()
    assert drive.ask(RetryStep, step="a", fresh=True)[-1] == RunStep("a", 2, 1)
    assert drive.row("step.retry_requested", "a").metadata == {"fresh": True}
    drive.fail("a")
    drive.wait(4)
    drive.fail("a")
    drive.wait(4)
    assert drive.task.steps["a"].attempt == 3


def test_a_step_without_attempts_gets_one_more() -> None:
    drive = started(step("a", retry=ONCE), step("other"))
    drive.fail("a")
    assert drive.ask(RetryStep, step="a") == [RunStep("a", 2, 2)]
    drive.fail("a")
    assert drive.task.steps["a"].final == "attempts"


def test_the_deadline_begins_anew_with_a_step_that_had_failed_for_good() -> None:
    drive = started(step("a", deadline=seconds(10)), step("other"))
    drive.wait(10)
    drive.stop("a")
    drive.wait(90)
    drive.ask(RetryStep, step="a")
    assert drive.timers["deadline:a"].due == drive.now + seconds(10)
    assert (drive.task.steps["a"].ended_at, drive.task.steps["a"].started_at) == (None, drive.now)
    drive.wait(9)
    drive.succeed("a")
    assert drive.states["a"] == "complete"


def test_the_deadline_goes_on_with_a_step_that_is_only_hurried() -> None:
    drive = started(step("a", deadline=seconds(10), retry=STEADY))
    due = drive.timers["deadline:a"].due
    drive.wait(3)
    drive.fail("a")
    drive.ask(RetryStep, step="a")
    assert drive.timers["deadline:a"].due == due


def test_the_deadline_begins_anew_with_a_fresh_retry() -> None:
    drive = started(step("a", deadline=seconds(10), retry=STEADY), step("other"), limits=limits(in_flight=1))
    drive.fail("a")
    drive.wait(3)
    drive.ask(RetryStep, step="a", fresh=True)
    assert drive.states == {"a": "pending", "other": "in_progress"}
    drive.wait(2)
    drive.succeed("other")
    assert drive.timers["deadline:a"].due == drive.now + seconds(10)
    drive.wait(6)
    assert drive.states["a"] == "in_progress"


# Retry from a step.

DIAMOND = (step("a"), step("b", "a"), step("c", "a"), step("d", "b", "c"))


def rounds(drive: Drive) -> dict[str, int]:
    return {name: known.round for name, known in drive.task.steps.items()}


def test_a_step_and_all_that_depend_on_it_begin_a_new_round() -> None:
    drive = started(*DIAMOND, step("keeper"))
    drive.succeed("a", "b", "c", "d")
    drive.ask(RetryFrom, step="b")
    assert rounds(drive) == {"a": 1, "b": 2, "c": 1, "d": 2, "keeper": 1}
    assert drive.states == {
        "a": "complete",
        "b": "in_progress",
        "c": "complete",
        "d": "pending",
        "keeper": "in_progress",
    }
    d = drive.task.steps["d"]
    assert (d.waiting, d.attempt, d.execution, d.result) == (1, 0, 1, None)
    drive.succeed("b", data=b'"other"')
    assert drive.ran()[-1] == "d"
    assert (d.attempt, d.execution) == (1, 2)
    drive.finish()
    assert drive.closed == "complete"


def test_nothing_below_starts_before_what_it_depends_on_is_done_again() -> None:
    drive = started(step("a"), step("d", "a", "b"), step("b", "a"), step("keeper"))
    drive.succeed("a", "b", "d")
    drive.ask(RetryFrom, step="a")
    assert drive.ran()[-1] == "a"
    assert drive.task.steps["d"].waiting == 2
    drive.succeed("a", "b", "d")
    assert rounds(drive) == {"a": 2, "d": 2, "b": 2, "keeper": 1}


def test_a_dependent_that_failed_begins_a_new_round_and_its_deadline_too() -> None:
    drive = started(step("a"), step("b", "a", deadline=seconds(30), retry=STEADY), step("keeper"))
    drive.succeed("a")
    drive.fail("b")
    drive.ask(RetryFrom, step="a")
    b = drive.task.steps["b"]
    assert (b.state, b.round, b.attempt, b.execution, b.final) == ("pending", 2, 0, 1, None)
    assert "backoff:b:1" not in drive.timers
    drive.wait(20)
    drive.succeed("a")
    assert drive.timers["deadline:b"].due == drive.now + seconds(30)
    drive.wait(20)
    drive.succeed("b")
    assert drive.states["b"] == "complete"
    assert "deadline:b" not in drive.timers


def test_a_dependent_that_waits_for_a_place_to_try_again_begins_a_new_round() -> None:
    drive = started(step("a"), step("keeper"), step("b", "a", retry=STEADY), limits=limits(in_flight=1))
    drive.succeed("a")
    drive.succeed("keeper")
    drive.fail("b")
    drive.ask(PauseTask)
    drive.ask(RetryStep, step="b")
    drive.ask(RetryFrom, step="a")
    assert rounds(drive) == {"a": 2, "keeper": 1, "b": 2}
    assert drive.task.steps["b"].attempt == 0
    drive.ask(ResumeTask)
    drive.finish()
    assert drive.closed == "complete"


def test_a_stopped_task_does_not_start_with_an_old_result_when_its_failure_is_taken_back() -> None:
    """`d` could start as soon as `b` does not fail any more, but `c`, whose result it takes, is to be done again."""
    drive = started(
        step("a"), step("b", "a", retry=ONCE), step("c", "a"), step("d", "c"), on_failure="stop", on_error="hold"
    )
    drive.succeed("a")
    drive.fail("b")
    drive.succeed("c")
    assert (drive.state, drive.states["d"]) == ("error", "pending")
    drive.ask(RetryFrom, step="a")
    assert drive.states == {"a": "in_progress", "b": "pending", "c": "pending", "d": "pending"}
    drive.finish()
    assert (drive.closed, drive.ran()) == ("complete", ["a", "b", "c", "a", "b", "c", "d"])


def test_a_step_that_was_doomed_is_not_skipped_if_what_it_requires_is_done_again() -> None:
    drive = started(step("gate"), step("a", after=["gate"]), step("b", "a"), step("keeper"))
    drive.ask(PauseTask)
    drive.skip("a")
    drive.succeed("gate")
    drive.ask(RetryFrom, step="a")
    drive.ask(ResumeTask)
    drive.finish()
    assert (drive.closed, drive.states["b"]) == ("complete", "complete")


def test_a_dependent_that_takes_no_result_waits_again_too() -> None:
    drive = started(step("a"), step("b", after=["a"]), step("keeper"))
    drive.succeed("a", "b")
    drive.ask(RetryFrom, step="a")
    b = drive.task.steps["b"]
    assert (b.state, b.waiting, b.size, b.round) == ("pending", 1, 0, 2)
    drive.finish()
    assert drive.closed == "complete"


def test_it_is_refused_while_something_below_runs() -> None:
    drive = started(*DIAMOND)
    drive.succeed("a")
    before = "what depends on step 'a' runs: wait for steps 'b', 'c', or cancel"
    assert refused(drive, REQUESTS["retry_from"]).rule == before
    drive.succeed("b")
    assert "wait for step 'c', or cancel" in refused(drive, REQUESTS["retry_from"]).rule


def test_the_audit_keeps_what_was_done_before() -> None:
    drive = started(step("a"), step("keeper"))
    drive.succeed("a")
    drive.ask(RetryFrom, step="a")
    drive.finish()
    assert drive.path("a") == ["pending", "in_progress", "complete", "pending", "in_progress", "complete"]
    assert drive.row("step.redo_requested", "a").actor == "ann"
    assert drive.event("workflow.round_begun").steps == ("a",)


LARGE = b'"' + b"x" * SPARE_BYTES + b'"'


def test_a_result_that_a_snapshot_dropped_cannot_be_asked_for_again() -> None:
    drive = started(step("x"), step("a"), step("b", "x", "a"), step("keeper"))
    drive.succeed("x", "a", data=LARGE)
    drive.succeed("b")
    drive.drain()
    later = drive.continued()
    assert later.task.steps["x"].result is DROPPED
    assert refused(later, RetryFrom(step="b", **BY)).rule == (
        "the result of steps 'x', 'a', which would be asked for, is not kept any more"
    )
    assert "the result of step 'x'" in refused(later, REQUESTS["retry_from"]).rule
    taken(drive, REQUESTS["retry_from"])


def test_a_small_result_is_there_in_the_next_run_and_in_the_one_after_it() -> None:
    drive = started(step("x"), step("a", "x"), step("keeper", retry=ONCE))
    drive.succeed("x", data=b"7")
    drive.succeed("a")
    for _ in range(2):
        drive.drain()
        drive = drive.continued()
    drive.ask(RetryFrom, step="a")
    assert drive.ran() == ["a"]
    assert drive.task.steps["a"].size == Content(b"7").size
