"""Where the items of a layered graph stand across the flow.

Whole numbers only: sums of floats differ between versions of Python, and a picture must not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final

from tasker_temporal.graph.layers import Item, Layers

ROUNDS: Final = 4
"""How often the rows are gone through, downwards and upwards."""

PULL: Final = 1, 2, 8
"""How much a link pulls of whose ends none, one or both are bends: a long edge should be straight."""

FAR: Final = 10**9

Near = Sequence[Sequence[Item]]
"""For each item those that pull at it."""


def across(layers: Layers, breadths: Sequence[int], gap: int) -> list[int]:
    """The middle of every item, at least `gap` between any two of a row; the first of all items begins at 0.

    Each item is drawn to the middle of those that it is linked to, first on one side, then on both; and what could be
    one straight line becomes one.
    """
    places = _Places(layers, breadths, gap)
    both = [[*above, *below] for above, below in zip(layers.above, layers.below, strict=True)]
    for _ in range(ROUNDS):
        places.draw(layers.above, layers.below)
    for _ in range(ROUNDS):
        places.draw(both, both)
        places.straighten()
    start = min((m - breadth // 2 for m, breadth in zip(places.middles, breadths, strict=True)), default=0)
    return [middle - start for middle in places.middles]


class _Places:
    def __init__(self, layers: Layers, breadths: Sequence[int], gap: int) -> None:
        self.layers = layers
        self.middles = [0] * len(breadths)
        self.offsets = [_offsets(row, breadths, gap) for row in layers.rows]
        self.at = {item: at for row in layers.rows for at, item in enumerate(row)}
        self.runs = list(_runs(layers))

    def draw(self, down: Near, up: Near) -> None:
        """Go through the rows downwards, each drawn to what pulls at it, and then upwards."""
        numbers = range(len(self.layers.rows))
        for near, order in ((down, numbers), (up, reversed(numbers))):
            for number in order:
                self._draw_row(number, near)

    def _draw_row(self, number: int, near: Near) -> None:
        row = self.layers.rows[number]
        wanted = [self._wanted(item, near[item]) for item in row]
        for item, middle in zip(row, _settled(wanted, self.offsets[number]), strict=True):
            self.middles[item] = middle

    def _wanted(self, item: Item, near: Sequence[Item]) -> tuple[int, int]:
        """Where an item wants to be, and how much."""
        bend = not self.layers.is_node(item)
        pulls = [PULL[bend + (not self.layers.is_node(other))] for other in near]
        if not pulls:
            return self.middles[item], 1
        mass = sum(pulls)
        return sum(pull * self.middles[other] for pull, other in zip(pulls, near, strict=True)) // mass, mass

    def straighten(self) -> None:
        """Put the items of each run in one line, or in as few pieces as their neighbours leave room for."""
        for run in self.runs:
            part, low, high = list[Item](), -FAR, FAR
            for item in run:
                left, right = self._room(item)
                if max(low, left) > min(high, right):
                    self._align(part, low, high)
                    part, low, high = [], -FAR, FAR
                part.append(item)
                low, high = max(low, left), min(high, right)
            self._align(part, low, high)

    def _room(self, item: Item) -> tuple[int, int]:
        """How far the item can move without coming too near to its neighbours."""
        row, at = self.layers.row_of[item], self.at[item]
        items, offsets = self.layers.rows[row], self.offsets[row]
        left = self.middles[items[at - 1]] + offsets[at] - offsets[at - 1] if at else -FAR
        last = at == len(items) - 1
        return left, FAR if last else self.middles[items[at + 1]] - offsets[at + 1] + offsets[at]

    def _align(self, items: Sequence[Item], low: int, high: int) -> None:
        median = sorted(self.middles[item] for item in items)[len(items) // 2]
        for item in items:
            self.middles[item] = min(max(median, low), high)


def _runs(layers: Layers) -> Iterator[list[Item]]:
    """What should be one straight line: the bends of an edge, and items that have only each other."""
    after = {
        item: lower for item, below in enumerate(layers.below) for lower in below if _straight(layers, item, lower)
    }
    for item in sorted(set(after) - set(after.values())):
        run = [item]
        while run[-1] in after:
            run.append(after[run[-1]])
        yield run


def _straight(layers: Layers, upper: Item, lower: Item) -> bool:
    if not layers.is_node(upper) and not layers.is_node(lower):
        return True
    return len(layers.below[upper]) == 1 and len(layers.above[lower]) == 1


def _offsets(row: Sequence[Item], breadths: Sequence[int], gap: int) -> list[int]:
    """The least distance of each middle from the first."""
    steps = ((breadths[a] + breadths[b] + 1) // 2 + gap for a, b in pairwise(row))
    return list(accumulate(steps, initial=0))[: len(row)]


def _settled(wanted: Sequence[tuple[int, int]], offsets: Sequence[int]) -> list[int]:
    """As near to where the items want to be as their order and their offsets allow: the least squares.

    The method is "pool adjacent violators": items that would overlap form a block, which stands at its mean.
    """
    blocks: list[tuple[int, int, int]] = []
    for (want, mass), offset in zip(wanted, offsets, strict=True):
        total, count = (want - offset) * mass, 1
        while blocks and blocks[-1][0] * mass >= total * blocks[-1][1]:
            before = blocks.pop()
            total, mass, count = total + before[0], mass + before[1], count + before[2]
        blocks.append((total, mass, count))
    bases = (total // mass for total, mass, count in blocks for _ in range(count))
    return [base + offset for base, offset in zip(bases, offsets, strict=True)]
