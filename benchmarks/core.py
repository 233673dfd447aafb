"""What the core costs: microseconds of this process's CPU time a step, for all its rows, events and digests.

A whole task is moved from its start to `complete` without a server: the step that was ordered first succeeds first.
Making the task is in the time; its template, with everything cached on it, is built before the clock starts. Sizes and
shapes take turns, round by round, so that a busy machine disturbs all of them alike; the figure is the median round.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import isqrt
from statistics import median
from time import process_time_ns
from typing import Any

from benchmarks.quick import Benchmark, Results, main
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content, RunStep, Start, StepSucceeded
from tasker_temporal.core.routes import Mode
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Argument, StepTemplate, Template

SIZES = (5, 500, 5000)
STEPS_A_ROUND = 5000
"""A round moves as many tasks of a size as make so many steps."""

MOST_MICROSECONDS, MOST_GROWTH = 60.0, 1.5
"""What `--quick` asserts: the cost of a step, and how much dearer a shape's dearest size may be than its cheapest."""

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT, RESULT = Content(b'{"order": 1}'), Content(b'{"ok": true}')


def chain(index: int, size: int) -> Iterable[int]:
    """Each step takes the result of the one before."""
    return range(max(index - 1, 0), index)


def diamonds(index: int, size: int) -> Iterable[int]:
    """A square grid: each step takes the results of the one above and of the one on its left."""
    width = isqrt(size)
    above, left = index - width, index - 1 if index % width else -1
    return (other for other in (above, left) if other >= 0)


def fan_out(index: int, size: int) -> Iterable[int]:
    """All steps take the result of the first."""
    return range(min(index, 1))


Shape = Callable[[int, int], Iterable[int]]

SHAPES: Mapping[str, tuple[Shape, Mode]] = {
    "chain": (chain, "concurrent"),
    "diamonds": (diamonds, "concurrent"),
    "fan-out": (fan_out, "concurrent"),
    "one at a time": (fan_out, "sequential_only"),
}
"""The steps that a step waits for, by its number and how many there are; and how the task is processed."""


def template(shape: str, size: int) -> Template:
    """A template of `size` steps, with all that is cached on it."""
    waits_for, mode = SHAPES[shape]
    steps = tuple(_step(index, waits_for(index, size)) for index in range(size))
    built = Template(name=f"benchmarks.{shape}", steps=steps, mode=mode)
    run(built)
    return built


def _step(index: int, takes: Iterable[int]) -> StepTemplate:
    results = (Argument(name=f"r{other}", step=f"step_{other}") for other in takes)
    return StepTemplate(name=f"step_{index}", arguments=(Argument(name="order"), *results))


def run(template: Template) -> Task:
    """Move one task of the template to its end."""
    task = Task("task-1", template, CONTEXT, b"key")
    engine = Engine(task)
    ordered = deque(engine.apply(Start(), NOW))
    while ordered:
        command = ordered.popleft()
        if isinstance(command, RunStep):
            ordered += engine.apply(StepSucceeded(command.step, command.execution, RESULT), NOW)
    assert task.state is State.COMPLETE
    return task


def measured(template: Template) -> float:
    """One round: microseconds of CPU time a step."""
    repeats = max(STEPS_A_ROUND // len(template.steps), 1)
    gc.collect()
    start = process_time_ns()
    for _ in range(repeats):
        run(template)
    return (process_time_ns() - start) / 1000 / (repeats * len(template.steps))


def measure(rounds: int) -> Results:
    """The median of the rounds for each shape and size."""
    templates = {(shape, size): template(shape, size) for shape in SHAPES for size in SIZES}
    times: dict[tuple[str, int], list[float]] = {case: [] for case in templates}
    for _ in range(rounds):
        for case, built in templates.items():
            times[case].append(measured(built))
    return [_result(*case, found) for case, found in times.items()]


def _result(shape: str, size: int, times: Sequence[float]) -> dict[str, Any]:
    figures = {"median": median(times), "fastest": min(times), "slowest": max(times)}
    return {"shape": shape, "steps": size, **{name: round(time, 1) for name, time in figures.items()}}


def complaints(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is too dear, or grows with the size of the task."""
    found = [
        f"{line['shape']} of {line['steps']} steps costs {line['median']} us a step: at most {MOST_MICROSECONDS:g} us"
        for line in results
        if line["median"] > MOST_MICROSECONDS
    ]
    for shape in SHAPES:
        costs = [line["median"] for line in results if line["shape"] == shape]
        if (growth := max(costs) / min(costs)) > MOST_GROWTH:
            found.append(f"{shape}: the dearest size costs {growth:.2f} times the cheapest: at most {MOST_GROWTH:g}")
    return found


BENCHMARK = Benchmark("core", __doc__ or "", "The core: microseconds of CPU time a step", measure, complaints, (3, 9))


if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
