"""What a message costs is told by what happens, and not by the size of the task that it happens to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from math import isqrt
from types import FrameType
from typing import Any

import pytest

from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Content, Drain, Failure, Start, StepFailed, StepSucceeded
from tasker_temporal.core.requests import ChangeStep, CompleteStep, SkipStep
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.errors import RequestRefused
from tests.core.driving import BEGIN, KEY, step, template

Shape = Callable[[int, int], StepTemplate]


def chain(number: int, size: int) -> StepTemplate:
    return step(f"s{number}", *([f"s{number - 1}"] if number else []))


def triggered(number: int, size: int) -> StepTemplate:
    return step(f"s{number}", on={"completed": f"s{number - 1}"} if number else None)


def judged(number: int, size: int) -> StepTemplate:
    return step(f"s{number}", *([f"s{number - 1}"] if number else []), when="context.total > 1")


def grid(number: int, size: int) -> StepTemplate:
    """Each takes the results of the one above and of the one on its left."""
    width = isqrt(size)
    near = (number - width, number - 1 if number % width else -1)
    return step(f"s{number}", *(f"s{other}" for other in near if other >= 0))


def side_by_side(number: int, size: int) -> StepTemplate:
    return step(f"s{number}")


@lru_cache
def flow(shape: Shape, size: int) -> Template:
    return template(*(shape(number, size) for number in range(size)))


SHAPES = [chain, triggered, judged, grid, side_by_side]


def half_way(shape: Shape, size: int) -> tuple[Engine, str]:
    """A task whose steps are half over, and one that runs."""
    engine = Engine(Task("task-1", flow(shape, size), Content(b'{"total": 7}'), KEY))
    engine.apply(Start(), BEGIN)
    # In declared order each step runs when those before it are over.
    for number in range(size // 2):
        engine.apply(StepSucceeded(f"s{number}", 1, Content(b"1")), BEGIN)
    return engine, f"s{size // 2}"


BY: Any = {"actor": "ann", "reason": "somebody called"}

SAID: Mapping[str, Callable[[str, str], Any]] = {
    "a success": lambda running, last: StepSucceeded(running, 1, Content(b"1")),
    "a failure": lambda running, last: StepFailed(running, 1, Failure("Error", "no")),
    "a late outcome": lambda running, last: StepSucceeded(running, 7, Content(b"1")),
    "a result by hand": lambda running, last: CompleteStep(step=running, result=7, **BY),
    "a change": lambda running, last: ChangeStep(step=last, attempts=7, **BY),
    "a refusal": lambda running, last: SkipStep(step=running, **BY),
    "a drain": lambda running, last: Drain(10, 10),
}


class Count:
    """Counts the instructions that are carried out in its block: of them a loop has more, whatever it calls."""

    def __init__(self) -> None:
        self.total = 0

    def __enter__(self) -> Count:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        self.total += event == "opcode"
        return self._trace


def instructions(shape: Shape, size: int, say: Callable[[str, str], Any]) -> int:
    """How many it takes to apply the message."""
    for _ in range(2):  # What is cached is not counted.
        engine, running = half_way(shape, size)
        with suppress(RequestRefused), Count() as count:
            engine.apply(say(running, f"s{size - 1}"), BEGIN)
    return count.total


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("said", SAID)
def test_a_message_costs_in_a_large_task_what_it_costs_in_a_small_one(shape: Shape, said: str) -> None:
    few, many = (instructions(shape, size, SAID[said]) for size in (256, 900))
    assert many <= few * 1.05
