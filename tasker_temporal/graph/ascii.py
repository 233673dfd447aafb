"""A graph for a terminal: a small one as boxes and arrows, any other as a list, level by level.

1  validate_cart  complete
2  charge         error, attempt 3, CardDeclined  <- validate_cart
3  ship           pending, waits for charge       <- charge, after reserve
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tasker_temporal.graph.boxes import drawn
from tasker_temporal.graph.labels import columns, plain
from tasker_temporal.graph.levels import by_level
from tasker_temporal.graph.model import DASHED, Edge, Graph, Node
from tasker_temporal.graph.palette import painted

MOST_BOXES = 12

WIDTH = 100
"""The columns that a picture is fitted into, and a list if its notes are not long."""

LEAST = 40
"""The columns that are always there for what leads to a node."""

ALIGNED = 60
"""A longer label or note pushes to the right what follows it."""

LEGEND = "(dashes: takes the result, dots: only after)"


def render(graph: Graph, *, colour: bool = False) -> str:
    """Lines of text. With `colour` the states have a terminal's colours, by ANSI codes."""
    picture = drawn(graph, width=WIDTH, colour=colour) if len(graph.nodes) <= MOST_BOXES else None
    if picture is None:
        picture = "".join(f"{line}\n" for line in _list(graph, colour))
    elif any(edge.kind in DASHED for edge in graph.edges):
        picture += f"\n{LEGEND}\n"
    return f"{plain(graph.title)}\n\n{picture}"


def _list(graph: Graph, colour: bool) -> Iterator[str]:
    arriving: dict[str, list[Edge]] = defaultdict(list)
    for edge in graph.edges:
        arriving[edge.target].append(edge)
    rows = by_level(graph)
    labels = min(max((columns(plain(node.label)) for node in graph.nodes), default=0), ALIGNED)
    notes = min(max((columns(_note(node)) for node in graph.nodes), default=0), ALIGNED)
    for level, row in enumerate(rows, 1):
        for node in row:
            start = f"{level:>{len(str(len(rows)))}}  {_padded(plain(node.label), labels)}  "
            note = _padded(_note(node), notes) + "  " * bool(notes)
            yield from _lines(start, note, _shown(node, note, colour), arriving[node.name])


def _note(node: Node) -> str:
    state = "" if node.state is None or node.label == node.state else str(node.state)
    return ", ".join(part for part in (state, plain(node.note)) if part)


def _shown(node: Node, note: str, colour: bool) -> str:
    if not colour or node.state is None or not note.startswith(node.state):
        return note
    return painted(node.state, node.state) + note.removeprefix(node.state)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _lines(start: str, note: str, shown: str, edges: Sequence[Edge]) -> Iterator[str]:
    """The node's line, and as many more as it needs for what leads to it."""
    indent = columns(start + note)
    line, used = start + shown, indent
    for at, edge in enumerate(edges):
        word = ("   " if at else "<- ") * (used == indent) + _source(edge) + "," * (at < len(edges) - 1)
        if used > indent and used + columns(word) > max(WIDTH, indent + LEAST):
            yield line.rstrip()
            line, used, word = " " * indent, indent, "   " + word
        line, used = f"{line}{word} ", used + columns(word) + 1
    yield line.rstrip()


def _source(edge: Edge) -> str:
    after = "after " if edge.kind == "after" else ""
    return after + plain(edge.source) + (f" ({plain(edge.label)})" if edge.label else "")
