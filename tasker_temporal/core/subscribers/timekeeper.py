"""Keeps a task's timers: deadlines begin with the first attempt, and no timer outlives what it was for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasker_temporal.core import timers
from tasker_temporal.core.events import Event, RowWritten, StepNamed, StepTransitioned, TaskTransitioned
from tasker_temporal.core.joins import unwound
from tasker_temporal.core.messages import Message, StartTimer, StopTimer, Timer
from tasker_temporal.core.task import Task
from tasker_temporal.core.values import after


def start_deadline(event: Event[StepTransitioned], task: Task) -> Sequence[Message]:
    """One that passed while the step waited for a place begins again with its attempt, and is overdue at once.

    One that is left of an earlier beginning of the step gives way.
    """
    step = task.steps[event.payload.step]
    deadline = step.template.deadline
    if deadline is None:
        return ()
    assert step.started_at is not None
    id = timers.deadline(step.name)
    due, known = after(step.started_at, deadline), task.timers.get(id)
    if known is not None and known.due == due:
        return ()
    return (StartTimer(Timer(id, "deadline", step.name, due, event.cause)),)


def stop_clocks(event: Event[StepTransitioned], task: Task) -> Sequence[Message]:
    """What has begun does not ask its trigger any more."""
    if not task.timers:
        return ()
    found = unwound(task, task.steps[event.payload.step])
    assert not any(found.values())
    return [StopTimer(timer) for timer in found]


def stop_timers(event: Event[StepTransitioned | StepNamed], task: Task) -> Sequence[Message]:
    if not task.timers:
        return ()
    step = task.steps[event.payload.step]
    known = (step.name, step.execution)
    own = (timers.deadline(step.name), timers.backoff(*known), timers.handler(*known))
    return [StopTimer(timer) for timer in own if timer in task.timers]


def stop_backoff(event: Event[StepTransitioned], task: Task) -> Iterator[Message]:
    """Somebody did not want to wait for the next attempt."""
    step = task.steps[event.payload.step]
    if (timer := timers.backoff(step.name, step.execution)) in task.timers:
        yield StopTimer(timer)


def stop_hold(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """Only a held task is retried."""
    yield StopTimer(timers.HOLD)


def stop_approval(event: Event[TaskTransitioned], task: Task) -> Sequence[Message]:
    """Nobody is asked any more in a state of the type's own."""
    timer = timers.deadline(None)
    return (StopTimer(timer),) if timer in task.timers else ()


def fire_overdue(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """What came due while the task was paused takes effect now, in due order."""
    for timer in sorted(task.timers.values(), key=lambda timer: (timer.due, timer.id)):
        if timer.due <= task.now:
            yield StartTimer(timer)


def resume_timers(event: Event[RowWritten], task: Task) -> Iterator[Message]:
    """A new run starts the timers again that the last one left, each for the moment at which it was due."""
    for timer in sorted(task.timers.values(), key=lambda timer: (timer.due, timer.id)):
        yield StartTimer(timer)
