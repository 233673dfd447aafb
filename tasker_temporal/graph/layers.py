"""The graph row by row, ready to be given places: long edges bent, and each row ordered so that few edges cross.

An edge that passes a row has a bend there, as large as its label if it has one, so that it runs between the boxes.
Plain edges of one kind that leave the same node share their bends, and so are drawn as one line that branches.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from tasker_temporal.graph.labels import plain
from tasker_temporal.graph.levels import ends, levels
from tasker_temporal.graph.model import Graph

MOST_BENDS = 4000
"""A graph without labels that would need more is drawn without: its long edges run behind the boxes."""

SWEEPS = 8

Item = int
"""A node, by its place among the graph's nodes, or a bend, numbered after them."""


class Layers:
    """A graph's items in rows.

    Attributes:
        rows: The items of each row, in order.
        routes: For each edge of the graph, the items that it passes, from its upper end to its lower.
        labels: The edge label that stands at a bend.
        above, below: The items that an item is linked to.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ends = ends(graph)
        self.row_of = _rows(graph)
        self.labels: dict[Item, str] = {}
        labelled = any(edge.label for edge in graph.edges)
        self.routes = self._routes(bent=labelled or self._bends_needed() <= MOST_BENDS)
        self.rows: list[list[Item]] = [[] for _ in range(max(self.row_of, default=-1) + 1)]
        for item, row in enumerate(self.row_of):
            self.rows[row].append(item)
        self.above: list[list[Item]] = [[] for _ in self.row_of]
        self.below: list[list[Item]] = [[] for _ in self.row_of]
        for upper, lower in self.links():
            self.above[lower].append(upper)
            self.below[upper].append(lower)
        self._order()

    def is_node(self, item: Item) -> bool:
        return item < len(self.graph.nodes)

    def turned(self, index: int) -> bool:
        """Whether the edge runs upwards."""
        return self.graph.edges[index].source != self.ends[index][0]

    def links(self) -> list[tuple[Item, Item]]:
        """Each piece of a route once, self-loops left out."""
        pieces = (piece for route in self.routes for piece in pairwise(route))
        return [piece for piece in dict.fromkeys(pieces) if piece[0] != piece[1]]

    def trunk(self, index: int) -> tuple[str, str]:
        """What the edges that share bends have in common: a labelled edge, or one turned round, has its own."""
        edge = self.graph.edges[index]
        own = edge.label or self.turned(index)
        return self.ends[index][0], f"{edge.kind} {index}" if own else edge.kind

    def _bends_needed(self) -> int:
        row = dict(zip((node.name for node in self.graph.nodes), self.row_of, strict=True))
        longest: dict[tuple[str, str], int] = defaultdict(int)
        for index, (upper, lower) in enumerate(self.ends):
            trunk = self.trunk(index)
            longest[trunk] = max(longest[trunk], row[lower] - row[upper] - 1)
        return sum(longest.values())

    def _routes(self, *, bent: bool) -> list[tuple[Item, ...]]:
        item = {node.name: number for number, node in enumerate(self.graph.nodes)}
        trunks: dict[tuple[str, str], list[Item]] = defaultdict(list)
        routes = []
        for index, (upper, lower) in enumerate(self.ends):
            bends = self._bends(trunks[self.trunk(index)], item[upper], item[lower]) if bent else []
            if bends and (label := self.graph.edges[index].label):
                self.labels[bends[len(bends) // 4 * 2]] = plain(label)
            routes.append((item[upper], *bends, item[lower]))
        return routes

    def _bends(self, trunk: list[Item], upper: Item, lower: Item) -> list[Item]:
        """The bends between two nodes, on a trunk that grows as it is needed."""
        start, count = self.row_of[upper] + 1, self.row_of[lower] - self.row_of[upper] - 1
        for row in range(start + len(trunk), start + count):
            trunk.append(len(self.row_of))
            self.row_of.append(row)
        return trunk[: max(count, 0)]

    def _order(self) -> None:
        """Barycentres, down and up in turn; the order with the fewest crossings stays."""
        best, fewest = self.rows, self.crossings()
        for sweep in range(SWEEPS):
            self.rows = self._swept(self.above if sweep % 2 == 0 else self.below, upwards=sweep % 2 == 1)
            if (crossings := self.crossings()) < fewest:
                best, fewest = self.rows, crossings
        self.rows = best

    def _swept(self, neighbours: Sequence[Sequence[Item]], *, upwards: bool) -> list[list[Item]]:
        place = self._places()
        rows = [list(row) for row in self.rows]
        for row in reversed(rows) if upwards else rows:
            centre = {item: _mean([place[other] for other in neighbours[item]], place[item]) for item in row}
            row.sort(key=centre.__getitem__)
            for at, item in enumerate(row):
                place[item] = at
        return rows

    def _places(self) -> list[int]:
        place = [0] * len(self.row_of)
        for row in self.rows:
            for at, item in enumerate(row):
                place[item] = at
        return place

    def crossings(self) -> int:
        """How often two links between the same rows cross."""
        place = self._places()
        return sum(_crossings(row, self.below, place) for row in self.rows)


def _crossings(row: Sequence[Item], below: Sequence[Sequence[Item]], place: Sequence[int]) -> int:
    found, seen = 0, list[int]()
    for item in row:
        reached = sorted(place[other] for other in below[item])
        found += sum(len(seen) - bisect_right(seen, at) for at in reached)
        for at in reached:
            insort(seen, at)
    return found


def _rows(graph: Graph) -> list[int]:
    """The row of every node. Labels stand in rows of their own, between those of the nodes."""
    spread = 2 if any(edge.label for edge in graph.edges) else 1
    found = levels(graph)
    return [found[node.name] * spread for node in graph.nodes]


def _mean(places: Sequence[int], default: int) -> float:
    return sum(places) / len(places) if places else default
