"""Starts the steps that were found viable, and orders a run of the handler of each that started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasker_temporal.core.events import Event, StepNoted, StepsNamed, StepTransitioned
from tasker_temporal.core.joins import may_start, weight
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Failure, Message, RunStep, TransitionTo
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import PAYLOAD_LIMIT


def start_steps(event: Event[StepsNamed], task: Task) -> Iterator[Message]:
    """A step that failed for good meanwhile may have stopped the rest of them."""
    for name in event.payload.steps:
        if may_start(task, task.steps[name]):
            yield TransitionTo(name, State.IN_PROGRESS)


def run_step(event: Event[StepTransitioned | StepNoted], task: Task) -> Sequence[Message]:
    """The server refuses a payload over its limit again and again, so what is too large fails its step here."""
    step = task.steps[event.payload.step]
    if not step.template.runs:
        return ()
    if (size := weight(task, step)) > PAYLOAD_LIMIT:
        what = (
            f"{size} bytes of context, results and config"
            if step.template.config
            else f"{size} bytes of context and results"
        )
        message = f"its handler asks for {what}: at most {PAYLOAD_LIMIT} can be sent"
        failure = Failure("StepInputTooLarge", message, retryable=False)
        return (TransitionTo(step.name, State.ERROR, failure=failure),)
    return (RunStep(step.name, step.execution, step.attempt),)
