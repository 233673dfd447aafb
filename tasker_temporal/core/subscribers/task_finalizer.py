"""Ends the task when nothing more can run, or leaves it waiting for what still will."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tasker_temporal.core import timers
from tasker_temporal.core.answers import handles
from tasker_temporal.core.events import Event, Payload, RowWritten, StepsNamed, TaskTransitioned, Unclear
from tasker_temporal.core.guards import Way, next_way
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    Announce,
    CloseTask,
    Failure,
    Message,
    StartTimer,
    StopTimer,
    Timer,
    TransitionTo,
)
from tasker_temporal.core.task import Task
from tasker_temporal.core.task_types import Move, known
from tasker_temporal.core.values import after

RECONSIDER = timedelta(seconds=10)
"""How long a task stays open that was reopened for a request and is in error all the same."""


def finalize(event: Event[Payload], task: Task) -> Iterator[Message]:
    """Complete, cancelled, blocked by failures, still waiting, or unclear: in this order."""
    if task.cancelling is None and (way := next_way(task)).row is not None:
        yield _moved(task, way, way.row)
    elif task.in_flight or task.parked:
        return
    elif task.cancelling is not None:
        actor, reason = task.cancelled_by
        yield TransitionTo(None, State.CANCELLED, actor=actor, reason=reason, cause=task.cancelling)
    elif task.is_stopped and not _is_still_handled(task):
        yield _blocked(task)
    elif task.backing_off or task.expecting or (task.draining and _would_start(task)):
        return
    elif task.exhausted:
        yield _blocked(task)
    else:
        found = {str(state): count for state, count in task.counts.items() if count}
        yield Announce("workflow.task_state_unclear", {"found": found})


def _would_start(task: Task) -> bool:
    """Something is there that may start in the next run."""
    return bool(task.viable or task.gates or task.unjudged)


def _is_still_handled(task: Task) -> bool:
    """Something that handles a failure waits for the outside, or for time, alone."""
    return task.expecting > 0 and any(step.expects and handles(task, step) for step in task.steps.values())


def move_on(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """In a state of its type's own a task waits, unless a row leads on by itself."""
    if (way := next_way(task)).row is not None:
        yield _moved(task, way, way.row)


def _moved(task: Task, way: Way, row: Move) -> TransitionTo:
    """A row into `error` says what it was taken for."""
    if row.to != State.ERROR:
        return TransitionTo(None, known(row.to), way.about)
    if row.is_condition:
        failure = Failure("ConditionMet", f"its type {task.type.name!r} ends it in error if {row.when}")
        return TransitionTo(None, State.ERROR, way.about, failure=failure)
    others = [name for name, step in task.steps.items() if step.state is not State.COMPLETE]
    if not others:
        failure = Failure("NoRowTaken", f"no row of its type {task.type.name!r} before the one to error could be taken")
        return TransitionTo(None, State.ERROR, way.about, failure=failure)
    about = {"not_complete": others, **way.about}
    message = f"not every step is complete: {', '.join(others)}"
    return TransitionTo(None, State.ERROR, about, failure=Failure("StepsNotComplete", message))


def _blocked(task: Task) -> Announce:
    failed = tuple(name for name, step in task.steps.items() if step.state is State.ERROR and step.handled is None)
    return Announce("error.task_blocked", {"steps": failed})


def fail_blocked(event: Event[StepsNamed], task: Task) -> Iterator[Message]:
    yield TransitionTo(None, State.ERROR, {"failed_steps": list(event.payload.steps)})


def fail_unclear(event: Event[Unclear], task: Task) -> Iterator[Message]:
    """A task that nothing will ever move again must not stay open in silence."""
    yield TransitionTo(None, State.ERROR, {"unclear": dict(event.payload.found)})


def close_task(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """A failed task whose template says so is held instead, unless nobody could put it right."""
    for timer in sorted(task.timers):
        yield StopTimer(timer)
    if event.payload.to_state is State.ERROR and task.template.on_error == "hold" and not task.problems:
        yield StartTimer(Timer(timers.HOLD, "hold", None, after(task.now, task.template.hold_for), event.cause))
    else:
        yield CloseTask(State(event.payload.to_state))


def end_hold(event: Event[RowWritten], task: Task) -> Iterator[Message]:
    yield CloseTask(State.ERROR)


def hold_reopened(event: Event[RowWritten], task: Task) -> Iterator[Message]:
    """A reopened task is held for the request for which it was reopened, and then as its template says."""
    hold = task.template.hold_for if task.template.on_error == "hold" else RECONSIDER
    yield StartTimer(Timer(timers.HOLD, "hold", None, after(task.now, hold), event.cause))
