"""Finds the steps that can run now, and those that never can."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.core.events import Event, Payload
from tasker_temporal.core.joins import doomed, startable, why_never
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Announce, Message, TransitionTo
from tasker_temporal.core.task import Task


def discover(event: Event[Payload], task: Task) -> Iterator[Message]:
    """Nothing starts, and nothing is finalized, while the task is paused or held.

    One doomed step at a time: its skipping is followed by a discovery of its own.
    """
    if not task.is_open or (task.state is not State.IN_PROGRESS and task.cancelling is None):
        return
    if (lost := doomed(task)) is not None:
        yield TransitionTo(lost, State.SKIPPED, reason=why_never(task.steps[lost]))
    elif steps := startable(task):
        yield Announce("workflow.viable_steps_discovered", {"steps": steps})
    else:
        yield Announce("workflow.no_viable_steps")
