"""A graph in DOT, the language of Graphviz."""

from __future__ import annotations

from tasker_temporal.graph.labels import lines, plain
from tasker_temporal.graph.levels import sideways
from tasker_temporal.graph.model import DASHED, Edge, Graph, Node
from tasker_temporal.graph.palette import LOOKS


def render(graph: Graph) -> str:
    """The text of a digraph, its title as the label above it."""
    direction = "LR" if sideways(graph) else "TB"
    written = [
        f"digraph {_quoted(graph.title)} {{",
        f"    graph [fontname=Helvetica, label={_quoted(graph.title)}, labelloc=t, rankdir={direction}]",
        '    node [shape=box, style="rounded,filled", fillcolor=white, fontname=Helvetica, fontsize=11]',
        "    edge [fontname=Helvetica, fontsize=10]",
        *(_node(node) for node in graph.nodes),
        *(_edge(edge) for edge in graph.edges),
    ]
    return "\n".join([*written, "}"]) + "\n"


def _node(node: Node) -> str:
    said = [f"label={_quoted(*lines(node))}"]
    if node.state is not None:
        look = LOOKS[node.state]
        said += [f'fillcolor="{look.pale}"', f'color="{look.colour}"']
    return f"    {_quoted(node.name)} [{', '.join(said)}]"


def _edge(edge: Edge) -> str:
    said = [f"label={_quoted(edge.label)}"] if edge.label else []
    if edge.kind in DASHED:
        said.append("style=dashed")
    return f"    {_quoted(edge.source)} -> {_quoted(edge.target)}" + (f" [{', '.join(said)}]" if said else "")


def _quoted(*said: str) -> str:
    r"""One string of several lines. A backslash is doubled: in a label `\N` would be the node's name."""
    escaped = (plain(line).replace("\\", "\\\\").replace('"', '\\"') for line in said)
    return '"' + "\\n".join(escaped) + '"'
