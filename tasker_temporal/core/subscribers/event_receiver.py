"""Ends the steps that waited for an event, as soon as it has come and they have begun to wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasker_temporal.core.arguments import payload_of
from tasker_temporal.core.events import Event, RowWritten, StepTransitioned
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Message, TransitionTo
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.triggers import Received


def end_waits(event: Event[RowWritten], task: Task) -> Iterator[Message]:
    for name in event.payload.metadata["taken_by"]:
        step = task.steps[name]
        if step.state is State.IN_PROGRESS and step.template.awaits == "event":
            yield from _taken(task, step)


def take_early(event: Event[StepTransitioned], task: Task) -> Iterable[Message]:
    """The event came before the step began to wait for it."""
    step = task.steps[event.payload.step]
    return _taken(task, step) if step.came and step.template.awaits == "event" else ()


def _taken(task: Task, step: Step) -> Iterator[Message]:
    assert isinstance(step.template.on, Received)
    payload = payload_of(task, step, step.template.on.received)
    assert payload is not None  # It is kept as long as somebody waits who has not taken it.
    yield TransitionTo(step.name, State.COMPLETE, result=payload, cause=next(iter(step.came.values())))
