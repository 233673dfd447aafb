"""Drives a planned task in virtual time, and notes what it costs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from pydantic_core import to_json

from tasker_temporal.attributes import PLAIN, of_task, waits_for
from tasker_temporal.core.messages import (
    Command,
    Notify,
    RunStep,
    StartTimer,
    StepSucceeded,
    StopTimer,
    TimerFired,
)
from tasker_temporal.core.requests import Approve, MoveTask, SendEvent
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused
from tasker_temporal.planning.ledger import (
    ATTRIBUTES,
    ENDED,
    MARKER,
    NOTICE_BYTES,
    PAYLOAD,
    SCHEDULED,
    TIMER,
    UPDATE,
    WORKFLOW_TASK,
    Ledger,
)
from tasker_temporal.planning.outside import Outside
from tasker_temporal.testing.memory import MemoryDriver
from tasker_temporal.wire import step_call

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


class PlanningDriver(MemoryDriver):
    """Notes what its commands and messages cost in a history, and does what is waited for from outside."""

    def __init__(self, task: Task, ledger: Ledger, outside: Outside) -> None:
        super().__init__(task, BEGIN)
        self.ledger, self._outside = ledger, outside
        self._timing: set[str] = set()
        self._told: tuple[str | None, frozenset[str | None]] = (None, frozenset())

    def _perform(self, command: Command) -> None:
        match command:
            case RunStep(name, _, attempt):
                template = self.engine.task.steps[name].template
                inputs = step_call(self.engine.task, template, attempt)
                activity = self.engine.task.template.activity_type(name)
                carried = sum(value.payload.ByteSize() + 3 for value in inputs) + len(activity)
                self.ledger.add(SCHEDULED, carried)
            case StartTimer(timer):
                self._timing.add(timer.id)
                self.ledger.add(TIMER)
            case StopTimer(timer_id) if timer_id in self._timing:
                self._timing.discard(timer_id)
                self.ledger.add(TIMER)
            case Notify():
                self.ledger.add(SCHEDULED, NOTICE_BYTES)
                self.ledger.add(ENDED, PAYLOAD)
                self.ledger.add(WORKFLOW_TASK)
            case _:
                pass
        super()._perform(command)

    def _feed_next(self) -> None:
        before, now = len(self.fed), self.now
        try:
            super()._feed_next()
        except RequestRefused:
            self._outside.came_late(self.fed.pop().message)
            self.now = now
        for fed in self.fed[before:]:
            self._note(fed.message, fed.now)
        for request, after in self._outside.due(self.engine.task):
            self.ask(request, after=after)
        self._list()

    def _has_form(self, vote: Approve) -> bool:
        """Its form is checked on a worker."""
        return vote.step is not None and self.engine.task.template.step(vote.step).result != "None"

    def _list(self) -> None:
        """The search attributes: a task tells them where they say more than the status of its run."""
        task = self.engine.task
        kinds = {waits_for(task, task.steps[name]) for name in self._outside.watched} | {of_task(task)}
        wanted = (None if task.state in PLAIN else task.state, frozenset(kinds - {None} if task.is_open else ()))
        if wanted != self._told:
            self._told = wanted
            self.ledger.add(ATTRIBUTES)

    def _note(self, message: object, now: datetime) -> None:
        if isinstance(message, StepSucceeded) and message.result is not None:
            self.ledger.add(ENDED, message.result.size + PAYLOAD)
        if isinstance(message, SendEvent):
            self.ledger.add(UPDATE, len(to_json(message.payload)))
            self.ledger.add(MARKER, len(to_json(message.payload)))
        if isinstance(message, (Approve, MoveTask)):
            self.ledger.add(UPDATE)
        if isinstance(message, Approve) and self._has_form(message):
            self.ledger.add(MARKER)
        if isinstance(message, TimerFired):
            self._timing.discard(message.timer)
            self.ledger.add(TIMER)
        self.ledger.wake(now)
