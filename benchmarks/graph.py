"""What a picture costs: milliseconds of this process's CPU time for each format, shape and size of a template.

Every step has a state and a note, as in a picture of a run. Formats and shapes take turns, round by round; the figure
is the median round. The graph itself is built before the clock starts.
"""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from math import isqrt
from statistics import median
from time import process_time_ns
from typing import Any

from benchmarks.quick import Benchmark, Results, main
from tasker_temporal.core.machine import State
from tasker_temporal.graph import FORMATS, Edge, Graph, Node

SIZES = (50, 500, 2000)
STATES = tuple(State)

MOST_MILLISECONDS = 1000.0
"""What `--quick` asserts for 500 steps, in every format."""


def chain(at: int, size: int) -> Sequence[int]:
    """Each step waits for the three before it."""
    return range(max(at - 3, 0), at)


def layered(at: int, size: int) -> Sequence[int]:
    """A square of rows; each step waits for two of the row above."""
    width = isqrt(size)
    above = at - at % width - width
    return sorted({above + at % width, above + at * 7 % width}) if above >= 0 else ()


def fan_out(at: int, size: int) -> Sequence[int]:
    """All steps wait for the first, and the last waits for all."""
    return range(1, at) if at == size - 1 else range(min(at, 1))


def near(at: int, size: int) -> Sequence[int]:
    """Each step waits for up to three of the twelve before it."""
    chance = random.Random(at)
    return chance.sample(range(max(at - 12, 0), at), min(at, chance.randint(0, 3)))


def anywhere(at: int, size: int) -> Sequence[int]:
    """Each step waits for up to three of all before it, so that most edges are long."""
    return random.Random(at).sample(range(at), min(at, 3))


SHAPES: Mapping[str, Callable[[int, int], Sequence[int]]] = {
    "chain": chain,
    "layered": layered,
    "fan-out": fan_out,
    "near": near,
    "anywhere": anywhere,
}


def graph(shape: str, size: int) -> Graph:
    """A run's graph of so many steps, every third edge of it order only."""
    nodes = [Node(f"step_{at}", f"step_{at}", STATES[at % len(STATES)], f"attempt {at}") for at in range(size)]
    pairs = [(other, at) for at in range(size) for other in SHAPES[shape](at, size)]
    edges = [Edge(f"step_{a}", f"step_{b}", "after" if at % 3 == 0 else "result") for at, (a, b) in enumerate(pairs)]
    return Graph(tuple(nodes), tuple(edges), f"{shape} of {size}")


def measured(render: Callable[[Graph], str], drawn: Graph) -> float:
    """One round: milliseconds of CPU time a picture."""
    gc.collect()
    start = process_time_ns()
    render(drawn)
    return (process_time_ns() - start) / 1_000_000


def measure(rounds: int) -> Results:
    """The median of the rounds for each shape, size and format."""
    graphs = {(shape, size): graph(shape, size) for shape in SHAPES for size in SIZES}
    times: dict[tuple[str, int, str], list[float]] = {(*case, form): [] for case in graphs for form in FORMATS}
    for _ in range(rounds):
        for shape, size, form in times:
            times[shape, size, form].append(measured(FORMATS[form], graphs[shape, size]))
    return [_result(shape, size, graphs[shape, size], times) for shape, size in graphs]


def _result(
    shape: str, size: int, drawn: Graph, times: Mapping[tuple[str, int, str], Sequence[float]]
) -> dict[str, Any]:
    figures = {form: round(median(times[shape, size, form]), 1) for form in FORMATS}
    return {"shape": shape, "steps": size, "edges": len(drawn.edges), **figures}


def complaints(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What takes too long."""
    return [
        f"{form} of {line['shape']} takes {line[form]} ms for {line['steps']} steps: at most {MOST_MILLISECONDS:g} ms"
        for line in results
        for form in FORMATS
        if line["steps"] == 500 and line[form] > MOST_MILLISECONDS
    ]


BENCHMARK = Benchmark("graph", __doc__ or "", "Pictures: milliseconds of CPU time", measure, complaints, (1, 5))


if __name__ == "__main__":
    sys.exit(main(BENCHMARK))
