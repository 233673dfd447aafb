"""The levels of a graph: a node stands one below the lowest of those that lead to it.

An edge that closes a cycle, as a machine has them, is turned round for this, and only for this.
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import TopologicalSorter

from tasker_temporal.graph.model import Graph, Node

WIDE = 6
"""A graph that has more nodes on one level is drawn from left to right, so that they stand below one another."""

Ends = tuple[str, str]
"""The upper and the lower node of an edge."""


def ends(graph: Graph) -> list[Ends]:
    """The upper and the lower end of every edge, in the graph's order."""
    turned = set(_closing(graph))
    pairs = ((edge.source, edge.target) for edge in graph.edges)
    return [(b, a) if index in turned else (a, b) for index, (a, b) in enumerate(pairs)]


def levels(graph: Graph) -> dict[str, int]:
    """The level of every node, the uppermost being 0."""
    above: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for upper, lower in ends(graph):
        if upper != lower:
            above[lower].append(upper)
    found: dict[str, int] = {}
    for name in TopologicalSorter(above).static_order():
        found[name] = max((found[other] + 1 for other in above[name]), default=0)
    return found


def by_level(graph: Graph) -> list[list[Node]]:
    """The nodes of each level, in the graph's order."""
    found = levels(graph)
    rows: list[list[Node]] = [[] for _ in range(max(found.values(), default=-1) + 1)]
    for node in graph.nodes:
        rows[found[node.name]].append(node)
    return rows


def sideways(graph: Graph) -> bool:
    """Whether the graph is easier to read from left to right than from top to bottom."""
    return max((len(row) for row in by_level(graph)), default=0) > WIDE


def _closing(graph: Graph) -> Iterator[int]:
    """The edges that lead back to where a walk down the graph came from."""
    leaving: dict[str, list[tuple[int, str]]] = {node.name: [] for node in graph.nodes}
    for index, edge in enumerate(graph.edges):
        leaving[edge.source].append((index, edge.target))
    seen: set[str] = set()
    for node in graph.nodes:
        if node.name not in seen:
            yield from _closing_below(node.name, leaving, seen)


def _closing_below(root: str, leaving: dict[str, list[tuple[int, str]]], seen: set[str]) -> Iterator[int]:
    seen.add(root)
    walk = [(root, iter(leaving[root]))]
    way = {root}
    while walk:
        name, edges = walk[-1]
        index, target = next(edges, (-1, ""))
        if index < 0:
            way.remove(name)
            walk.pop()
        elif target in way:
            yield index
        elif target not in seen:
            seen.add(target)
            way.add(target)
            walk.append((target, iter(leaving[target])))
