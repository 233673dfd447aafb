"""Turns what a state machine did into what the task should consider next."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.core.events import Event, StepTransitioned, TaskTransitioned
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Announce, Message, TransitionTo
from tasker_temporal.core.task import Task


def initialize_steps(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """Every step begins as pending; then the task starts, or ends at once if its context is not valid."""
    for name in task.steps:
        yield TransitionTo(name, State.PENDING)
    if task.problems:
        errors = [{"loc": list(problem["loc"]), "type": problem["type"]} for problem in task.problems]
        yield TransitionTo(None, State.ERROR, {"validation_errors": errors})
    else:
        yield TransitionTo(None, State.IN_PROGRESS)


def announce_task_started(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    yield Announce("workflow.task_started")


def announce_step_over(event: Event[StepTransitioned], task: Task) -> Iterator[Message]:
    yield Announce("workflow.step_completed", {"step": event.payload.step, "state": event.payload.to_state})
