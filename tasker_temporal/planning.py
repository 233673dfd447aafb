"""Plays a task of a template before it runs: its order, its history, its critical path.

The task is played by the same core that runs it, on a clock that jumps, with steps that all succeed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from tasker_temporal.core.messages import (
    AUTOMATIC,
    JSON,
    Command,
    Content,
    RunStep,
    StartTimer,
    StepSucceeded,
    StopTimer,
    Timer,
    TimerFired,
)
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.record import outcome, written
from tasker_temporal.testing.memory import MemoryDriver
from tasker_temporal.wire import StartInput, step_call

BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
KEY: Final = bytes(32)
ONE_SECOND: Final = timedelta(seconds=1)
RESULT_BYTES: Final = 100
"""What a result is taken to have that nobody told of."""

# History events and their bytes, without what they carry, as a server writes them.
STARTED: Final = (1, 203)
WORKFLOW_TASK: Final = (3, 271)
SCHEDULED: Final = (1, 130)
ENDED: Final = (2, 156)
PAYLOAD: Final = 31
"""Bytes of a payload's own metadata."""
TIMER: Final = (1, 95)
CLOSED: Final = (1, 30)


@dataclass(frozen=True)
class Expected:
    """What is told of one step beforehand."""

    takes: timedelta = ONE_SECOND
    result: Any = None
    bytes: int = RESULT_BYTES
    """The size of its result, if the result is not told."""

    @property
    def content(self) -> Content:
        data = to_json(self.result) if self.result is not None else b'"' + b"x" * max(self.bytes - 2, 0) + b'"'
        return Content(data, JSON)


class PlannedStep(NamedTuple):
    """When a step begins and ends, in seconds from the task's start. None: it does not run."""

    name: str
    state: str
    begins: float | None = None
    ends: float | None = None


class Wave(NamedTuple):
    """Steps that begin at one moment."""

    at: float
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How a task goes if all goes well.

    Attributes:
        waves: The order in which steps begin.
        state: How the task ends.
        takes: Seconds from its start to its end.
        critical_path: The steps that nothing can be gained without: each begins when the one before it ends.
        events: History events, if ends at one moment meet in one workflow task.
        events_at_most: History events, if each end has a workflow task of its own.
        bytes: Of the history, about.
        assumptions: What was taken to be so, because nobody told.
    """

    template: str
    version: str
    digest: str
    waves: tuple[Wave, ...]
    steps: tuple[PlannedStep, ...]
    state: str
    takes: float
    critical_path: tuple[str, ...]
    events: int
    events_at_most: int
    bytes: int
    assumptions: tuple[str, ...] = ()


NOTHING: Final[Mapping[str, Expected]] = {}


def plan(template: Any, context: Any = None, expected: Mapping[str, Expected] = NOTHING) -> Plan:
    """Play one task.

    Args:
        template: A `TaskTemplate`, or the `Template` that it compiles to.
        context: What the task is about, as JSON has it.
        expected: By step, how long it takes and what it returns: one second, and 100 bytes, unless told.

    Raises:
        TemplateError: the template is not sound.
        ValueError: something is expected of a step that the template does not have.
    """
    compiled = template if isinstance(template, Template) else template.compiled
    names = {step.name for step in compiled.steps}
    if strange := sorted(expected.keys() - names):
        raise ValueError(
            f"nothing can be expected of {', '.join(strange)}: the template has {', '.join(sorted(names))}"
        )
    return _Play(compiled, Content(to_json(context), JSON), expected).plan()


@dataclass
class _Ledger:
    """Counts history events while a task is played."""

    fewest: int = 0
    most: int = 0
    bytes: int = 0
    moments: set[datetime] = field(default_factory=set)

    def add(self, cost: tuple[int, int], carried: int = 0, times: int = 1) -> None:
        events, size = cost
        self.fewest += events * times
        self.most += events * times
        self.bytes += (size + carried) * times

    def wake(self, now: datetime) -> None:
        """Something came to the workflow: it has a task for it, together with what else comes at that moment."""
        events, size = WORKFLOW_TASK
        self.most += events
        if now not in self.moments:
            self.moments.add(now)
            self.fewest += events
            self.bytes += size


class _Driver(MemoryDriver):
    """Notes what its commands and messages cost in a history."""

    def __init__(self, task: Task, ledger: _Ledger) -> None:
        super().__init__(task, BEGIN)
        self.ledger = ledger
        self._running_timers: dict[str, Timer] = {}

    def _perform(self, command: Command) -> None:
        match command:
            case RunStep(name, _, attempt):
                template = self.engine.task.steps[name].template
                inputs = step_call(self.engine.task, template, attempt)
                activity = self.engine.task.template.activity_type(name)
                carried = sum(value.payload.ByteSize() + 3 for value in inputs) + len(activity)
                self.ledger.add(SCHEDULED, carried)
            case StartTimer(timer):
                self._running_timers[timer.id] = timer
                self.ledger.add(TIMER)
            case StopTimer(timer_id) if self._running_timers.pop(timer_id, None) is not None:
                self.ledger.add(TIMER)
            case _:
                pass
        super()._perform(command)

    def _feed_next(self) -> None:
        before = len(self.fed)
        super()._feed_next()
        for fed in self.fed[before:]:
            self._note(fed.message, fed.now)

    def _note(self, message: object, now: datetime) -> None:
        if isinstance(message, StepSucceeded) and message.result is not None:
            self.ledger.add(ENDED, message.result.size + PAYLOAD)
        if isinstance(message, TimerFired):
            self._running_timers.pop(message.timer, None)
            self.ledger.add(TIMER)
        self.ledger.wake(now)


class _Play:
    """One task, played to its end."""

    def __init__(self, template: Template, context: Content, expected: Mapping[str, Expected]) -> None:
        self._template, self._expected = template, expected
        self._assumed: list[str] = []
        self._ledger = _Ledger()
        self._task = Task("x" * 36, template, context, KEY)
        start = StartInput.first(template, KEY, AUTOMATIC)
        self._ledger.add(STARTED, start.raw().payload.ByteSize() + context.size + PAYLOAD)

    def plan(self) -> Plan:
        driver = _Driver(self._task, self._ledger)
        begun: dict[str, datetime] = {}
        while (command := driver.next_step()) is not None:
            told = self._of(self._template.step(command.step))
            begun[command.step] = driver.now
            end = StepSucceeded(command.step, command.execution, told.content)
            driver.answer(command, end, after=told.takes)
        self._ledger.add(CLOSED, len(to_json(outcome(self._task, written(self._task)))) + PAYLOAD)
        return self._told(driver, begun)

    def _of(self, step: StepTemplate) -> Expected:
        return self._expected.get(step.name, Expected())

    def _told(self, driver: MemoryDriver, begun: Mapping[str, datetime]) -> Plan:
        ends = {name: begun[name] + self._of(self._template.step(name)).takes for name in begun}
        template = self._template
        return Plan(
            template=template.name,
            version=template.version,
            digest=template.digest,
            waves=_waves(begun),
            steps=tuple(self._planned(step, begun, ends) for step in template.steps),
            state=str(driver.closed),
            takes=(driver.now - BEGIN).total_seconds(),
            critical_path=_critical_path(template, begun, ends),
            events=self._ledger.fewest,
            events_at_most=self._ledger.most,
            bytes=self._ledger.bytes,
            assumptions=tuple(self._assumed),
        )

    def _planned(self, step: StepTemplate, begun: Mapping[str, datetime], ends: Mapping[str, datetime]) -> PlannedStep:
        state = str(self._task.steps[step.name].state)
        if step.name not in begun:
            return PlannedStep(step.name, state)
        return PlannedStep(step.name, state, _seconds(begun[step.name]), _seconds(ends[step.name]))


def _seconds(moment: datetime) -> float:
    return (moment - BEGIN).total_seconds()


def _waves(begun: Mapping[str, datetime]) -> tuple[Wave, ...]:
    found: dict[datetime, list[str]] = {}
    for name, moment in begun.items():
        found.setdefault(moment, []).append(name)
    return tuple(Wave(_seconds(moment), tuple(names)) for moment, names in sorted(found.items()))


def _critical_path(template: Template, begun: Mapping[str, datetime], ends: Mapping[str, datetime]) -> tuple[str, ...]:
    """Backwards from the step that ends last: what it waited for that ended last, and so on."""
    path: list[str] = []
    left: Sequence[str] = list(ends)
    while left:
        last = max(left, key=lambda name: ends[name])
        path.append(last)
        left = [name for name in template.step(last).needs if name in ends]
    return tuple(reversed(path))
