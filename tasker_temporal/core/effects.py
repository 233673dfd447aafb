"""What a noted event means for its task, or for the step that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tasker_temporal.core.arguments import inbox_name
from tasker_temporal.core.ballots import cast, escalate, open_ballot, take_back
from tasker_temporal.core.external import make_room
from tasker_temporal.core.inbox import keep_early
from tasker_temporal.core.joins import ask_again, clear_fronts, count_down, join, tell_listeners
from tasker_temporal.core.messages import Note
from tasker_temporal.core.rows import Row
from tasker_temporal.core.states import forget_failure, judge
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.template import changed


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
    forget_failure(task, step)
    judge(task, step, "deadline")
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
