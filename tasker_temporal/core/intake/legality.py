"""When is a request legal? Two tables, what they cannot say of a task, and the sentence that a refusal says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tasker_temporal.core.ballots import approval_id, is_awaited, terms_of, votes_so_far, voting
from tasker_temporal.core.guards import requestable
from tasker_temporal.core.machine import OPEN, State
from tasker_temporal.core.requests import Ask, StepAsk, VoteAsk
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
    "move": frozenset(),
}
"""The states of the task in which each request about it is legal; `move` depends on the rows of its type."""

STEP_REQUESTS: Final[dict[str, frozenset[State]]] = {
    "skip": frozenset({S.PENDING, S.ERROR}),
    "retry_step": frozenset({S.ERROR}),
    "retry_from": frozenset({S.COMPLETE, S.SKIPPED, S.RESOLVED_MANUALLY}),
    "resolve_step": frozenset({S.PENDING, S.ERROR}),
    "complete_step": frozenset({S.PENDING, S.IN_PROGRESS, S.ERROR}),
    "change_step": frozenset(State) - {S.IN_PROGRESS, S.CANCELLED},
}
"""The states of a step in which each request about it is legal, while its task is open."""


FACT: Final = "send_event"
"""What has happened outside is always taken, of a task that is being cancelled too: it is noted, and nobody gets it."""

ANYWHERE: Final = ("cancel", FACT)
"""What is legal in the states of a type's own."""

HANDLED: Final = ("retry_from", "change_step")
"""What is legal for a step whose failure another step handles: the failure is final, and others have run after it."""


def _no_retry(task: Task) -> str | None:
    return "its context is not valid: start another task with a valid one" if task.problems else None


def _no_events(task: Task) -> str | None:
    return None if task.template.events else "the task's template declares no events"


TASK_GUARDS: Final[Mapping[str, Callable[[Task], str | None]]] = {"retry": _no_retry, "send_event": _no_events}
"""Why a request about the task is refused though its state allows it; None if it is not."""

VOTES: Final = ("approve", "reject", "withdraw")
"""Legal while the approval is open, and early, while it is not open yet."""


def legal_requests(task: Task, step: str | None = None) -> tuple[str, ...]:
    """The requests that are legal now for the task, or that its table allows for one step of it."""
    if not task.is_open:
        return ()
    if task.cancelling is not None:
        return (FACT,) if step is None and _objection(FACT, task) is None else ()
    if step is not None:
        state = task.steps[step].state
        found = [name for name, states in STEP_REQUESTS.items() if state in states or _undoes(name, task, step)]
        found = [name for name in found if not _barred(name, task, step)]
    else:
        found = [name for name in TASK_REQUESTS if _is_for(name, task) and _objection(name, task) is None]
    return (*found, *_votes(task, step))


def _is_for(name: str, task: Task) -> bool:
    """A state of a type's own is as open as any."""
    own = name in ANYWHERE and task.state in task.type.states
    return own or (name == "move" and bool(requestable(task))) or task.state in TASK_REQUESTS[name]


def _undoes(name: str, task: Task, step: str) -> bool:
    """A failure that is handled is as over as a result."""
    return name == "retry_from" and task.steps[step].handled is not None


def _barred(name: str, task: Task, step: str) -> str | None:
    """Why a request about a step is not legal, although the step's state would allow it."""
    known = task.steps[step]
    if name == "complete_step" and known.template.approval is not None and known.state is S.IN_PROGRESS:
        return f"step {step!r} is decided by votes"
    if known.handled is not None and name not in HANDLED:
        return f"the failure of step {step!r} is handled by {known.handled!r}: only 'retry_from' does it once more"
    if name == "retry_from" and task.state in task.type.waits:
        return f"the task is {task.state}, where no step runs: it must be moved, or rejected, first"
    return None


def _votes(task: Task, step: str | None) -> tuple[str, ...]:
    if not is_awaited(task, step):
        return ()
    return ("approve", "reject", "withdraw") if votes_so_far(task, approval_id(task, step)) else ("approve", "reject")


def require_legal(asked: Ask, name: str, task: Task) -> None:
    """Refuse what the tables do not allow.

    Raises:
        RequestRefused: saying which rule, and what is legal now.
    """
    if not task.is_open:
        raise RequestRefused(f"the task is {task.state}: only an open task takes requests")
    step = asked.step if isinstance(asked, StepAsk | VoteAsk) else None
    if step is not None and step not in task.steps:
        raise RequestRefused(f"there is no step {step!r}; there are {', '.join(task.steps) or 'none'}")
    legal = legal_requests(task, step)
    if name not in legal:
        raise RequestRefused(_rule(name, step, task), legal)


def _objection(name: str, task: Task) -> str | None:
    return TASK_GUARDS[name](task) if name in TASK_GUARDS else None


def _rule(name: str, step: str | None, task: Task) -> str:
    if task.cancelling is not None:
        return f"the task is being cancelled, as {task.cancelled_by[0]!r} asked"
    who = "the task" if step is None else f"step {step!r}"
    state = task.state if step is None else task.steps[step].state
    if name == "move":
        return _no_move(task)
    if step is not None and (why := _barred(name, task, step)) is not None:
        return why
    if name in VOTES:
        return _no_vote(name, step, task, f"{who} is {state}")
    states = TASK_REQUESTS[name] if step is None else STEP_REQUESTS[name]
    if state in states and (objection := _objection(name, task)) is not None:
        return objection
    return f"{who} is {state}: {name!r} is legal for one that is {_any_of(states)}"


def _no_move(task: Task) -> str:
    rows = [row for row in task.type.rows if row.by == "request" and row.source == task.state]
    if not rows:
        return f"the task is {task.state}: its type {task.type.name!r} has no row out of it that is asked for"
    guards = " or ".join(dict.fromkeys(row.when for row in rows))
    return f"the task is {task.state}: its type {task.type.name!r} lets it be moved from there only if {guards}"


def _no_vote(name: str, step: str | None, task: Task, stands: str) -> str:
    if step is None and (terms_of(task, step) is None or not task.type.is_approved):
        return f"the task has no approval of its own: {name!r} needs the step that has one"
    if terms_of(task, step) is None:
        return f"step {step!r} is no approval: nobody votes on it"
    if name == "withdraw" and is_awaited(task, step):
        return f"nobody has voted on {approval_id(task, step)!r}"
    return f"{stands}: {name!r} is legal for one that is {' or '.join(voting(task, step))}"


def _any_of(states: frozenset[State]) -> str:
    return " or ".join(state for state in State if state in states)
