"""What a state of a step means for the sums and queues of its task, when it is left and when it is entered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tasker_temporal.core.answers import reconsider
from tasker_temporal.core.arguments import forget_gone
from tasker_temporal.core.joins import begin_round, count_down, count_up, join, occupy
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Failure, TransitionTo
from tasker_temporal.core.task import Step, Task


def _stop_running(task: Task, step: Step) -> None:
    occupy(task, step, -1)
    step.missing_since = None


def forget_failure(task: Task, step: Step) -> None:
    """What failed is not failed any more, in the sums of its task."""
    if step.handled is not None:
        _come_back(task, step)
        task.handled -= 1
        step.handled = step.final = None
    elif step.final is None:
        task.backing_off -= 1
    else:
        task.exhausted -= 1
        step.final = step.started_at = step.ended_at = None
    if step.template.approval is not None and step.attempt:
        begin_round(step)


def _come_back(task: Task, step: Step) -> None:
    """The step is not over any more: a new round of it begins, and what depends on it waits again."""
    count_up(task, step)
    begin_round(step)
    step.result = step.failure = step.ended_at = None
    step.by_hand = False


LEAVE: Final[Mapping[State | None, Callable[[Task, Step], None]]] = {
    State.IN_PROGRESS: _stop_running,
    State.ERROR: forget_failure,
    State.COMPLETE: _come_back,
    State.SKIPPED: _come_back,
    State.RESOLVED_MANUALLY: _come_back,
}


def _await(task: Task, step: Step, wish: TransitionTo) -> None:
    if wish.fresh:
        step.attempt, step.started_at = 0, None
    if step.clocks:
        task.journal.append(task.wound, step.name)
    forget_gone(task, step)
    reconsider(task, step)
    join(task, step)


def _run(task: Task, step: Step, wish: TransitionTo) -> None:
    occupy(task, step, 1)
    if step.started_at is None:
        step.started_at = task.now
    step.fired = step.template.trigger is not None or bool(step.template.when)


def _fail(task: Task, step: Step, wish: TransitionTo) -> None:
    assert wish.failure is not None
    step.failure = wish.failure
    judge(task, step, why_final(task, step, wish.failure))


def judge(task: Task, step: Step, final: str | None) -> None:
    """Count the failure as one that is tried again, or as final, and why."""
    if final is None:
        task.backing_off += 1
    else:
        task.exhausted += 1
        step.final, step.ended_at = final, task.now


def _end(task: Task, step: Step, wish: TransitionTo) -> None:
    step.ended_at, step.result = task.now, wish.result
    step.by_hand = "by_hand" in wish.metadata or (wish.result is not None and not step.template.runs)
    count_down(task, step)


def _abandon(task: Task, step: Step, wish: TransitionTo) -> None:
    step.ended_at = task.now


ENTER: Final[Mapping[State, Callable[[Task, Step, TransitionTo], None]]] = {
    State.PENDING: _await,
    State.IN_PROGRESS: _run,
    State.COMPLETE: _end,
    State.SKIPPED: _end,
    State.RESOLVED_MANUALLY: _end,
    State.ERROR: _fail,
    State.CANCELLED: _abandon,
}


def why_final(task: Task, step: Step, failure: Failure) -> str | None:
    """Why no attempt follows this failure; None if one does. Attempts count from 1, the first included."""
    if task.cancelling is not None:
        return "cancelling"
    if failure.type == "StepDeadlineExceeded":
        return "deadline"
    if not failure.retryable:
        return "permanent"
    if not step.template.retryable:
        return "not_retryable"
    return "attempts" if step.attempt >= step.template.retry.attempts else None
