"""What people do instead of a handler: resolve, complete, and change a step."""

from __future__ import annotations

from typing import Any

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    DROPPED,
    CloseTask,
    Content,
    RunStep,
    StepStopped,
    StepSucceeded,
    StopStep,
)
from tasker_temporal.core.requests import (
    ChangeStep,
    CompleteStep,
    RetryFrom,
)
from tests.core.doors import BY, REQUESTS, STEP_WAYS, TWICE, begun, refused, taken
from tests.core.driving import STEADY, restored, seconds, started, step

# Resolve and complete by hand.


def test_a_step_whose_result_is_required_cannot_be_resolved() -> None:
    drive = started(step("gate"), step("a", after=["gate"]), step("b", "a"), step("c", "a?"), step("d", "a"))
    error = refused(drive, REQUESTS["resolve_step"])
    assert error.rule == "steps 'b', 'd' cannot do without the result of step 'a'"
    assert error.legal == ("complete_step", "skip")
    drive.skip("b")
    assert refused(drive, REQUESTS["resolve_step"]).rule.startswith("step 'd' cannot do without")
    drive.skip("d")
    taken(drive, REQUESTS["resolve_step"])
    drive.finish()
    assert drive.states == {
        "gate": "complete",
        "a": "resolved_manually",
        "b": "skipped",
        "c": "complete",
        "d": "skipped",
    }


@pytest.mark.parametrize("state", ["pending", "error", "error, for good", "in_progress"])
def test_a_step_completed_by_hand_hands_on_its_result(state: str) -> None:
    drive = started(step("gate"), step("a", "gate", retry=STEADY, deadline=seconds(60)), step("b", "a"), step("keeper"))
    if state != "pending":
        drive.succeed("gate")
        STEP_WAYS[state](drive)
    drive.ask(CompleteStep, step="a", result={"n": 7})
    a, b = drive.task.steps["a"], drive.task.steps["b"]
    assert (a.result, b.size) == (Content(b'{"n":7}'), Content(b'{"n":7}').size)
    assert drive.states["b"] == "in_progress"
    assert not any(timer.endswith(":a") or ":a:" in timer for timer in drive.timers)
    row = drive.row("step.completed" if state == "in_progress" else "step.completed_manually", "a")
    assert row.metadata["by_hand"] is True
    assert row.metadata["result"] == drive.task.trace(b'{"n":7}')
    assert (row.actor, row.reason) == ("ann", "a call")


def test_a_running_step_that_is_completed_by_hand_is_stopped_and_its_own_outcome_is_noted() -> None:
    drive = started(step("a"), step("b", "a"))
    assert drive.ask(CompleteStep, step="a", result=7) == [RunStep("b", 1, 1), StopStep("a", 1)]
    drive.tell(StepSucceeded("a", 1, Content(b"8")))
    row = drive.rows[-1]
    assert (row.event, row.step, row.metadata["outcome"]) == ("step.outcome_noted", "a", "complete")
    drive.tell(StepStopped("a", 1))
    assert drive.rows[-1].metadata == {"execution": 1, "outcome": "cancelled"}
    assert drive.task.steps["a"].result == Content(b"7")


def test_a_result_given_by_hand_is_kept_by_every_snapshot_until_the_step_is_done_again() -> None:
    drive = started(step("a"), step("keeper"))
    drive.ask(CompleteStep, step="a", result=7)
    kept = restored(drive.task).steps["a"]
    assert (kept.result, kept.by_hand) == (Content(b"7"), True)
    drive.ask(RetryFrom, step="a")
    drive.succeed("a")
    kept = restored(drive.task).steps["a"]
    assert (kept.result, kept.by_hand) == (DROPPED, False)


def test_the_last_step_completed_by_hand_ends_the_task() -> None:
    drive = started(step("a"))
    assert drive.ask(CompleteStep, step="a") == [CloseTask(State.COMPLETE), StopStep("a", 1)]
    assert drive.task.steps["a"].result == Content(b"null")


def test_a_step_that_waits_for_its_handler_can_be_completed_by_hand() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.miss("a")
    drive.ask(CompleteStep, step="a", result=7)
    assert drive.timers == {}
    drive.finish()
    assert drive.closed == "complete"


# Change a step.


def test_a_changed_step_runs_otherwise_in_this_task_only() -> None:
    drive = started(step("a", retry=TWICE), step("other"))
    drive.fail("a")
    declared = drive.task.template
    change: dict[str, Any] = {"attempts": 4, "timeout": seconds(5), "task_queue": "gpu", "config": {"pace": "secret"}}
    assert drive.ask(ChangeStep, step="a", **change) == []
    now = drive.task.steps["a"].template
    assert (now.retry.attempts, now.max_attempts, now.timeout, now.task_queue, now.config) == (
        4,
        4,
        seconds(5),
        "gpu",
        {"pace": "secret"},
    )
    assert drive.task.template is declared
    assert declared.step("a").max_attempts == 2
    row = drive.rows[-1]
    assert (row.kind, row.event, row.entity, row.actor) == ("noted", "step.changed", "step:a", "ann")
    assert row.metadata["attempts"] == 4
    assert "secret" not in repr(row)
    assert set(row.metadata["config"]) == {"size", "sha256"}
    kept = restored(drive.task).steps["a"]
    assert (kept.template, kept.changes) == (now, drive.task.steps["a"].changes)
    assert kept.template.max_attempts == 4


def test_more_attempts_count_from_the_next_failure_on() -> None:
    drive = started(step("a", retry=TWICE))
    drive.fail("a")
    drive.ask(ChangeStep, step="a", attempts=3)
    drive.wait(4)
    drive.fail("a")
    assert drive.closed is None
    drive.wait(4)
    drive.fail("a")
    assert drive.closed == "error"


def test_changes_add_up() -> None:
    drive = begun("pending")
    drive.ask(ChangeStep, step="a", attempts=9)
    drive.ask(ChangeStep, step="a", timeout=seconds(3))
    drive.ask(ChangeStep, step="a", attempts=8)
    assert drive.task.steps["a"].changes == {"attempts": 8, "timeout": 3.0}


def test_a_change_of_nothing_is_refused() -> None:
    error = refused(begun("pending"), ChangeStep(step="a", **BY))
    assert error.rule == "it changes nothing: expected attempts, timeout, task_queue or config"


@pytest.mark.parametrize("state", ["pending", "error", "complete"])
def test_attempts_of_a_step_that_is_not_retryable_are_not_changed(state: str) -> None:
    drive = started(step("a", retryable=False), step("b", after=["a"], retryable=False), step("keeper"))
    if state != "pending":
        drive.succeed("a")
        drive.succeed("b") if state == "complete" else drive.fail("b")
    error = refused(drive, ChangeStep(step="b", attempts=3, timeout=seconds(3), **BY))
    assert error.rule == "step 'b' is declared with retryable=False, so it has one attempt: retry it by hand"
    assert "change_step" in error.legal
    drive.ask(ChangeStep, step="b", timeout=seconds(3))
    assert drive.task.steps["b"].template.timeout == seconds(3)
