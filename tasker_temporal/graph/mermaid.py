"""A graph as a Mermaid flowchart, as GitHub and many wikis draw it in Markdown.

Mermaid itself draws at most 500 edges unless the page that embeds it raises `maxEdges`; it cannot be raised from here.
"""

from __future__ import annotations

import json
import re

from tasker_temporal.graph.labels import lines, plain
from tasker_temporal.graph.levels import sideways
from tasker_temporal.graph.model import Edge, EdgeKind, Graph, Node
from tasker_temporal.graph.palette import LOOKS

ARROWS: dict[EdgeKind, str] = {"result": "-->", "after": "-.->", "trigger": "-.->", "move": "-->"}


def render(graph: Graph) -> str:
    """The text of a flowchart, its title in the front matter."""
    ids = _ids(graph)
    written = ["---", f"title: {json.dumps(plain(graph.title), ensure_ascii=False)}", "---"]
    written.append("flowchart LR" if sideways(graph) else "flowchart TB")
    written += [_node(node, ids) for node in graph.nodes]
    written += [_edge(edge, ids) for edge in graph.edges]
    return "\n".join([*written, *_classes(graph)]) + "\n"


def _ids(graph: Graph) -> dict[str, str]:
    """An id has a prefix because words such as `end` and `style` are Mermaid's own."""
    slugs = {node.name: re.sub(r"[^A-Za-z0-9_]", "_", node.name) for node in graph.nodes}
    return {name: f"s_{s}" if s == name else f"s{at}_{s}" for at, (name, s) in enumerate(slugs.items())}


def _node(node: Node, ids: dict[str, str]) -> str:
    said = "<br/>".join(_escaped(line) for line in lines(node)) or " "
    return f'    {ids[node.name]}["{said}"]' + (f":::{node.state}" if node.state else "")


def _edge(edge: Edge, ids: dict[str, str]) -> str:
    label = f'|"{_escaped(edge.label)}"| ' if edge.label else ""
    return f"    {ids[edge.source]} {ARROWS[edge.kind]} {label}{ids[edge.target]}"


def _classes(graph: Graph) -> list[str]:
    used = {node.state for node in graph.nodes}
    return [
        f"    classDef {state} fill:{look.pale},stroke:{look.colour},color:#111111"
        for state, look in LOOKS.items()
        if state in used
    ]


def _escaped(text: str) -> str:
    """Inside quotes Mermaid still reads HTML, Markdown, comments, directives and its own entities."""
    safe = re.compile(r"[^\w .,()/+=…○▶✓✗⊘✎»-]")
    return safe.sub(lambda found: f"#{ord(found.group())};", plain(text))
