"""The bound that `make test` holds: the worker's CPU time a step, against the same workflow written by hand.

The ways take turns in many short rounds, and each round is a comparison of its own: whatever else the machine does
disturbs both sides of it. There are two crews, each a server and a worker for every way, and they take turns too,
because two processes of the same code differ by a few percent for as long as they live.

What is judged is the median of all comparisons, of which none is ever left out. How far chance moves it is said by the
interval in which it lies with 99 % certainty, however the comparisons are distributed. A shape needs no further rounds
once its interval is within its bound; the others go on until the time is up. Then a bound is broken if the whole
interval lies above it. So on a busy machine the gate finds only larger losses; it does not fail by chance. Where not
even the fewest rounds can be made in the time that it has at most, it says that nothing was judged.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from math import comb, inf
from statistics import median
from time import monotonic
from typing import Final, NamedTuple

from benchmarks.rig import Bench, at_most, benches, cpu_ms
from benchmarks.shapes import SHAPES, Shape
from benchmarks.ways import WAYS

MOST: Final[Mapping[str, float]] = {"unsandboxed": 1.10, "sandboxed": 1.0}
"""The library's worker may use so many times what the worker of the other way uses, in every shape."""

TASKS: Final[Mapping[str, int]] = {"linear-5": 12, "random-50": 2, "fan-100": 1}
"""The shapes, and how many of their tasks make a round."""

CREWS, CONCURRENCY = 2, 30

FEWEST = 8
"""Rounds. Fewer say nothing with such certainty."""

SECONDS, MOST_SECONDS = 40.0, 120.0
"""For how long rounds are added to these, and for how long these are waited for."""

DOUBT: Final = 0.01
"""That the median lies outside its interval."""

SETTLING: Final = 0.02
"""Seconds after the end of a task until its worker has forgotten it."""

Crew = list[Bench]


class Interval(NamedTuple):
    """Where the median lies."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """From one value to another as far from the other end: a fair coin's throws say how far that may be."""
        ordered, count = sorted(values), len(values)
        tails = accumulate(comb(count, heads) / 2**count for heads in range(count))
        places = sum(1 for _ in takewhile(lambda tail: 2 * tail <= DOUBT, tails))
        return cls(ordered[places - 1], ordered[-places]) if places else cls(0.0, inf)


@dataclass
class Race:
    """One shape by the library and by one other way: what the one takes divided by what the other does, each round."""

    shape: Shape
    way: str
    ratios: list[float] = field(default_factory=list)

    @property
    def most(self) -> float:
        return MOST[self.way]

    @property
    def is_over(self) -> bool:
        """Nothing that may still come could be held against the library."""
        return len(self.ratios) >= FEWEST and Interval.of(self.ratios).high <= self.most

    @property
    def is_lost(self) -> bool:
        return Interval.of(self.ratios).low > self.most

    def __str__(self) -> str:
        low, high = Interval.of(self.ratios)
        verdict = "too much" if self.is_lost else "kept" if len(self.ratios) >= FEWEST else "not judged, too few rounds"
        return (
            f"{self.shape.name}: x{median(self.ratios):.2f} of {WAYS[self.way].title} "
            f"(with 99 % certainty {low:.2f} to {high:.2f}, {len(self.ratios)} rounds), "
            f"at most {self.most:g}: {verdict}"
        )


async def cost(bench: Bench, shape: Shape, tasks: int) -> float:
    """The worker's milliseconds of CPU time a step."""

    async def run() -> None:
        handle = await bench.way.start(bench.client, shape)
        await handle.result()

    before = cpu_ms(bench.pids[0])
    await at_most(CONCURRENCY, tasks, run)
    await asyncio.sleep(SETTLING)
    return (cpu_ms(bench.pids[0]) - before) / (tasks * len(shape))


async def passes() -> int:
    """Measure, and print what was found. Returns 1 if a bound is broken."""
    races = [Race(SHAPES[shape], way) for shape in TASKS for way in MOST]
    async with AsyncExitStack() as stack:
        crews = [await stack.enter_async_context(benches(WAYS.values())) for _ in range(CREWS)]
        await asyncio.gather(*(_warm_up(crew) for crew in crews))
        await _run(races, crews)
    print("worker CPU a step, this library's divided by that of the same workflow written by hand:")
    print(*races, sep="\n")
    broken = [race for race in races if race.is_lost]
    print(*(f"too slow: {race}" for race in broken), sep="\n", end="\n" if broken else "", file=sys.stderr)
    return 1 if broken else 0


async def _warm_up(crew: Crew) -> None:
    for shape, tasks in TASKS.items():
        for bench in crew:
            await cost(bench, SHAPES[shape], tasks)


async def _run(races: Sequence[Race], crews: Sequence[Crew]) -> None:
    """Round by round, and crew by crew, until nothing is open any more or the time is up."""
    start, number = monotonic(), 0
    while not all(race.is_over for race in races):
        if monotonic() - start > (SECONDS if number >= FEWEST else MOST_SECONDS):
            break
        crew = crews[number % len(crews)]
        for shape in TASKS:
            await _round([race for race in races if race.shape.name == shape and not race.is_over], crew)
        # Nobody is always the first, in either crew.
        crew.append(crew.pop(0))
        number += 1


async def _round(races: Sequence[Race], crew: Crew) -> None:
    """One comparison for each of the races, which are of one shape."""
    wanted = {race.way for race in races} and {"library", *(race.way for race in races)}
    costs = {
        bench.way.name: await cost(bench, races[0].shape, TASKS[races[0].shape.name])
        for bench in crew
        if bench.way.name in wanted
    }
    for race in races:
        race.ratios.append(costs["library"] / costs[race.way])
