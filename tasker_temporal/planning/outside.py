"""What happens outside of a planned task: events come, and people approve, each once it is waited for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from tasker_temporal.core.guards import requestable
from tasker_temporal.core.machine import State
from tasker_temporal.core.requests import Approve, Ask, MoveTask, SendEvent
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import events_of
from tasker_temporal.durations import duration_text
from tasker_temporal.planning.told import ONE_SECOND, Expected

SOMEBODY: Final = "somebody"


class Outside:
    """Makes the requests. What is taken to be so is added to `assumed`."""

    def __init__(self, template: Template, expected: Mapping[str, Expected], assumed: list[str]) -> None:
        self._expected, self._assumed = expected, assumed
        waiting = {name for names in template.receivers.values() for name in names}
        self._watched = [s for s in template.steps if s.name in waiting or s.awaits != "handler"]
        self.watched = tuple(step.name for step in self._watched)
        self._done: set[str] = set()

    def due(self, task: Task) -> Iterator[tuple[Ask, timedelta]]:
        """What is waited for now, and comes so long from now."""
        for step in self._watched:
            if step.name not in self._done and _is_waiting(task.steps[step.name]):
                self._done.add(step.name)
                yield from self._for_step(step)
        yield from self._for_task(task)

    def came_late(self, message: object) -> None:
        """It was asked for when the task had ended, or did not wait for it any more."""
        what = f"event {message.name}" if isinstance(message, SendEvent) else f"{type(message).__name__}"
        self._assumed.append(f"{what} came too late, and was refused")

    def _for_step(self, step: StepTemplate) -> Iterator[tuple[Ask, timedelta]]:
        told = self._expected.get(step.name, Expected())
        if step.approval is not None:
            self._assumed.append(f"{step.name} is approved {_said(told.takes)} after it is asked for")
            yield from _votes(step.approval.quorum, step.name, told)
        for event in dict.fromkeys(events_of(step.on)):
            self._assumed.append(f"event {event} comes {_said(told.takes)} after {step.name} waits for it")
            yield SendEvent(name=event, payload=json.loads(told.content.data)), told.takes

    def _for_task(self, task: Task) -> Iterator[tuple[Ask, timedelta]]:
        if str(task.state) in self._done:
            return
        if task.state == State.PENDING_APPROVAL and task.template.approval is not None:
            self._done.add(str(task.state))
            self._assumed.append(f"the task is approved {_said(ONE_SECOND)} after that is asked for")
            yield from _votes(task.template.approval.quorum, None, Expected())
        if task.state in task.type.states and (places := requestable(task)):
            self._done.add(str(task.state))
            to = places[0]
            self._assumed.append(f"the task is moved from {task.state} to {to} after {_said(ONE_SECOND)}")
            yield MoveTask(actor=SOMEBODY, reason="planned", to=to), ONE_SECOND


def _is_waiting(step: Step) -> bool:
    return step.expects or (step.state is State.IN_PROGRESS and not step.template.runs)


def _votes(quorum: int, step: str | None, told: Expected) -> Iterator[tuple[Ask, timedelta]]:
    for number in range(quorum):
        yield Approve(actor=f"{SOMEBODY} {number + 1}", reason="planned", step=step, form=told.result), told.takes


def _said(time: timedelta) -> str:
    return duration_text(time)
