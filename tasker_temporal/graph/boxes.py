"""A small graph as boxes and arrows, drawn with plain characters.

A line that crosses another interrupts it; where lines of one source branch or turn there is a `+`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasker_temporal.graph.labels import columns, lines, plain
from tasker_temporal.graph.layers import Item, Layers
from tasker_temporal.graph.model import Graph
from tasker_temporal.graph.palette import painted
from tasker_temporal.graph.places import across
from tasker_temporal.graph.wires import Crowded, Wire, nets, wires

GAP = 3
"""Columns between two boxes."""

LIMIT = 30
"""Columns of a line of text; a longer note is folded."""


def drawn(graph: Graph, *, width: int, colour: bool) -> str | None:
    """The picture, or None if it would be wider than `width` columns, cut a label, or be ambiguous."""
    cut = any(columns(plain(node.label)) > LIMIT for node in graph.nodes)
    if cut or any(edge.source == edge.target for edge in graph.edges):
        return None
    try:
        picture = _Picture(graph, colour)
    except Crowded:
        return None
    return None if picture.width > width else picture.text()


class _Picture:
    """A sheet of cells, filled from top to bottom. A cell holds the text that begins there."""

    def __init__(self, graph: Graph, colour: bool) -> None:
        self.graph, self.colour = graph, colour
        self.layers = Layers(graph)
        self.nets = nets(self.layers)
        self.dotted = {lower for row in self.nets for net in row if net.dotted for lower in net.lowers}
        self.breadths = [self._breadth(item) for item in range(len(self.layers.row_of))]
        self.middles = across(self.layers, self.breadths, GAP)
        self.width = max((m - b // 2 + b for m, b in zip(self.middles, self.breadths, strict=True)), default=0)
        insides = [self._inside(item) for item in range(len(self.breadths))]
        self.cells: list[list[str]] = []
        for row, leaving in zip(self.layers.rows, self.nets, strict=True):
            self._draw_row(row)
            self._draw_wires(wires(leaving, insides))

    def text(self) -> str:
        return "".join("".join(line).rstrip() + "\n" for line in self.cells)

    def _said(self, item: Item) -> list[str]:
        return lines(self.graph.nodes[item], signs=False, limit=LIMIT)

    def _breadth(self, item: Item) -> int:
        if not self.layers.is_node(item):
            return columns(self.layers.labels.get(item, "|"))
        links = max(len(self.layers.above[item]), len(self.layers.below[item]))
        return max([columns(text) + 4 for text in self._said(item)] + [4 * links + 1])

    def _inside(self, item: Item) -> range:
        """The columns where lines can touch an item: between a box's corners, or where a bend runs."""
        if not self.layers.is_node(item):
            return range(self.middles[item], self.middles[item] + 1)
        left = self.middles[item] - self.breadths[item] // 2
        return range(left + 1, left + self.breadths[item] - 1)

    def _lines(self, count: int) -> range:
        """Add lines to the sheet."""
        self.cells += [[" "] * self.width for _ in range(count)]
        return range(len(self.cells) - count, len(self.cells))

    def _write(self, line: int, column: int, text: str, shown: str | None = None) -> None:
        """Write a text, in the form in which it is shown if that has more characters."""
        self.cells[line][column : column + columns(text)] = [shown or text] + [""] * (columns(text) - 1)

    def _draw_row(self, row: Sequence[Item]) -> None:
        height = max((len(self._said(item)) + 2 for item in row if self.layers.is_node(item)), default=1)
        place = self._lines(height)
        for item in row:
            if self.layers.is_node(item):
                self._draw_box(item, place)
            else:
                self._draw_bend(item, place)

    def _draw_box(self, item: Item, place: range) -> None:
        breadth, said = self.breadths[item], self._said(item)
        left = self.middles[item] - breadth // 2
        for line in place:
            side, fill = ("+", "-") if line in (place[0], place[-1]) else ("|", " ")
            self._write(line, left, side)
            self._write(line, left + breadth - 1, side)
            self.cells[line][left + 1 : left + breadth - 1] = [fill] * (breadth - 2)
        for line, text in enumerate(said, place[0] + (len(place) - len(said)) // 2):
            self._write_text(line, left + (breadth - columns(text)) // 2, text, item)

    def _write_text(self, line: int, column: int, text: str, item: Item) -> None:
        state = self.graph.nodes[item].state
        self._write(line, column, text, painted(text, state) if self.colour and text == state else None)

    def _draw_bend(self, item: Item, place: range) -> None:
        for line in place:
            self._write(line, self.middles[item], ":" if item in self.dotted else "|")
        if label := self.layers.labels.get(item):
            self._write(place[len(place) // 2], self.middles[item] - columns(label) // 2, label)

    def _draw_wires(self, made: Sequence[Wire]) -> None:
        """Lines across first, so that a line down that crosses them is what is seen."""
        tracks = 1 + max((wire.track for wire in made if wire.track is not None), default=-1)
        place = self._lines(tracks + 2 if made else 0)
        for wire in made:
            if wire.track is not None:
                first, last = wire.span
                self.cells[place[1 + wire.track]][first : last + 1] = ["." if wire.net.dotted else "-"] * (
                    last + 1 - first
                )
        for wire in made:
            self._draw_downwards(wire, place)
            self._draw_heads(wire, place)

    def _draw_downwards(self, wire: Wire, place: range) -> None:
        turn = place[-1] if wire.track is None else place[1 + wire.track]
        for column, part in [
            (wire.start, range(place[0], turn)),
            *((stop, range(turn, place.stop)) for stop in wire.stops),
        ]:
            for line in part:
                self._write(line, column, ":" if wire.net.dotted else "|")
        if wire.track is not None:
            for column in (wire.start, *wire.stops):
                self._write(turn, column, "+")

    def _draw_heads(self, wire: Wire, place: range) -> None:
        if wire.net.turned and self.layers.is_node(wire.net.upper):
            self._write(place[0], wire.start, "^")
        for lower, stop in zip(wire.net.lowers, wire.stops, strict=True):
            if not wire.net.turned and self.layers.is_node(lower):
                self._write(place[-1], stop, "v")
