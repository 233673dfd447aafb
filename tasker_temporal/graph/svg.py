"""A graph as an SVG image with its own layout, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from xml.sax.saxutils import escape

from tasker_temporal.graph.labels import columns, lines, plain
from tasker_temporal.graph.layout import LIMIT, LINE, MARGIN, Box, Layout, Point, text_width
from tasker_temporal.graph.model import DASHED, Edge, Graph, Node
from tasker_temporal.graph.palette import LOOKS

HEAD = 32
"""The height of the title and of the legend."""

LEGEND = "solid: takes the result, dashed: only after"

STYLE = """
.tasker { font: 12px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; text-anchor: middle }
.tasker .ground, .tasker .halo { fill: #ffffff }
.tasker text { fill: #1f2328 }
.tasker .title, .tasker .label { font-weight: bold }
.tasker .edge { fill: none; stroke: #6e7781; stroke-width: 1.4 }
.tasker .after { stroke-dasharray: 5 4 }
.tasker .head { fill: #6e7781 }
.tasker .node rect { fill: #f6f8fa; stroke: #6e7781; stroke-width: 1.6 }
"""

DARK = """
.tasker .ground, .tasker .halo { fill: #0d1117 }
.tasker text { fill: #e6edf3 }
.tasker .edge { stroke: #8b949e }
.tasker .head { fill: #8b949e }
.tasker .node rect { fill: #21262d; stroke: #8b949e }
"""

ARROW = (
    '<defs><marker id="tasker-head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>'
)


def render(graph: Graph) -> str:
    """An XML document of one `<svg>`. Each node and edge has a `<title>`, which browsers show under the pointer."""
    layout = Layout(graph)
    legend = any(edge.kind in DASHED for edge in graph.edges)
    width = max(layout.width, text_width(max(columns(graph.title), len(LEGEND) * legend)) + 2 * MARGIN)
    height = layout.height + HEAD + HEAD * legend
    parts = [_opening(width, height), f"<title>{_text(graph.title)}</title>", f"<style>{_style()}</style>", ARROW]
    parts.append(f'<rect class="ground" width="{width}" height="{height}"/>')
    parts.append(_line(Point(width // 2, HEAD), graph.title, "title"))
    parts.append(f'<g transform="translate({(width - layout.width) // 2} {HEAD})">')
    parts += [*_edges(layout), *_nodes(layout), *_labels(layout), "</g>"]
    parts += [_line(Point(width // 2, height - MARGIN), LEGEND)] if legend else []
    return "\n".join([*parts, "</svg>"]) + "\n"


def _opening(width: int, height: int) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" class="tasker" role="img" {size}>'


def _style() -> str:
    light = "".join(f".tasker .{s} rect {{ fill: {look.pale}; stroke: {look.colour} }}\n" for s, look in LOOKS.items())
    dark = "".join(f".tasker .{s} rect {{ fill: {look.deep}; stroke: {look.colour} }}\n" for s, look in LOOKS.items())
    return f"{STYLE}{light}@media (prefers-color-scheme: dark) {{{DARK}{dark}}}\n"


def _nodes(layout: Layout) -> Iterator[str]:
    for node, box in zip(layout.graph.nodes, layout.boxes, strict=True):
        yield f'<g class="node {node.state or "plain"}"><title>{_text(", ".join(lines(node)))}</title>'
        yield _rectangle(box)
        yield from _said(node, box)
        yield "</g>"


def _rectangle(box: Box) -> str:
    x, y = box.middle.x - box.width // 2, box.middle.y - box.height // 2
    return f'<rect x="{x}" y="{y}" width="{box.width}" height="{box.height}" rx="6"/>'


def _said(node: Node, box: Box) -> Iterator[str]:
    said = lines(node, limit=LIMIT)
    first = box.middle.y - LINE * (len(said) - 1) // 2 + 4
    for at, text in enumerate(said):
        yield _line(Point(box.middle.x, first + LINE * at), text, "label" if at == 0 else "")


def _edges(layout: Layout) -> Iterator[str]:
    for index, edge in enumerate(layout.graph.edges):
        points = layout.routes[index]
        drawn = _path(points, layout.sideways) if points else _loop(layout, edge)
        kind = "edge after" if edge.kind in DASHED else "edge"
        said = f"<title>{_text(_sentence(edge))}</title>"
        yield f'<path class="{kind}" marker-end="url(#tasker-head)" d="{drawn}">{said}</path>'


def _sentence(edge: Edge) -> str:
    return f"{edge.source} -> {edge.target}" + (f" ({edge.label})" if edge.label else "")


def _path(points: list[Point], sideways: bool) -> str:
    drawn = [f"M{points[0].x} {points[0].y}"]
    for a, b in pairwise(points):
        drawn.append(f"L{b.x} {b.y}" if a.x == b.x or a.y == b.y else _curve(a, b, sideways))
    return "".join(drawn)


def _curve(a: Point, b: Point, sideways: bool) -> str:
    x, y = (a.x + b.x) // 2, (a.y + b.y) // 2
    return f"C{x} {a.y} {x} {b.y} {b.x} {b.y}" if sideways else f"C{a.x} {y} {b.x} {y} {b.x} {b.y}"


def _loop(layout: Layout, edge: Edge) -> str:
    names = [node.name for node in layout.graph.nodes]
    box = layout.boxes[names.index(edge.source)]
    return f"M{box.middle.x + box.width // 2} {box.middle.y - 6}c16 -8 16 20 0 12"


def _labels(layout: Layout) -> Iterator[str]:
    for index, middle in layout.labels.items():
        label = plain(layout.graph.edges[index].label)
        width = text_width(columns(label)) + 4
        yield f'<rect class="halo" x="{middle.x - width // 2}" y="{middle.y - 8}" width="{width}" height="{LINE}"/>'
        yield _line(middle._replace(y=middle.y + 4), label)


def _line(middle: Point, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{middle.x}" y="{middle.y}">{_text(text)}</text>'


def _text(text: str) -> str:
    return escape(plain(text))
