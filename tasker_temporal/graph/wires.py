"""The lines between two rows of boxes drawn with characters.

Rule 1: a net is all that leaves one item in one kind of line. It has a column at its upper end, one at each lower end,
and, if these differ, a track: a line of text that joins them.
Rule 2: no two nets share a column on the same side.
Rule 3: where an upper column of one net is a lower column of another, the track of the first lies above that of the
second, and not right above it, so that their corners do not touch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import NamedTuple

from tasker_temporal.graph.layers import Item, Layers
from tasker_temporal.graph.model import DASHED

NEAR = 2
"""A line that arrives alone, and comes down no further from the middle, is not bent for it."""


class Crowded(Exception):
    """There is no way to draw these lines without ambiguity."""


class Net(NamedTuple):
    """Lines that belong together. One that is `turned` leads upwards."""

    upper: Item
    lowers: tuple[Item, ...]
    dotted: bool
    turned: bool


class Wire(NamedTuple):
    """A net with its columns, the lower ones in the order of its lower items. `track` is None if it runs straight."""

    net: Net
    start: int
    stops: tuple[int, ...]
    track: int | None

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last column."""
        columns = (self.start, *self.stops)
        return min(columns), max(columns)


def nets(layers: Layers) -> list[list[Net]]:
    """The nets below each row."""
    found: dict[tuple[Item, bool, int], dict[Item, None]] = defaultdict(dict)
    for index, route in enumerate(layers.routes):
        own = index if layers.turned(index) else -1
        for upper, lower in pairwise(route):
            found[upper, layers.graph.edges[index].kind in DASHED, own][lower] = None
    rows: list[list[Net]] = [[] for _ in layers.rows]
    for (upper, dotted, own), lowers in found.items():
        rows[layers.row_of[upper]].append(Net(upper, tuple(lowers), dotted, own >= 0))
    return rows


def wires(nets: Sequence[Net], insides: Sequence[range]) -> list[Wire]:
    """The nets of one row with their columns and tracks. `insides` has the columns where an item can be touched.

    Raises:
        Crowded: they cannot be drawn.
    """
    starts = _starts(nets, insides)
    stops = _stops(nets, starts, insides)
    straight = [len(net.lowers) == 1 and stops[at][0] == starts[at] for at, net in enumerate(nets)]
    made = [Wire(net, starts[at], stops[at], None) for at, net in enumerate(nets)]
    tracks = _tracks([at for at in range(len(nets)) if not straight[at]], made)
    return [wire._replace(track=tracks.get(at)) for at, wire in enumerate(made)]


def _starts(nets: Sequence[Net], insides: Sequence[range]) -> list[int]:
    """The upper columns: those of one item two apart, ordered by where they lead."""
    leaving: dict[Item, list[int]] = defaultdict(list)
    for at, net in enumerate(nets):
        leaving[net.upper].append(at)
    found = [0] * len(nets)
    for item, numbers in leaving.items():
        numbers.sort(key=lambda at: sum(_middle(insides[lower]) for lower in nets[at].lowers) / len(nets[at].lowers))
        for place, at in enumerate(numbers):
            found[at] = _spread(insides[item], place, len(numbers))
    return found


def _middle(inside: range) -> int:
    return inside[len(inside) // 2]


def _spread(inside: range, place: int, count: int) -> int:
    return _middle(inside) + 2 * place - count + 1


def _stops(nets: Sequence[Net], starts: Sequence[int], insides: Sequence[range]) -> list[tuple[int, ...]]:
    """The lower columns, item by item."""
    arriving: dict[Item, list[int]] = defaultdict(list)
    for at in sorted(range(len(nets)), key=starts.__getitem__):
        for lower in nets[at].lowers:
            arriving[lower].append(at)
    ports = {item: _ports(insides[item], numbers, starts) for item, numbers in arriving.items()}
    return [tuple(ports[lower][at] for lower in net.lowers) for at, net in enumerate(nets)]


def _ports(inside: range, numbers: Sequence[int], starts: Sequence[int]) -> Mapping[int, int]:
    """Where nets arrive at one item: straight from above if they can, else where no other net comes down."""
    if len(inside) == 1:
        return {numbers[0]: inside[0]}
    straight = inside if len(numbers) > 1 else range(_middle(inside) - NEAR, _middle(inside) + NEAR + 1)
    found = {at: starts[at] for at in numbers if starts[at] in straight}
    free = [column for column in inside if column not in starts]
    for place, at in enumerate(numbers):
        if at not in found:
            found[at] = _nearest(_spread(inside, place, len(numbers)), free, found.values())
    return found


def _nearest(wanted: int, free: Sequence[int], taken: Iterable[int]) -> int:
    near = set(taken) | {column + side for column in taken for side in (-1, 1)}
    fitting = [column for column in free if column not in near]
    if not fitting:
        raise Crowded
    return min(fitting, key=lambda column: (abs(column - wanted), column))


def _tracks(bent: Sequence[int], made: Sequence[Wire]) -> dict[int, int]:
    """The track of each wire that is not straight, as high as rule 3 and the other wires allow."""
    owner = {made[at].start: at for at in bent}
    above = {at: sorted({owner[c] for c in made[at].stops if owner.get(c, at) != at}) for at in bent}
    columns = {column for wire in made for column in (wire.start, *wire.stops)}
    found: dict[int, int] = {}
    taken: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for at in _ordered(above):
        track = max((found[other] + 2 for other in above[at]), default=0)
        while any(_meet(made[at].span, other, columns) for other in taken[track]):
            track += 1
        found[at] = track
        taken[track].append(made[at].span)
    return found


def _ordered(above: Mapping[int, Sequence[int]]) -> Iterator[int]:
    try:
        yield from TopologicalSorter(above).static_order()
    except CycleError as error:
        raise Crowded from error


def _meet(span: tuple[int, int], other: tuple[int, int], columns: Set[int]) -> bool:
    """Also if only lines down stand between them: they would look as if they crossed one line."""
    between = range(min(span[1], other[1]) + 1, max(span[0], other[0]))
    return all(column in columns for column in between)
