"""The only place where a state is written: a row, and what the row means for the sums and queues of its task.

`move` writes a transition if the table has it; `note` writes a row that is no transition. What follows from a state
that is left or entered stands in `states`, what follows from a noted event in `effects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tasker_temporal.core.ballots import close_ballot
from tasker_temporal.core.effects import EFFECTS, STEP_EFFECTS
from tasker_temporal.core.joins import leave_queue, may_start, tell_listeners
from tasker_temporal.core.machine import ENDS, STEP_TABLE, State
from tasker_temporal.core.messages import Note, TransitionTo
from tasker_temporal.core.rows import TASK, Row, entity_of
from tasker_temporal.core.states import ENTER, LEAVE
from tasker_temporal.core.task import By, Step, Task, What

STEP_MOVES: Final[Mapping[tuple[State | str | None, State | str], tuple[str | None, str, str]]] = {
    (old, new): (None if old is None else str(old), str(new), event) for (old, new), event in STEP_TABLE.items()
}
"""What a row says of each move. Its states are plain text, which is hashed several times faster than an enum."""

ATTEMPTED: Final = frozenset({State.IN_PROGRESS, State.COMPLETE, State.ERROR})
"""The rows of a step that enters one of these say which attempt it was."""


class IllegalMove(Exception):
    """No row of the table leads there, or its guard said no. Inside the core this is a bug, and never a refusal."""


def move(task: Task, wish: TransitionTo, actor: str, cause: int | None) -> Row:
    """Write the transition, if a row of the table allows it.

    Raises:
        IllegalMove: nothing has changed.
    """
    if wish.step is None:
        return _move_task(task, wish, (actor, wish.reason, cause))
    return _move_step(task, task.steps[wish.step], wish, (actor, wish.reason, cause))


def note(task: Task, note: Note) -> Row:
    """Write a row that is no transition."""
    what: What = ("refused" if note.refused else "noted", entity_of(note.step), None, None, note.event)
    row = task.write(what, (note.actor, note.reason, note.cause), note.metadata)
    if note.content is not None and task.outboxes:
        task.journal.put(task.said, row.sort_key, note.content)
    if note.event in EFFECTS:
        EFFECTS[note.event](task, note, row)
    if note.event in STEP_EFFECTS and note.step is not None:
        step = task.steps[note.step]
        task.journal.keep(step)
        STEP_EFFECTS[note.event](task, step, note)
    return row


def _move_task(task: Task, wish: TransitionTo, by: By) -> Row:
    old, event = task.state, task.type.table.get((task.state, wish.state))
    if event is None or (wish.state is State.COMPLETE and not task.all_done):
        raise IllegalMove(f"the task cannot go from {task.state} to {wish.state}")
    what: What = ("transition", TASK, None if old is None else str(old), str(wish.state), event)
    row = task.write(what, by, _with_error(task, wish))
    if old is State.PENDING_APPROVAL:
        close_ballot(task, None)
        task.round += 1
    task.state, task.failure, task.since = wish.state, wish.failure, task.now
    task.started_at = task.now if wish.state is State.IN_PROGRESS and task.started_at is None else task.started_at
    task.ended_at = task.now if wish.state in ENDS else None
    return row


def _move_step(task: Task, step: Step, wish: TransitionTo, by: By) -> Row:
    said = STEP_MOVES.get((step.state, wish.state))
    if said is None or (wish.state is State.IN_PROGRESS and not may_start(task, step)):
        raise IllegalMove(f"{step.entity} cannot go from {step.state} to {wish.state}")
    task.journal.keep(step)
    if wish.state is State.IN_PROGRESS:
        step.attempt += 1
        step.execution += 1
    row = task.write(("transition", step.entity, *said), by, _metadata(task, step, wish))
    step.row = row.sort_key
    _settle(task, step, wish)
    return row


def _metadata(task: Task, step: Step, wish: TransitionTo) -> dict[str, Any]:
    metadata = _with_error(task, wish)
    if wish.state in ATTEMPTED:
        metadata["attempt"], metadata["execution"] = step.attempt, step.execution
    if wish.result is not None:
        metadata["result"] = task.trace(wish.result.data)
    return metadata


def _with_error(task: Task, wish: TransitionTo) -> dict[str, Any]:
    error = wish.failure
    if error is None:
        return {**wish.metadata}
    return {**wish.metadata, "error": {"type": error.type, **task.trace(error.message.encode())}}


def _settle(task: Task, step: Step, wish: TransitionTo) -> None:
    old = step.state
    if step.template.approval is not None and wish.state is not State.IN_PROGRESS:
        close_ballot(task, step.name)
    if old in LEAVE:
        LEAVE[old](task, step)
    if old is not None:
        task.counts[old] -= 1
    new = wish.state
    assert isinstance(new, State)
    task.counts[new] += 1
    step.state, step.since = new, task.now
    ENTER[new](task, step, wish)
    if old is State.PENDING:
        leave_queue(task, step)
    tell_listeners(task, step)
