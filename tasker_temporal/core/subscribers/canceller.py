"""Stops a task that somebody cancelled: what does not run at once, what runs within the grace."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.core import timers
from tasker_temporal.core.events import Event, RowWritten, StepTransitioned
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Announce, Message, StartTimer, StopStep, Timer, TransitionTo
from tasker_temporal.core.task import Task
from tasker_temporal.core.values import after


def cancel_steps(event: Event[RowWritten], task: Task) -> Iterator[Message]:
    for name, step in task.steps.items():
        if step.is_in_flight:
            yield StopStep(name, step.execution)
        elif not step.is_over:
            yield TransitionTo(name, State.CANCELLED)
    if task.in_flight:
        yield StartTimer(Timer(timers.GRACE, "grace", None, after(task.now, task.template.cancel_grace), event.cause))
    else:
        yield Announce("workflow.no_viable_steps")


def go_on_cancelling(event: Event[StepTransitioned], task: Task) -> Iterator[Message]:
    """A running step has stopped: perhaps it was the last."""
    if event.payload.from_state is State.IN_PROGRESS and task.steps[event.payload.step].template.runs:
        yield Announce("workflow.no_viable_steps")
