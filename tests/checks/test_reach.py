"""What is said never to run never runs, however steps end, decisions choose, and events come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasker_temporal.checks.scenarios import Scenarios
from tasker_temporal.core.messages import Content, Failure, RunStep, StepFailed, StepSucceeded
from tasker_temporal.core.requests import SendEvent
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Argument, StepTemplate, Template
from tasker_temporal.core.triggers import EventTemplate
from tasker_temporal.errors import RequestRefused, ScriptError
from tasker_temporal.testing.memory import MemoryDriver
from tests.yaml.strategies import EVENTS, triggers

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@st.composite
def flows(draw: st.DrawFn) -> Template:
    """Steps that wait for one another in every way, and can fail, be skipped, and choose."""
    made: list[StepTemplate] = []
    for number in range(draw(st.integers(2, 6))):
        earlier = [step.name for step in made]
        some = st.lists(st.sampled_from(earlier), max_size=2, unique=True) if earlier else st.just([])
        on = draw(st.none() | triggers(made))
        taken = draw(some)
        made.append(
            StepTemplate(
                name=f"s{number}",
                after=tuple(draw(some)),
                on=on,
                when=draw(st.sampled_from(["", "", "context.go"])),
                branches=draw(st.sampled_from([(), ("x", "y")])),
                arguments=tuple(Argument(name=n, step=n, optional=draw(st.booleans())) for n in taken),
                retryable=False,
                result=draw(st.sampled_from(["str", "list[str]"])),
            )
        )
    return Template(name="tests.flow", steps=tuple(made), events=tuple(EventTemplate(name=name) for name in EVENTS))


def ran(template: Template, chosen: Sequence[int], go: bool) -> set[str]:
    """The steps whose handlers were run, in one way that a task can go."""
    picks = cycle(chosen)
    driver = MemoryDriver(Task("t", template, Content(json.dumps({"go": go}).encode()), bytes(32)), BEGIN)
    begun: set[str] = set()
    for _ in range(4):
        with suppress(ScriptError):
            for command in _commands(driver):
                begun.add(command.step)
                driver.answer(command, _end(template.step(command.step), command, picks), after=timedelta(seconds=1))
            return begun
        for name in EVENTS:
            driver.ask(SendEvent(name=name, payload={"order": 1, "lines": [1, 2, 3]}))
    return begun


def _commands(driver: MemoryDriver) -> Iterator[RunStep]:
    while True:
        try:
            command = driver.next_step()
        except RequestRefused:
            continue
        if command is None:
            return
        yield command


def _end(step: StepTemplate, command: RunStep, picks: Iterator[int]) -> StepSucceeded | StepFailed:
    pick = next(picks)
    if pick % 4 == 0:
        return StepFailed(command.step, command.execution, Failure("Boom", "it broke", retryable=False))
    value: object = 1
    if step.branches:
        several = [[], ["x"], ["y"], ["x", "y"]]
        value = several[pick % 4] if "list" in step.result else step.branches[pick % 2]
    return StepSucceeded(command.step, command.execution, Content(json.dumps(value).encode()))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(flows(), st.lists(st.integers(0, 99), min_size=1, max_size=8), st.booleans())
def test_what_never_runs_never_runs(template: Template, chosen: list[int], go: bool) -> None:
    assert ran(template, chosen, go).isdisjoint(Scenarios(template).never_run())
