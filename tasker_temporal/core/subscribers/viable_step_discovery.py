"""Finds the steps that can run now, those that never can, and the times that triggers begin to count."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.core.events import Event, Payload
from tasker_temporal.core.joins import doomed, startable, unjudged, unwound
from tasker_temporal.core.judgement import judged
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Announce, Message, StartTimer, StopTimer, Timer, TransitionTo
from tasker_temporal.core.reasons import why_never
from tasker_temporal.core.task import Task


def discover(event: Event[Payload], task: Task) -> Iterator[Message]:
    """Nothing starts, and nothing is finalized, while the task is paused or held.

    One doomed step, and one condition, at a time: each is followed by a discovery of its own.
    """
    if not task.is_open or (task.state is not State.IN_PROGRESS and task.cancelling is None):
        return
    if task.wound or event.name == "workflow.task_started":
        yield from _wind(event, task)
    if (lost := doomed(task)) is not None:
        yield TransitionTo(lost, State.SKIPPED, reason=why_never(task, task.steps[lost]))
    elif (asked := unjudged(task)) is not None:
        yield judged(task, task.steps[asked])
    elif steps := startable(task):
        yield Announce("workflow.viable_steps_discovered", {"steps": steps})
    else:
        yield Announce("workflow.no_viable_steps")


def _wind(event: Event[Payload], task: Task) -> Iterator[Message]:
    """Start and stop the timers of the triggers that began to count time, or ceased to.

    A task that was in error has lost its timers, and goes on with those that its triggers still need.
    """
    for name in dict.fromkeys(task.steps if event.name == "workflow.task_started" else task.wound):
        for timer, due in unwound(task, task.steps[name]).items():
            yield StopTimer(timer) if due is None else StartTimer(Timer(timer, "elapsed", name, due, event.cause))
