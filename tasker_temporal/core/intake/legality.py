"""When is a request legal? Two tables, and the sentence that a refusal says."""

from __future__ import annotations

from typing import Final

from tasker_temporal.core.machine import OPEN, State
from tasker_temporal.core.requests import Ask, StepAsk
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused

S = State

TASK_REQUESTS: Final[dict[str, frozenset[State]]] = {
    "cancel": OPEN | {S.ERROR},
    "pause": frozenset({S.IN_PROGRESS}),
    "resume": frozenset({S.PAUSED}),
    "retry": frozenset({S.ERROR}),
    "resolve": frozenset({S.ERROR}),
    "send_event": OPEN | {S.ERROR},
}
"""The states of the task in which each request about it is legal."""

STEP_REQUESTS: Final[dict[str, frozenset[State]]] = {
    "skip": frozenset({S.PENDING, S.ERROR}),
    "retry_step": frozenset({S.ERROR}),
    "retry_from": frozenset({S.COMPLETE, S.SKIPPED, S.RESOLVED_MANUALLY}),
    "resolve_step": frozenset({S.PENDING, S.ERROR}),
    "complete_step": frozenset({S.PENDING, S.IN_PROGRESS, S.ERROR}),
    "change_step": frozenset(State) - {S.IN_PROGRESS, S.CANCELLED},
}
"""The states of a step in which each request about it is legal, while its task is open."""


HANDLED: Final = ("retry_from", "change_step")
"""What is legal for a step whose failure another step handles: the failure is final, and others have run after it."""


def legal_requests(task: Task, step: str | None = None) -> tuple[str, ...]:
    """The requests that the tables allow now, for the task, or for one step of it."""
    if not task.is_open or task.cancelling is not None:
        return ()
    if step is None:
        hidden = () if task.template.events else ("send_event",)
        return tuple(name for name, states in TASK_REQUESTS.items() if task.state in states and name not in hidden)
    if task.steps[step].handled is not None:
        return HANDLED
    return tuple(name for name, states in STEP_REQUESTS.items() if task.steps[step].state in states)


def require_legal(asked: Ask, name: str, task: Task) -> None:
    """Refuse what the tables do not allow.

    Raises:
        RequestRefused: saying which rule, and what is legal now.
    """
    if task.cancelling is not None and task.is_open:
        raise RequestRefused(f"the task is being cancelled, as {task.cancelled_by[0]!r} asked")
    if not task.is_open:
        raise RequestRefused(f"the task is {task.state}: only an open task takes requests")
    step = asked.step if isinstance(asked, StepAsk) else None
    if step is not None and step not in task.steps:
        raise RequestRefused(f"there is no step {step!r}; there are {', '.join(task.steps) or 'none'}")
    legal = legal_requests(task, step)
    if name not in legal:
        raise RequestRefused(_rule(name, step, task), legal)


def _rule(name: str, step: str | None, task: Task) -> str:
    if step is not None and task.steps[step].handled is not None:
        handler = task.steps[step].handled
        return f"the failure of step {step!r} is handled by {handler!r}: only 'retry_from' does it once more"
    if name == "send_event" and task.state in TASK_REQUESTS[name]:
        return "the task's template declares no events"
    who = "the task" if step is None else f"step {step!r}"
    state = task.state if step is None else task.steps[step].state
    states = TASK_REQUESTS[name] if step is None else STEP_REQUESTS[name]
    return f"{who} is {state}: {name!r} is legal for one that is {_any_of(states)}"


def _any_of(states: frozenset[State]) -> str:
    return " or ".join(state for state in State if state in states)
