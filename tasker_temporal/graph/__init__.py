"""Pictures of a template, of a run of it, and of the state machines: Mermaid, DOT, SVG and plain text.

`FORMATS["svg"](graph_of(template, report))` draws a run. Everything here is a pure function of the graph, so the same
graph gives the same text, byte for byte.
"""

from collections.abc import Callable, Mapping
from typing import Final

from tasker_temporal.graph import ascii, dot, mermaid, svg
from tasker_temporal.graph.model import Edge, Graph, Node, graph_of, machine_of

FORMATS: Final[Mapping[str, Callable[[Graph], str]]] = {
    "mermaid": mermaid.render,
    "dot": dot.render,
    "svg": svg.render,
    "ascii": ascii.render,
}
"""How to draw a graph, by the name of the format."""

__all__ = ["FORMATS", "Edge", "Graph", "Node", "graph_of", "machine_of"]
