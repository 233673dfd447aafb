"""The bound that `make test` holds: the worker's CPU time a step, against the same workflow written by hand.

Rounds are added until the medians of all rounds so far are within the bounds, or until there have been enough of them
to be sure that they are not. No round is ever left out, so a busy machine costs time, and a real loss is not hidden.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.rig import Bench, at_most, benches, cpu_ms
from benchmarks.shapes import SHAPES, Shape
from benchmarks.ways import WAYS

BOUNDS: Final[Mapping[str, float]] = {"unsandboxed": 1.10, "sandboxed": 1.0}
"""The library's worker may use so many times what the worker of the other way uses."""

TASKS: Final[Mapping[str, int]] = {"linear-5": 40, "fan-100": 4}
"""For each shape, the tasks of one round."""

FEWEST, MOST = 3, 6
"""Rounds."""

CONCURRENCY = 30


@dataclass
class Race:
    """One shape: for each way, the worker's milliseconds a step in each round."""

    shape: Shape
    costs: dict[str, list[float]]

    def ratio(self, way: str) -> float:
        """The median over the rounds of what the library costs, divided by what the way costs in the same round."""
        pairs = zip(self.costs["library"], self.costs[way], strict=True)
        return median(ours / theirs for ours, theirs in pairs)

    def complaints(self) -> Iterator[str]:
        for way, bound in BOUNDS.items():
            if (ratio := self.ratio(way)) > bound:
                ours, theirs = median(self.costs["library"]), median(self.costs[way])
                yield (
                    f"{self.shape.name}: the library's worker takes {ratio:.2f} times the CPU of {WAYS[way].title} "
                    f"({ours:.2f} against {theirs:.2f} ms a step): at most {bound:g} times is allowed"
                )

    def __str__(self) -> str:
        told = (f"{median(costs):.2f} {WAYS[way].title}" for way, costs in self.costs.items())
        return f"{self.shape.name}, worker CPU ms a step: " + ", ".join(told)


async def cost(bench: Bench, shape: Shape, tasks: int) -> float:
    """The worker's milliseconds of CPU time a step."""

    async def run() -> None:
        handle = await bench.way.start(bench.client, shape)
        await handle.result()

    before = cpu_ms(bench.pids[0])
    await at_most(CONCURRENCY, tasks, run)
    return (cpu_ms(bench.pids[0]) - before) / (tasks * len(shape))


async def passes() -> int:
    """Measure, and print what was found. Returns 1 if a bound is broken."""
    races = [Race(SHAPES[name], {way: [] for way in WAYS}) for name in TASKS]
    async with benches(WAYS.values()) as found:
        await _round(races, found, warming=True)
        for number in range(1, MOST + 1):
            await _round(races, found)
            if number >= FEWEST and not any(list(race.complaints()) for race in races):
                break
    print(*(f"{race} ({number} rounds)" for race in races), sep="\n")
    broken = [complaint for race in races for complaint in race.complaints()]
    print(*broken, sep="\n", end="\n" if broken else "", file=sys.stderr)
    return 1 if broken else 0


async def _round(races: Sequence[Race], found: list[Bench], *, warming: bool = False) -> None:
    for race in races:
        for bench in found:
            measured = await cost(bench, race.shape, 2 if warming else TASKS[race.shape.name])
            if not warming:
                race.costs[bench.way.name].append(measured)
    found.append(found.pop(0))
