"""What a message costs is told by what happens, and not by the size of the task that it happens to."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from math import isqrt
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


def calls(shape: Shape, size: int, say: Callable[[str, str], Any]) -> int:
    """The calls of functions that it takes."""
    counted = Counter[str]()
    for measured in (False, True):  # What is cached is not counted.
        engine, running = half_way(shape, size)
        message = say(running, f"s{size - 1}")
        sys.setprofile((lambda frame, event, argument: counted.update([event])) if measured else None)
        try:
            with suppress(RequestRefused):
                engine.apply(message, BEGIN)
        finally:
            sys.setprofile(None)
    return counted["call"] + counted["c_call"]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("said", SAID)
def test_a_message_costs_in_a_large_task_what_it_costs_in_a_small_one(shape: Shape, said: str) -> None:
    few, many = (calls(shape, size, SAID[said]) for size in (256, 900))
    assert many <= few * 1.05
