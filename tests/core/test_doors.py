"""The doors by which people step in: where each is open, and what comes of going through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    DROPPED,
    Answer,
    CloseTask,
    Content,
    RunStep,
    StartTimer,
    StepStopped,
    StepSucceeded,
    StopStep,
    StopTimer,
    TimerFired,
)
from tasker_temporal.core.requests import (
    Ask,
    CancelTask,
    ChangeStep,
    CompleteStep,
    PauseTask,
    ResolveStep,
    ResolveTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
    SkipStep,
)
from tasker_temporal.core.rows import verify
from tasker_temporal.core.waiting import waiting
from tasker_temporal.errors import RequestRefused
from tests.core.driving import ONCE, STEADY, Drive, dump, limits, restored, seconds, started, step, template

BY: dict[str, Any] = {"actor": "ann", "reason": "a call"}

REQUESTS: dict[str, Ask] = {
    "cancel": CancelTask(**BY),
    "pause": PauseTask(**BY),
    "resume": ResumeTask(**BY),
    "retry": RetryTask(**BY),
    "resolve": ResolveTask(**BY),
    "skip": SkipStep(step="a", **BY),
    "retry_step": RetryStep(step="a", **BY),
    "retry_from": RetryFrom(step="a", **BY),
    "resolve_step": ResolveStep(step="a", **BY),
    "complete_step": CompleteStep(step="a", result=1, **BY),
    "change_step": ChangeStep(step="a", attempts=7, **BY),
}
TWICE = STEADY.model_copy(update={"attempts": 2})
OF_TASK = ("cancel", "pause", "resume", "retry", "resolve")


# Where a task can stand. Its steps: `a` comes after `gate`, and `other` keeps the task busy unless it fails.


def begun(state: str, **options: Any) -> Drive:
    """A task in progress whose step `a` is in the state."""
    drive = started(step("gate"), step("a", after=["gate"], retry=STEADY), step("other", retry=ONCE), **options)
    if state != "pending":
        drive.succeed("gate")
        STEP_WAYS[state](drive)
    assert drive.states["a"] == state.split(",")[0]
    return drive


STEP_WAYS: dict[str, Callable[[Drive], object]] = {
    "in_progress": lambda drive: None,
    "complete": lambda drive: drive.succeed("a"),
    "error": lambda drive: drive.fail("a"),
    "error, for good": lambda drive: drive.fail("a", retryable=False),
    "skipped": lambda drive: (drive.fail("a"), drive.skip("a")),
    "resolved_manually": lambda drive: (drive.fail("a"), drive.ask(ResolveStep, step="a")),
}
STEP_STATES = ["pending", *STEP_WAYS]

STEP_LEGAL = {
    "pending": {"skip", "resolve_step", "complete_step", "change_step"},
    "in_progress": {"complete_step"},
    "complete": {"retry_from", "change_step"},
    "error": {"skip", "retry_step", "resolve_step", "complete_step", "change_step"},
    "error, for good": {"skip", "retry_step", "resolve_step", "complete_step", "change_step"},
    "skipped": {"retry_from", "change_step"},
    "resolved_manually": {"retry_from", "change_step"},
}


def paused(state: str = "pending") -> Drive:
    drive = begun(state)
    drive.ask(PauseTask)
    return drive


def held() -> Drive:
    drive = started(step("a", retry=ONCE), step("b", retry=ONCE), on_error="hold")
    drive.fail("a")
    drive.fail("b")
    return drive


def failed() -> Drive:
    drive = started(step("a", retry=ONCE))
    drive.fail("a")
    return drive


def completed() -> Drive:
    drive = started(step("a"))
    drive.succeed("a")
    return drive


def cancelled() -> Drive:
    drive = failed_step()
    drive.cancel()
    return drive


def failed_step() -> Drive:
    drive = started(step("a", retry=STEADY))
    drive.fail("a")
    return drive


def cancelling() -> Drive:
    drive = started(step("a"))
    drive.cancel()
    return drive


def resolved() -> Drive:
    drive = held()
    drive.ask(ResolveTask)
    return drive


TASK_LEGAL: dict[str, tuple[Callable[[], Drive], set[str]]] = {
    "not begun": (lambda: Drive(template(step("a"))), set()),
    "in_progress": (lambda: begun("in_progress"), {"cancel", "pause"}),
    "paused": (paused, {"cancel", "resume"}),
    "held": (held, {"cancel", "retry", "resolve"}),
    "reopened": (lambda: failed().reopened(), {"cancel", "retry", "resolve"}),
    "being cancelled": (cancelling, set()),
    "error": (failed, set()),
    "complete": (completed, set()),
    "cancelled": (cancelled, set()),
    "resolved_manually": (resolved, set()),
}


def refused(drive: Drive, request: Ask) -> RequestRefused:
    """The refusal, of which nothing is left, whether it is asked or planned."""
    before, said = dump(drive.task), list(drive.said)
    with pytest.raises(RequestRefused) as planned:
        drive.engine.plan(request, drive.now + seconds(1))
    with pytest.raises(RequestRefused) as caught:
        drive.engine.apply(request, drive.now + seconds(1))
    assert (dump(drive.task), drive.said) == (before, said)
    assert str(planned.value) == str(caught.value)
    return caught.value


def taken(drive: Drive, request: Ask) -> None:
    """The request is applied, as it was planned, and the plan left no trace."""
    before, said = dump(drive.task), list(drive.said)
    planned = drive.engine.plan(request, drive.now)
    assert (dump(drive.task), drive.said) == (before, said)
    first = drive.task.sort_key
    drive.tell(request)
    done = [row for row in drive.rows if row.sort_key > first]
    assert done[: len(planned)] == planned
    assert (done[0].actor, done[0].reason, done[0].cause) == ("ann", "a call", None)


@pytest.mark.parametrize("name", OF_TASK)
@pytest.mark.parametrize("state", TASK_LEGAL)
def test_each_request_about_a_task_is_legal_in_its_states_and_refused_in_all_others(state: str, name: str) -> None:
    make, legal = TASK_LEGAL[state]
    drive = make()
    if name in legal:
        taken(drive, REQUESTS[name])
    else:
        assert set(refused(drive, REQUESTS[name]).legal) == legal


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in OF_TASK])
@pytest.mark.parametrize("state", STEP_STATES)
@pytest.mark.parametrize("task", ["in_progress", "paused"])
def test_each_request_about_a_step_is_legal_in_its_states_and_refused_in_all_others(
    task: str, state: str, name: str
) -> None:
    drive = begun(state) if task == "in_progress" else paused(state)
    if name in STEP_LEGAL[state]:
        taken(drive, REQUESTS[name])
    else:
        error = refused(drive, REQUESTS[name])
        assert set(error.legal) == STEP_LEGAL[state]
        assert error.rule.startswith(f"step 'a' is {drive.states['a']}: {name!r} is legal for one that is ")


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in OF_TASK])
@pytest.mark.parametrize("state", TASK_LEGAL)
def test_a_step_takes_requests_exactly_while_its_task_is_open(state: str, name: str) -> None:
    make, _ = TASK_LEGAL[state]
    drive = make()
    closed = {"not begun", "being cancelled", "error", "complete", "cancelled", "resolved_manually"}
    if state in closed:
        assert refused(drive, REQUESTS[name]).legal == ()
    elif name in STEP_LEGAL[drive.states["a"]]:
        taken(drive, REQUESTS[name])
    else:
        refused(drive, REQUESTS[name])


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in OF_TASK])
def test_a_step_that_does_not_exist_is_named(name: str) -> None:
    request = REQUESTS[name].model_copy(update={"step": "z"})
    assert refused(begun("pending"), request).rule == "there is no step 'z'; there are gate, a, other"


def test_a_refusal_says_in_which_states_a_request_is_legal() -> None:
    assert refused(begun("pending"), REQUESTS["retry_from"]).rule == (
        "step 'a' is pending: 'retry_from' is legal for one that is complete or resolved_manually or skipped"
    )
    assert refused(held(), REQUESTS["pause"]).rule == "the task is error: 'pause' is legal for one that is in_progress"


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_id_twice_has_one_effect_and_one_answer(name: str) -> None:
    makers: dict[str, Callable[[], Drive]] = {"resume": paused, "retry": held, "resolve": held}
    drive = makers.get(name, lambda: begun("complete" if name == "retry_from" else "error"))()
    request = REQUESTS[name].model_copy(update={"request_id": "one"})
    drive.tell(request)
    before, answer = dump(drive.task), drive.engine.answer("one")
    assert answer is not None
    assert drive.tell(request) == []
    assert (dump(drive.task), drive.engine.answer("one")) == (before, answer)
    assert restored(drive.task).answers["one"] == answer


# Pause and resume.


def test_a_paused_task_starts_nothing_and_records_what_ends() -> None:
    drive = started(step("a"), step("b", "a"), step("c"), step("d"), limits=limits(in_flight=1))
    drive.ask(PauseTask)
    assert drive.succeed("a") == []
    assert drive.states == {"a": "complete", "b": "pending", "c": "pending", "d": "pending"}
    drive.ask(ResumeTask)
    assert drive.ran() == ["a", "c"]
    drive.finish()
    assert drive.path() == ["pending", "in_progress", "paused", "in_progress", "complete"]


def test_a_paused_task_is_not_over_before_it_is_resumed() -> None:
    for end in ("complete", "error"):
        drive = started(step("a", retry=ONCE))
        drive.ask(PauseTask)
        drive.succeed("a") if end == "complete" else drive.fail("a")
        assert (drive.state, drive.closed) == ("paused", None)
        assert waiting(drive.task)[0].could == ("cancel", "resume")
        drive.ask(ResumeTask)
        assert drive.closed == end


def test_what_came_due_while_the_task_was_paused_takes_effect_at_resume_in_due_order() -> None:
    drive = started(
        step("late", retry=STEADY),
        step("early", retry=STEADY),
        step("slow", deadline=seconds(6)),
        step("far", deadline=seconds(60)),
    )
    drive.fail("late", after=9)
    drive.fail("early", after=3)
    drive.ask(PauseTask)
    drive.wait(20)
    assert list(drive.overdue) == ["backoff:early:1", "deadline:slow", "backoff:late:1"]
    assert drive.states == {"late": "error", "early": "error", "slow": "in_progress", "far": "in_progress"}
    commands = drive.ask(ResumeTask)
    due = [command.timer.id for command in commands if isinstance(command, StartTimer)]
    assert due == ["backoff:early:1", "deadline:slow", "backoff:late:1"]
    drive.wait(0)
    assert [row.step for row in drive.rows[-7:] if row.to_state in ("pending", "error")] == ["early", "slow", "late"]
    assert drive.row("step.failed", "slow").metadata["error"]["type"] == "StepDeadlineExceeded"
    assert drive.states["far"] == "in_progress"


def test_a_timer_that_did_not_come_due_during_the_pause_is_left_alone() -> None:
    drive = failed_step()
    drive.ask(PauseTask)
    drive.wait(1)
    assert drive.ask(ResumeTask) == []
    drive.wait(3)
    assert drive.states["a"] == "in_progress"


def test_a_paused_task_can_be_cancelled() -> None:
    drive = started(step("a"), step("b", retry=STEADY), step("c", "a"))
    drive.fail("b")
    drive.ask(PauseTask)
    drive.wait(10)
    commands = drive.cancel()
    assert StopStep("a", 1) in commands
    assert StopTimer("backoff:b:1") in commands
    assert drive.state == "paused"
    drive.wait(30)
    assert (drive.closed, drive.states) == ("cancelled", {"a": "cancelled", "b": "cancelled", "c": "cancelled"})
    assert drive.path()[-2:] == ["paused", "cancelled"]


def test_a_paused_task_continues_as_new_and_stays_paused() -> None:
    drive = started(step("a"), step("b", retry=STEADY), step("c", "a"))
    drive.fail("b")
    drive.ask(PauseTask)
    drive.drain()
    drive.succeed("a")
    drive.wait(10)
    later = drive.continued()
    assert (later.state, later.ran()) == ("paused", [])
    later.wait(0)
    assert later.ran() == []
    later.ask(ResumeTask)
    later.finish()
    assert (later.closed, later.ran()) == ("complete", ["c", "b"])


def test_a_handler_that_is_awaited_is_not_run_before_resume() -> None:
    drive = started(step("a"))
    drive.miss("a")
    drive.ask(PauseTask)
    drive.wait(5)
    assert drive.ran() == ["a"]
    drive.ask(ResumeTask)
    drive.wait(0)
    assert drive.ran() == ["a", "a"]


def test_what_a_paused_task_waits_for_is_the_pause() -> None:
    drive = started(step("gate"), step("a", "gate"), step("b", "a"))
    drive.ask(PauseTask)
    drive.skip("a")
    drive.succeed("gate")
    lines = {line.step: (line.kind, line.what) for line in waiting(drive.task)}
    assert lines == {None: ("pause", "somebody to resume it"), "b": ("pause", "the task to go on")}
    drive.ask(ResumeTask)
    assert (drive.states["b"], drive.closed) == ("skipped", "complete")


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


def test_a_result_that_a_snapshot_dropped_cannot_be_asked_for_again() -> None:
    drive = started(step("x"), step("a"), step("b", "x", "a"), step("keeper"))
    drive.succeed("x", "a", "b")
    drive.drain()
    later = drive.continued()
    assert later.task.steps["x"].result is DROPPED
    assert refused(later, RetryFrom(step="b", **BY)).rule == (
        "the result of steps 'x', 'a', which would be asked for, is not kept any more"
    )
    assert "the result of step 'x'" in refused(later, REQUESTS["retry_from"]).rule
    taken(drive, REQUESTS["retry_from"])


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
    assert later.task.answers["one"] == Answer(7, 7)
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
    assert error.legal == ("resolve", "cancel")
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
