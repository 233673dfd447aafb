"""Takes note of the failures that a step handles, when it begins to run because of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tasker_temporal.core.answers import handles
from tasker_temporal.core.events import Event, StepTransitioned
from tasker_temporal.core.messages import Message, Note
from tasker_temporal.core.task import Step, Task


def handle_failures(event: Event[StepTransitioned], task: Task) -> Iterable[Message]:
    handler = task.steps[event.payload.step]
    return () if handler.template.trigger is None else _handled(task, handler)


def _handled(task: Task, handler: Step) -> Iterator[Message]:
    """What follows from the first of several may make another step begin that handles the second."""
    while names := handles(task, handler):
        failed = names[0]
        yield Note("step.failure_handled", failed, {"by": handler.name})
