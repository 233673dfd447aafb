"""What a task and its steps wait for, since when: kept while it lasts, measured when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tasker_temporal.core.events import Event, Payload, StepNamed, StepNoted, StepTransitioned, TaskTransitioned
from tasker_temporal.core.machine import State
from tasker_temporal.core.task import Task

TASK: Final = ""
"""Stands for the task itself among the steps."""

BEGINS: Final[Mapping[str, str]] = {
    "step.execution_requested": "execution",
    "step.redispatched": "execution",
    "step.handler_missing": "handler",
    "step.backoff": "backoff",
}
"""The wait that begins with an event of a step. Any wait of the step ends with it."""

TASK_WAITS: Final[Mapping[State, str]] = {
    State.PAUSED: "pause",
    State.PENDING_APPROVAL: "approval",
    State.ERROR: "hold",
}
"""The wait that begins with a state of the task; in `error` only if the task is held."""

Since = tuple[str, float]
"""A kind of wait, and when it began, in seconds since 1970."""


class Waits:
    """The waits of one task that last. What is handed on with `known` goes over to the next run."""

    def __init__(self, known: Mapping[str, Since]) -> None:
        self.known = dict(known)

    def hear(self, event: Event[Payload], task: Task) -> tuple[Since | None, str | None]:
        """The wait that is over with the event, and the kind of the one that begins."""
        of, kind = _about(event, task)
        if of is None:
            return None, None
        over = self.known.pop(of, None)
        if kind is not None:
            self.known[of] = kind, task.now.timestamp()
        return over, kind


def _about(event: Event[Payload], task: Task) -> tuple[str | None, str | None]:
    """Whose waits the event changes, None for nobody's, and the kind that begins."""
    payload = event.payload
    if isinstance(payload, StepTransitioned):
        kind = BEGINS.get(event.name)
        return payload.step, _parked(task, payload.step) or kind if kind == "execution" else kind
    if isinstance(payload, TaskTransitioned):
        return TASK, _kind_of(payload.to_state, task)
    if event.name in BEGINS and isinstance(payload, StepNamed | StepNoted):
        return payload.step, BEGINS[event.name]
    return (TASK, None) if event.name == "task.hold_ended" else (None, None)


def _parked(task: Task, step: str) -> str | None:
    """What a step waits for that has no handler."""
    template = task.steps[step].template
    if template.runs:
        return None
    return "event" if template.approval is None else "approval"


def _kind_of(state: State | str, task: Task) -> str | None:
    if not isinstance(state, State):
        return "move"
    return TASK_WAITS.get(state) if state is not State.ERROR or task.is_held else None
