"""The only place where a state is written: a row, and what the row means for the sums and queues of its task.

`move` writes a transition if the table has it; `note` writes a row that is no transition. What follows from a state
that is left, from one that is entered, and from a noted event stands in the tables below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tasker_temporal.core.answers import forget_gone, inbox_name, reconsider
from tasker_temporal.core.ballots import cast, close_ballot, escalate, open_ballot, take_back
from tasker_temporal.core.external import make_room
from tasker_temporal.core.inbox import keep_early
from tasker_temporal.core.joins import (
    ask_again,
    begin_round,
    clear_fronts,
    count_down,
    count_up,
    join,
    leave_queue,
    may_start,
    occupy,
    tell_listeners,
)
from tasker_temporal.core.machine import ENDS, STEP_TABLE, State
from tasker_temporal.core.messages import Failure, Note, TransitionTo
from tasker_temporal.core.rows import TASK, Row, entity_of
from tasker_temporal.core.task import By, Step, Task, What
from tasker_temporal.core.template import changed

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


# What a state means when it is left.


def _stop_running(task: Task, step: Step) -> None:
    occupy(task, step, -1)
    step.missing_since = None


def _forget_failure(task: Task, step: Step) -> None:
    if step.handled is not None:
        _come_back(task, step)
        task.handled -= 1
        step.handled = step.final = None
    elif step.final is None:
        task.backing_off -= 1
    else:
        task.exhausted -= 1
        step.final = step.started_at = step.ended_at = None
    if step.template.approval is not None and step.attempt:
        begin_round(step)


def _come_back(task: Task, step: Step) -> None:
    """The step is not over any more: a new round of it begins, and what depends on it waits again."""
    count_up(task, step)
    begin_round(step)
    step.result = step.failure = step.ended_at = None
    step.by_hand = False


LEAVE: Final[Mapping[State | None, Callable[[Task, Step], None]]] = {
    State.IN_PROGRESS: _stop_running,
    State.ERROR: _forget_failure,
    State.COMPLETE: _come_back,
    State.SKIPPED: _come_back,
    State.RESOLVED_MANUALLY: _come_back,
}


# What a state means when it is entered.


def _await(task: Task, step: Step, wish: TransitionTo) -> None:
    if wish.fresh:
        step.attempt, step.started_at = 0, None
    if step.clocks:
        task.journal.append(task.wound, step.name)
    forget_gone(task, step)
    reconsider(task, step)
    join(task, step)


def _run(task: Task, step: Step, wish: TransitionTo) -> None:
    occupy(task, step, 1)
    if step.started_at is None:
        step.started_at = task.now
    step.fired = step.template.trigger is not None or bool(step.template.when)


def _fail(task: Task, step: Step, wish: TransitionTo) -> None:
    assert wish.failure is not None
    step.failure = wish.failure
    _judge(task, step, why_final(task, step, wish.failure))


def _judge(task: Task, step: Step, final: str | None) -> None:
    if final is None:
        task.backing_off += 1
    else:
        task.exhausted += 1
        step.final, step.ended_at = final, task.now


def _end(task: Task, step: Step, wish: TransitionTo) -> None:
    step.ended_at, step.result = task.now, wish.result
    step.by_hand = "by_hand" in wish.metadata or (wish.result is not None and not step.template.runs)
    count_down(task, step)


def _abandon(task: Task, step: Step, wish: TransitionTo) -> None:
    step.ended_at = task.now


ENTER: Final[Mapping[State, Callable[[Task, Step, TransitionTo], None]]] = {
    State.PENDING: _await,
    State.IN_PROGRESS: _run,
    State.COMPLETE: _end,
    State.SKIPPED: _end,
    State.RESOLVED_MANUALLY: _end,
    State.ERROR: _fail,
    State.CANCELLED: _abandon,
}


def why_final(task: Task, step: Step, failure: Failure) -> str | None:
    """Why no attempt follows this failure; None if one does. Attempts count from 1, the first included."""
    if task.cancelling is not None:
        return "cancelling"
    if failure.type == "StepDeadlineExceeded":
        return "deadline"
    if not failure.retryable:
        return "permanent"
    if not step.template.retryable:
        return "not_retryable"
    return "attempts" if step.attempt >= step.template.retry.attempts else None


# What a noted event means.


def _begin_cancelling(task: Task, note: Note, row: Row) -> None:
    task.cancelling, task.cancelled_by = row.sort_key, (note.actor, note.reason)


def _drain(task: Task, note: Note, row: Row) -> None:
    task.draining = True


def _receive(task: Task, note: Note, row: Row) -> None:
    """The event is kept for each place of a trigger that was waiting for it."""
    if not note.change:
        return
    name, content, takers = note.change["name"], note.change["content"], note.change["takers"]
    make_room(task, name, content)
    keep_early(task, inbox_name(name), note.change["id"], row.sort_key, content)
    for taker, number in takers:
        step = task.steps[taker]
        task.journal.keep(step)
        step.came = {**step.came, number: row.sort_key}
        ask_again(task, step)


def _route(task: Task, note: Note, row: Row) -> None:
    task.course = note.change["course"]


EFFECTS: Final[Mapping[str, Callable[[Task, Note, Row], None]]] = {
    "approval.requested": open_ballot,
    "approval.voted": cast,
    "approval.withdrawn": take_back,
    "approval.escalated": escalate,
    "task.cancel_requested": _begin_cancelling,
    "workflow.drain_requested": _drain,
    "external.received": _receive,
    "task.routed": _route,
}


def _end_retries(task: Task, step: Step, note: Note) -> None:
    _forget_failure(task, step)
    _judge(task, step, "deadline")
    tell_listeners(task, step)


def _miss_handler(task: Task, step: Step, note: Note) -> None:
    if step.missing_since is None:
        step.missing_since = task.now


def _redispatch(task: Task, step: Step, note: Note) -> None:
    step.execution += 1


def _change(task: Task, step: Step, note: Note) -> None:
    step.changes = {**step.changes, **note.change}
    step.template = changed(task.template.step(step.name), step.changes)


def _handle(task: Task, step: Step, note: Note) -> None:
    """The failure is final, and holds up nothing any more: its dependents count the step as one that was skipped."""
    task.exhausted -= 1
    task.handled += 1
    step.handled = note.metadata["by"]
    count_down(task, step)
    tell_listeners(task, step)


def _fire(task: Task, step: Step, note: Note) -> None:
    step.fired = True
    join(task, step)
    clear_fronts(task)


def _pass_time(task: Task, step: Step, note: Note) -> None:
    step.passed |= {note.change["number"]}
    ask_again(task, step)


STEP_EFFECTS: Final[Mapping[str, Callable[[Task, Step, Note], None]]] = {
    "step.deadline_exceeded": _end_retries,
    "step.handler_missing": _miss_handler,
    "step.redispatched": _redispatch,
    "step.changed": _change,
    "step.failure_handled": _handle,
    "step.condition_met": _fire,
    "step.time_elapsed": _pass_time,
}
