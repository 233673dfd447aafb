"""Plays a task of a template before it runs: its order, its history, its critical path.

The task is played by the same core that runs it, on a clock that jumps, with steps that all succeed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic_core import to_json

from tasker_temporal.core.conditions import reads
from tasker_temporal.core.judgement import evaluated
from tasker_temporal.core.messages import AUTOMATIC, JSON, Content, StepSucceeded
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.errors import ConditionError, ScriptError
from tasker_temporal.local_activities import check_context
from tasker_temporal.planning.driver import BEGIN, PlanningDriver
from tasker_temporal.planning.easy import eased
from tasker_temporal.planning.ledger import CLOSED, PAYLOAD, STARTED, Ledger
from tasker_temporal.planning.outside import Outside
from tasker_temporal.planning.told import Condition, Expected, Plan, PlannedStep, Wave
from tasker_temporal.record import outcome, written
from tasker_temporal.wire import StartInput

KEY: Final = bytes(32)

NOTHING: Final[Mapping[str, Expected]] = {}


def plan(template: Any, context: Any = None, expected: Mapping[str, Expected] = NOTHING) -> Plan:
    """Play one task.

    Args:
        template: A `TaskTemplate`, or the `Template` that it compiles to.
        context: What the task is about, as JSON has it; None if that is not told. A `TaskTemplate` validates it, as
            when a task is started.
        expected: By step, how long it takes and what it returns: one second, and 100 bytes, unless told.

    Raises:
        ContextInvalid: the context does not validate.
        TemplateError: the template is not sound.
        ValueError: something is expected of a step that the template does not have.
    """
    compiled = template if isinstance(template, Template) else template.compiled
    names = {step.name for step in compiled.steps}
    if strange := sorted(expected.keys() - names):
        raise ValueError(
            f"nothing can be expected of {', '.join(strange)}: the template has {', '.join(sorted(names))}"
        )
    known = context is None or isinstance(template, Template)
    given = context if known else check_context(template, context)
    return _Play(compiled, Content(to_json(given), JSON), expected).plan()


class _Play:
    """One task, played to its end."""

    def __init__(self, template: Template, context: Content, expected: Mapping[str, Expected]) -> None:
        self._declared, self._expected = template, expected
        self._assumed: list[str] = []
        told = None if json.loads(context.data) is None else context
        self._conditions = tuple(self._condition(step, told) for step in template.steps if step.when)
        unknown = {known.step for known in self._conditions if known.holds is None and not known.error}
        self._template = eased(template, unknown)
        self._ledger = Ledger()
        self._task = Task("x" * 36, self._template, context, KEY)
        start = StartInput.first(template, KEY, AUTOMATIC)
        self._ledger.add(STARTED, start.raw().payload.ByteSize() + context.size + PAYLOAD)

    def plan(self) -> Plan:
        driver = PlanningDriver(self._task, self._ledger, Outside(self._template, self._expected, self._assumed))
        begun: dict[str, datetime] = {}
        with suppress(ScriptError):
            # If the task is open and nothing is due, the plan says so: its state is not that of an end.
            while (command := driver.next_step()) is not None:
                told = self._of(self._template.step(command.step))
                begun[command.step] = driver.now
                end = StepSucceeded(command.step, command.execution, told.content)
                driver.answer(command, end, after=told.takes)
        self._ledger.add(CLOSED, len(to_json(outcome(self._task, written(self._task)))) + PAYLOAD)
        return self._told(driver, begun)

    def _of(self, step: StepTemplate) -> Expected:
        told = self._expected.get(step.name, Expected())
        if not step.branches or told.result is not None:
            return told
        self._assumed.append(f"{step.name} chooses {step.branches[0]}")
        return replace(told, result=step.branches[0])

    def _condition(self, step: StepTemplate, context: Content | None) -> Condition:
        """What the condition says, if all that it reads is told."""
        results = {name: told.content for name, told in self._expected.items() if told.result is not None}
        read = {name for name in step.needs if reads(step.when, f"result.{name}")}
        nowhere = ("event", "failure") if context is not None else ("context", "event", "failure")
        unknown = [*sorted(read - results.keys()), *(root for root in nowhere if reads(step.when, root))]
        if unknown:
            self._assumed.append(f"the condition of {step.name} is true, as nothing is told of {', '.join(unknown)}")
            return Condition(step.name, step.when, None)
        sources: dict[str, Content | None] = {f"result.{name}": results[name] for name in read}
        try:
            return Condition(step.name, step.when, evaluated(step.when, {**sources, "context": context}))
        except ConditionError as error:
            return Condition(step.name, step.when, None, str(error))

    def _uncounted(self) -> Iterator[str]:
        """What a real history has that is not in the numbers."""
        if sinks := ", ".join(sink.name for sink in self._declared.sinks):
            yield f"what is sent to sinks ({sinks}) is not counted"
        if self._ledger.fewest > self._declared.limits.drain_events:
            yield "the events are those of all runs together, as the task continues as new"

    def _told(self, driver: PlanningDriver, ran: Mapping[str, datetime]) -> Plan:
        begun = {**ran, **self._waits("started_at")}
        ends = {name: at + self._of(self._template.step(name)).takes for name, at in ran.items()}
        ends |= self._waits("ended_at")
        template = self._declared
        return Plan(
            template=template.name,
            version=template.version,
            digest=template.digest,
            waves=_waves(begun),
            steps=tuple(self._planned(step, begun, ends) for step in template.steps),
            state=str(driver.closed or "open"),
            takes=(driver.now - BEGIN).total_seconds(),
            critical_path=_critical_path(template, begun, ends),
            events=self._ledger.fewest,
            events_at_most=self._ledger.most,
            bytes=self._ledger.bytes,
            conditions=self._conditions,
            assumptions=tuple(dict.fromkeys([*self._assumed, *self._uncounted()])),
        )

    def _waits(self, when: str) -> dict[str, datetime]:
        """When the steps that no handler runs began or ended, if they did."""
        waits = (step for step in self._task.steps.values() if not step.template.runs)
        return {step.name: at for step in waits if (at := getattr(step, when)) is not None}

    def _planned(self, step: StepTemplate, begun: Mapping[str, datetime], ends: Mapping[str, datetime]) -> PlannedStep:
        state = str(self._task.steps[step.name].state)
        times = (_seconds(moments[step.name]) if step.name in moments else None for moments in (begun, ends))
        return PlannedStep(step.name, state, *times)


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
