"""The graphs that everything is measured on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

STEPS, EDGES, SEED = 50, 88, 50
"""Of the random graph."""


@dataclass(frozen=True)
class Shape:
    """A graph: the steps that each of its steps waits for, in an order in which they can run."""

    name: str
    after: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.after)


def linear(size: int) -> Shape:
    """One step after the other."""
    return Shape(f"linear-{size}", {_name(n): _names(range(max(n - 1, 0), n)) for n in range(size)})


def diamond() -> Shape:
    """Two steps at once between a first and a last one."""
    return Shape("diamond-4", {"top": (), "left": ("top",), "right": ("top",), "bottom": ("left", "right")})


def randomly(size: int, edges: int, seed: int) -> Shape:
    """So many edges, each from an earlier step to a later one."""
    chosen = random.Random(seed).sample(list(combinations(range(size), 2)), edges)
    before = {later: sorted(early for early, late in chosen if late == later) for later in range(size)}
    return Shape(f"random-{size}", {_name(n): _names(before[n]) for n in range(size)})


def fan_out(size: int) -> Shape:
    """All steps at once."""
    return Shape(f"fan-{size}", {_name(n): () for n in range(size)})


def _name(number: int) -> str:
    return f"step_{number}"


def _names(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(_name(number) for number in numbers)


SHAPES: Final[Mapping[str, Shape]] = {
    shape.name: shape for shape in (linear(5), diamond(), randomly(STEPS, EDGES, SEED), fan_out(100), fan_out(1000))
}
