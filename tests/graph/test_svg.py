from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.graph import Edge, Graph, Node, graph_of, machine_of, svg
from tasker_temporal.graph.layout import LIMIT
from tests.graph.kit import diamond, pictured, run
from tests.graph.test_formats import ODD, SVG


def parsed(graph: Graph) -> ElementTree.Element:
    return ElementTree.fromstring(svg.render(graph))


def texts(root: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("graph", pictured().values(), ids=pictured().keys())
def test_it_is_valid_xml(graph: Graph) -> None:
    assert parsed(graph).tag == f"{SVG}svg"


@pytest.mark.parametrize("odd", ODD)
def test_it_is_valid_xml_whatever_is_said(odd: str) -> None:
    nodes = (Node("a", odd, State.ERROR, odd), Node("b", "b"))
    root = ElementTree.fromstring(svg.render(Graph(nodes, (Edge("a", "b", "move", odd),), odd)).encode())
    assert len(texts(root)) == 6


def test_markup_in_a_label_is_text() -> None:
    root = parsed(Graph((Node("a", "<b>x</b> & y"),), (), "x"))
    assert "<b>x</b> & y" in texts(root)
    assert not list(root.iter(f"{SVG}b"))


def test_a_node_says_its_state_in_a_word_with_a_sign_and_has_its_colour() -> None:
    nodes = [group for group in parsed(run()).iter(f"{SVG}g") if "node" in group.get("class", "")]
    assert [group.get("class") for group in nodes] == [
        "node complete",
        "node error",
        "node in_progress",
        "node pending",
    ]
    assert [texts(group)[1] for group in nodes] == ["✓ complete", "✗ error", "▶ in_progress", "○ pending"]


def test_a_long_note_is_folded_and_a_long_label_cut_but_whole_in_the_title() -> None:
    note = "attempt 3, ConnectionResetByTheOtherPeerWhileItSpoke, again at 12:00:05 UTC"
    root = parsed(Graph((Node("a", "a" * 90, State.ERROR, note),), (), "x"))
    assert texts(root)[1:] == [
        "a" * (LIMIT - 3) + "...",
        "✗ error",
        "attempt 3",
        "ConnectionResetByTheOtherPeerWhil...",
        "again at 12:00:05 UTC",
    ]
    assert f"{'a' * 90}, ✗ error, {note}" in [title.text for title in root.iter(f"{SVG}title")]


def test_a_label_stands_on_a_ground_of_its_own() -> None:
    root = parsed(machine_of("task"))
    halos = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") == "halo"]
    assert len(halos) == len(machine_of("task").edges)


def test_the_legend_stands_where_both_kinds_of_edge_can_be() -> None:
    assert svg.LEGEND in texts(parsed(graph_of(diamond())))
    assert svg.LEGEND not in texts(parsed(machine_of("task")))


def test_every_colour_has_its_counterpart_in_the_dark() -> None:
    style = parsed(graph_of(diamond())).findtext(f"{SVG}style") or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    coloured = re.findall(r"^(\.tasker [^{]+) \{[^}]*(?:fill|stroke): #", light, re.MULTILINE)
    assert {rule for rule in coloured if f"{rule} {{" not in dark} == set()


def test_the_rules_reach_nothing_else_on_a_page() -> None:
    style = parsed(graph_of(diamond())).findtext(f"{SVG}style") or ""
    rules = [line for line in style.splitlines() if "{" in line and not line.startswith("@")]
    assert all(line.startswith(".tasker ") for line in rules)
