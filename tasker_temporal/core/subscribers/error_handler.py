"""Says of a failed step whether another attempt follows, and if not, why not."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.core.events import Event, StepNoted, StepTransitioned
from tasker_temporal.core.messages import Announce, Message, StopStep
from tasker_temporal.core.task import Step, Task


def handle_failure(event: Event[StepTransitioned], task: Task) -> Iterator[Message]:
    step = task.steps[event.payload.step]
    if step.final is None:
        yield Announce("error.retry_wanted", {"step": step.name})
        return
    if step.final == "deadline" and step.template.runs:
        yield StopStep(step.name, step.execution)
    yield _end_of_retries(step, step.final)


def handle_passed_deadline(event: Event[StepNoted], task: Task) -> Iterator[Message]:
    """The deadline passed while the step waited for its next attempt."""
    yield _end_of_retries(task.steps[event.payload.step], "deadline")


def _end_of_retries(step: Step, because: str) -> Message:
    if because == "attempts":
        return Announce("step.max_retries_reached", {"step": step.name, "attempts": step.attempt})
    return Announce("step.failed_permanently", {"step": step.name, "because": because})
