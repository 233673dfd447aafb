"""Where everything of a picture stands, in whole pixels.

It is worked out along and across the flow, and only the last step knows whether that runs down or to the right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from tasker_temporal.graph.labels import columns, lines
from tasker_temporal.graph.layers import Item, Layers
from tasker_temporal.graph.levels import sideways
from tasker_temporal.graph.model import Graph
from tasker_temporal.graph.places import across

LINE = 16
"""The height of a line of text."""

LIMIT = 36
"""The columns of a line of text; a longer one is folded or cut."""

MARGIN, BESIDE, BETWEEN = 20, 16, 40
"""Around the picture, between two boxes of a row, and between two rows."""

REACH = 5, 240
"""Rows stand further apart the further their edges reach across: by one part in so many, and at most so much."""

PORTS = 5, 14
"""The least and the most that two edges at one side of a box are apart; with less room, all meet at one place."""

CROWD, LANE = 12, 14
"""So many links at one side of a box share a lane across, like the teeth of a comb; so broad is a lane."""


class Point(NamedTuple):
    """A place in the picture, from its upper left corner."""

    x: int
    y: int


class Box(NamedTuple):
    """A node's rectangle: its middle and its size."""

    middle: Point
    width: int
    height: int


class Layout:
    """A graph's picture.

    Attributes:
        boxes: One for each node.
        routes: For each edge, its points from source to target. Two points of one x or one y are joined by a straight
            line, others by a curve that begins and ends along the flow. A self-loop has no points.
        labels: The middle of the label of each labelled edge, by the edge's place in the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.sideways = sideways(graph)
        self._layers = layers = Layers(graph)
        self._sizes = [self._size(item) for item in range(len(layers.row_of))]
        self._across = across(layers, [breadth for breadth, _ in self._sizes], BESIDE)
        self._rows, self._lanes = self._stacked()
        self._ports = self._all_ports()
        self.boxes = [self._box(item) for item in range(len(graph.nodes))]
        self.routes = [self._route(index) for index in range(len(graph.edges))]
        self.labels = dict(self._labels())
        self.width, self.height = self._extent()

    def _size(self, item: Item) -> tuple[int, int]:
        """An item's breadth across the flow and its depth along it."""
        if self._layers.is_node(item):
            said = lines(self.graph.nodes[item], limit=LIMIT)
            width, height = text_width(max(map(columns, said), default=0)) + 24, LINE * max(len(said), 1) + 14
        elif label := self._layers.labels.get(item):
            width, height = text_width(columns(label)) + 8, LINE + 4
        else:
            return 8, 0
        return (height, width) if self.sideways else (width, height)

    def _stacked(self) -> tuple[list[tuple[int, int]], dict[tuple[Item, Item], int]]:
        """Where each row begins and ends along the flow, and where the lanes run between them."""
        rows: list[tuple[int, int]] = []
        lanes: dict[tuple[Item, Item], int] = {}
        start = MARGIN
        for row in self._layers.rows:
            end = start + max(self._sizes[item][1] for item in row)
            rows.append((start, end))
            crowds = self._crowds(row)
            lanes |= {link: end + LANE * (at + 1) for at, links in enumerate(crowds) for link in links}
            start = end + BETWEEN + LANE * len(crowds) + self._spread(row, lanes)
        return rows, lanes

    def _links(self, row: list[Item]) -> list[tuple[Item, Item]]:
        return [(item, other) for item in row for other in self._layers.below[item]]

    def _crowds(self, row: list[Item]) -> list[list[tuple[Item, Item]]]:
        """The links below a row that run in lanes, lane by lane."""
        found: dict[Item, list[tuple[Item, Item]]] = defaultdict(list)
        for upper, lower in self._links(row):
            leaving, arriving = len(self._layers.below[upper]), len(self._layers.above[lower])
            if max(leaving, arriving) >= CROWD:
                found[upper if leaving >= arriving else lower].append((upper, lower))
        return list(found.values())

    def _spread(self, row: list[Item], lanes: dict[tuple[Item, Item], int]) -> int:
        part, most = REACH
        curved = (link for link in self._links(row) if link not in lanes)
        return min(max((abs(self._across[a] - self._across[b]) for a, b in curved), default=0) // part, most)

    def _all_ports(self) -> dict[tuple[Item, str, int], int]:
        """Where edges touch a box, across the flow. All that go down from it leave at one place."""
        near: dict[tuple[Item, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, route in enumerate(self._layers.routes):
            near[route[0], "lower"][self._leaving(index)].append(self._across[route[1]])
            near[route[-1], "upper"][index].append(self._across[route[-2]])
        return {(*side, key): at for side, keys in near.items() for key, at in self._spaced(side[0], keys)}

    def _leaving(self, index: int) -> int:
        return index if self._layers.turned(index) else -1

    def _spaced(self, item: Item, near: dict[int, list[int]]) -> Iterator[tuple[int, int]]:
        ordered = sorted(near, key=lambda key: sum(near[key]) / len(near[key]))
        least, most = PORTS
        apart = min(most, (self._sizes[item][0] - 12) // len(ordered))
        apart = apart if apart >= least else 0
        first = self._across[item] - apart * (len(ordered) - 1) // 2
        return ((key, first + apart * at) for at, key in enumerate(ordered))

    def _box(self, item: Item) -> Box:
        start, end = self._rows[self._layers.row_of[item]]
        middle, breadth = self._point(self._across[item], (start + end) // 2), self._sizes[item][0]
        return Box(middle, end - start, breadth) if self.sideways else Box(middle, breadth, end - start)

    def _route(self, index: int) -> list[Point]:
        route = self._layers.routes[index]
        if route[0] == route[-1]:
            return []
        over = [self._across[item] for item in route]
        over[0] = self._ports[route[0], "lower", self._leaving(index)]
        over[-1] = self._ports[route[-1], "upper", index]
        pieces = zip(pairwise(route), pairwise(over), strict=True)
        places = [place for link, columns in pieces for place in self._piece(link, *columns)]
        points = [self._point(*place) for place in _without_needless(places)]
        return points[::-1] if self._layers.turned(index) else points

    def _piece(self, link: tuple[Item, Item], a: int, b: int) -> list[tuple[int, int]]:
        """The way from the end of one item's row to the start of the other's, by a lane if it has one."""
        start, end = (self._rows[self._layers.row_of[item]] for item in link)
        lane = self._lanes.get(link)
        return [(a, start[1]), *([] if lane is None else [(a, lane), (b, lane)]), (b, end[0])]

    def _labels(self) -> Iterator[tuple[int, Point]]:
        for index, route in enumerate(self._layers.routes):
            for item in route:
                if item in self._layers.labels:
                    start, end = self._rows[self._layers.row_of[item]]
                    yield index, self._point(self._across[item], (start + end) // 2)

    def _point(self, over: int, along: int) -> Point:
        return Point(along, over + MARGIN) if self.sideways else Point(over + MARGIN, along)

    def _extent(self) -> Point:
        over = max((middle + size[0] // 2 for middle, size in zip(self._across, self._sizes, strict=True)), default=0)
        return self._point(over + MARGIN, (self._rows[-1][1] if self._rows else 0) + MARGIN)


def _without_needless(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A place between two others on one straight line says nothing."""
    kept = places[:1]
    for place, after in pairwise(places[1:]):
        if not kept[-1][0] == place[0] == after[0]:
            kept.append(place)
    return [*kept, *places[-1:]]


def text_width(count: int) -> int:
    """The pixels that so many columns take: a monospaced character is about three fifths as wide as its size."""
    return count * 29 // 4
