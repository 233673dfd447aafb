"""Turns what a state machine did into what the task should consider next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasker_temporal.core.events import Event, StepsNamed, StepTransitioned, TaskTransitioned
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Announce, Message, Note, TransitionTo
from tasker_temporal.core.task import NOBODY, Task


def initialize_steps(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """Every step begins as pending; then the task starts, unless its context is wrong or it was cancelled before."""
    for name in task.steps:
        yield TransitionTo(name, State.PENDING)
    if task.problems:
        errors = [{"loc": list(problem["loc"]), "type": problem["type"]} for problem in task.problems]
        yield TransitionTo(None, State.ERROR, {"validation_errors": errors})
    elif task.cancelled_by != NOBODY:
        actor, reason = task.cancelled_by
        yield Note("task.cancel_requested", actor=actor, reason=reason)
    else:
        yield TransitionTo(None, State.IN_PROGRESS)


def announce_task_started(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    yield Announce("workflow.task_started")


def retry_unblocked_task(event: Event[StepTransitioned | StepsNamed], task: Task) -> Iterator[Message]:
    """Whoever removes the last failure of a held task wants it to go on, unless its context is not valid.

    What failed may be the task itself, even in this very moment: only another round of its steps can change that.
    """
    if task.failure is not None and isinstance(event.payload, StepTransitioned):
        return
    if task.state is State.ERROR and task.counts[State.ERROR] == task.handled and not task.problems:
        yield TransitionTo(None, State.PENDING, reason="its last failure was removed")


def announce_step_over(event: Event[StepTransitioned], task: Task) -> Sequence[Message]:
    return (Announce("workflow.step_completed", {"step": event.payload.step, "state": event.payload.to_state}),)
