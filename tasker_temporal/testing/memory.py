"""Drives the core without a server: a queue of what is due, and a clock that jumps from one moment to the next."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from tasker_temporal.core.engine import Engine
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    CloseTask,
    Command,
    Fact,
    HandlerMissing,
    Notify,
    RunStep,
    Start,
    StartTimer,
    StepFailed,
    StepStopped,
    StepSucceeded,
    StopStep,
    StopTimer,
    TimerFired,
)
from tasker_temporal.core.requests import Ask
from tasker_temporal.core.rows import Row
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused, ScriptError

AT_ONCE = timedelta(0)
FIRST = Start()

Execution = tuple[str, int]
"""A step's name, and the number of the execution."""


Ended = StepSucceeded | StepFailed | StepStopped | HandlerMissing
"""What can come of an execution."""


class Fed(NamedTuple):
    """One message as the engine had it."""

    message: Ask | Fact
    now: datetime


class MemoryDriver:
    """Drives one engine in virtual time. It has no I/O, and what it does depends on what it is told alone.

    Ask it for the `next_step` and `answer` that, until there is none:

        driver = MemoryDriver(task, now)
        while (command := driver.next_step()) is not None:
            driver.answer(command, StepSucceeded(command.step, command.execution, result), after=timedelta(seconds=2))

    Args:
        task: The run to drive, changed in place.
        now: When it begins.
        first: Its first message.

    Attributes:
        now: The present.
        fed: Every message that the engine had, those that it refused included.
        closed: The state in which the task ended; None while it is open.
        notices: What notifiers would have been told. None is called.
    """

    def __init__(self, task: Task, now: datetime, first: Fact = FIRST) -> None:
        self.engine = Engine(task)
        self.now = now
        self.fed: list[Fed] = []
        self.closed: State | None = None
        self.notices: list[Notify] = []
        self._queue: list[tuple[datetime, int, Ask | Fact]] = []
        self._pushed = 0
        self._dropped: set[int] = set()
        self._wanted: deque[RunStep] = deque()
        self._running: dict[Execution, tuple[int, bool]] = {}
        self._timers: dict[str, int] = {}
        self._push(now, first)

    def ask(self, request: Ask, *, after: timedelta = AT_ONCE) -> None:
        """Make a request `after` so long from now. If it is refused, `next_step` raises it then."""
        self._push(self.now + after, request)

    def next_step(self) -> RunStep | None:
        """Let time pass until a handler is to be run. None: the task is over, and everything was asked.

        Raises:
            RequestRefused: a request broke a rule. Go on, and it is as if it had not been made.
            ScriptError: the task is open, and nothing will ever happen to it.
        """
        while not self._wanted and self._queue:
            self._feed_next()
        if self._wanted:
            return self._wanted.popleft()
        if self.closed is None:
            raise ScriptError(f"task {self.engine.task.id!r} is open, but nothing is due: was each step answered?")
        return None

    def answer(self, command: RunStep, fact: Ended, *, after: timedelta = AT_ONCE, heeds_stop: bool = False) -> None:
        """Say what comes of the execution, `after` so long from now. If it `heeds_stop`, a stop ends it at once."""
        number = self._push(self.now + after, fact)
        self._running[command.step, command.execution] = number, heeds_stop

    def _push(self, due: datetime, message: Ask | Fact) -> int:
        """Of what is due at one moment, the first pushed comes first."""
        self._pushed += 1
        heapq.heappush(self._queue, (due, self._pushed, message))
        return self._pushed

    def _feed_next(self) -> None:
        due, number, message = heapq.heappop(self._queue)
        if number in self._dropped or (self.closed is not None and not isinstance(message, Ask)):
            return
        self.now = due
        self.fed.append(Fed(message, due))
        if isinstance(message, Ended):
            self._running.pop((message.step, message.execution), None)
        for command in self.engine.apply(message, due):
            self._perform(command)

    def _perform(self, command: Command) -> None:
        match command:
            case RunStep():
                self._wanted.append(command)
            case StopStep(step, execution):
                self._stop(step, execution)
            case StartTimer(timer):
                self._dropped.add(self._timers.pop(timer.id, 0))
                self._timers[timer.id] = self._push(max(timer.due, self.now), TimerFired(timer.id))
            case StopTimer(timer_id):
                self._dropped.add(self._timers.pop(timer_id, 0))
            case Notify():
                self.notices.append(command)
            case CloseTask(state):
                self.closed = state

    def _stop(self, step: str, execution: int) -> None:
        """An execution that is not under way, as one that waits for its handler, is stopped by that."""
        number, heeds_stop = self._running.get((step, execution), (0, True))
        if heeds_stop:
            self._dropped.add(number)
            self._push(self.now, StepStopped(step, execution))


def feed_again(task: Task, fed: Iterable[Fed]) -> list[Row]:
    """Feed messages to a task that is as it was before the first of them. The same audit follows, to the byte."""
    engine = Engine(task)
    for message, now in fed:
        with suppress(RequestRefused):
            engine.apply(message, now)
    return task.rows
