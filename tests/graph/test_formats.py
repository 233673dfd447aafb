"""What holds for every format."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.core.report import StepReport
from tasker_temporal.graph import FORMATS, Edge, Graph, Node, graph_of
from tests.graph.kit import ENDINGS, EXPECTED, fan_out, pictured, random_dag, report, step, template

SVG = "{http://www.w3.org/2000/svg}"

ODD = [
    'a"b', "<b>x</b> & y", "back\\slash", "\\N", "\\", "new\nline", "nul\0", "esc\x1b[31m", "日本語", "`md` **b**",
    "%%{init: {}}%%", "#35; #quot;", "style: x #1;", "; semi", "{curly} [sq] (par) |pipe|", "\ud800", "\u202ertl",
    "x-->y", "]]>", "-->", "end", "]",
]  # fmt: skip

each_format = pytest.mark.parametrize("form", FORMATS)


def mermaid_edges(text: str) -> set[tuple[str, str, str]]:
    found = re.findall(r"^    s_(\w+) (-->|-\.->) s_(\w+)$", text, re.MULTILINE)
    return {(source, target, "after" if arrow == "-.->" else "result") for source, arrow, target in found}


def dot_edges(text: str) -> set[tuple[str, str, str]]:
    found = re.findall(r'^    "(\w+)" -> "(\w+)"( \[style=dashed\])?$', text, re.MULTILINE)
    return {(source, target, "after" if dashed else "result") for source, target, dashed in found}


def svg_edges(text: str) -> set[tuple[str, str, str]]:
    found = set()
    for path in ElementTree.fromstring(text).iter(f"{SVG}path"):
        if (title := path.find(f"{SVG}title")) is not None:
            source, target = (title.text or "").split(" -> ")
            found.add((source, target, "after" if path.get("class") == "edge after" else "result"))
    return found


def ascii_edges(text: str) -> set[tuple[str, str, str]]:
    """Of a list: a line that begins with spaces goes on with the line before."""
    joined = re.sub(r"\n +(?=[a-z])", " ", text)
    found = set()
    for target, sources in re.findall(r"^ *\d+  (\w+) +<- (.*)$", joined, re.MULTILINE):
        for source in sources.split(", "):
            after = source.startswith("after ")
            found.add((source.removeprefix("after ").strip(), target, "after" if after else "result"))
    return found


EDGES: dict[str, Callable[[str], set[tuple[str, str, str]]]] = {
    "mermaid": mermaid_edges,
    "dot": dot_edges,
    "svg": svg_edges,
    "ascii": ascii_edges,
}


@each_format
@pytest.mark.parametrize("name", pictured())
def test_a_picture_is_as_expected(form: str, name: str) -> None:
    expected = (EXPECTED / f"{name}.{ENDINGS[form]}").read_text(encoding="utf-8")
    assert FORMATS[form](pictured()[name]) == expected, "if it is meant to be: python -m tests.graph.kit"


@each_format
@pytest.mark.parametrize("seed", range(10))
def test_every_edge_is_drawn_once_in_its_kind(form: str, seed: int) -> None:
    graph = graph_of(random_dag(seed, 30 + seed))
    assert EDGES[form](FORMATS[form](graph)) == {(edge.source, edge.target, edge.kind) for edge in graph.edges}


@each_format
def test_every_edge_of_a_crowd_is_drawn(form: str) -> None:
    graph = graph_of(fan_out(120))
    assert len(EDGES[form](FORMATS[form](graph))) == 240


@each_format
def test_every_state_is_said_in_words(form: str) -> None:
    made = template(*(step(f"step_{state}") for state in State))
    graph = graph_of(made, report(made, {f"step_{state}": StepReport(state=state) for state in State}))
    text = FORMATS[form](graph)
    assert all(re.search(rf"(?<![_\w]){state}(?![_\w])", text) for state in State)


@each_format
def test_the_same_graph_gives_the_same_text(form: str) -> None:
    first, second = (FORMATS[form](graph_of(random_dag(7, 50))) for _ in range(2))
    assert first == second


@each_format
def test_the_order_of_the_edges_does_not_matter_for_what_is_drawn(form: str) -> None:
    graph = graph_of(random_dag(3, 30))
    shuffled = random.Random(1).sample(graph.edges, len(graph.edges))
    assert EDGES[form](FORMATS[form](graph._replace(edges=tuple(shuffled)))) == EDGES[form](FORMATS[form](graph))


@each_format
@pytest.mark.parametrize("odd", ODD)
def test_no_label_breaks_out_of_its_place(form: str, odd: str) -> None:
    """A picture with an odd text has as many lines as one with a plain text, and only characters that are shown."""
    odd_lines, plain_lines = (FORMATS[form](_said(text)).splitlines() for text in (odd, "plain"))
    assert len(odd_lines) == len(plain_lines)
    assert all(line.isprintable() for line in odd_lines)


def _said(text: str) -> Graph:
    nodes = (Node("a", text, State.ERROR, text), Node("b", "b"))
    return Graph(nodes, (Edge("a", "b", "move", text),), text)


@each_format
def test_a_graph_without_nodes_is_drawn(form: str) -> None:
    assert "nothing" in FORMATS[form](Graph((), (), "nothing"))


@each_format
def test_a_loop_is_drawn(form: str) -> None:
    node = Node("a", "a", State.PENDING)
    assert "again" in FORMATS[form](Graph((node,), (Edge("a", "a", "move", "again"),), "loop"))
