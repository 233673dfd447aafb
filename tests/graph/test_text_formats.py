"""What is peculiar to Mermaid and DOT."""

from __future__ import annotations

import re

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.graph import Edge, Graph, Node, dot, graph_of, mermaid
from tests.graph.kit import fan_out

ODD_NAMES = ("end", "a-b", "a_b", "ü", "graph", "1")


def test_a_wide_graph_runs_to_the_right() -> None:
    assert "flowchart LR" in mermaid.render(graph_of(fan_out(9)))
    assert "rankdir=LR" in dot.render(graph_of(fan_out(9)))


class TestMermaid:
    def test_ids_are_plain_and_different_and_no_words_of_its_own(self) -> None:
        graph = Graph(tuple(Node(name, name) for name in ODD_NAMES), (), "names")
        ids = re.findall(r"^    (\S+)\[", mermaid.render(graph), re.MULTILINE)
        assert ids == ["s_end", "s1_a_b", "s_a_b", "s3__", "s_graph", "s_1"]

    @pytest.mark.parametrize(
        ("said", "written"),
        [
            ('a"b', "a#34;b"),
            ("<b>", "#60;b#62;"),
            ("#35;", "#35;35#59;"),
            ("%%{init}%%", "#37;#37;#123;init#125;#37;#37;"),
            ("`x`", "#96;x#96;"),
            ("12:00", "12#58;00"),
        ],
    )
    def test_what_it_would_read_is_written_as_an_entity(self, said: str, written: str) -> None:
        assert f'["{written}"]' in mermaid.render(Graph((Node("a", said),), (), "x"))

    def test_the_title_is_quoted(self) -> None:
        assert mermaid.render(Graph((), (), 'a "b": c')).startswith('---\ntitle: "a \\"b\\": c"\n---\n')

    def test_a_class_is_defined_for_each_state_that_occurs_and_no_other(self) -> None:
        text = mermaid.render(Graph((Node("a", "a", State.ERROR),), (), "x"))
        assert re.findall(r"classDef (\w+)", text) == ["error"]

    def test_a_node_that_says_nothing_is_still_a_node(self) -> None:
        assert 's_a[" "]' in mermaid.render(Graph((Node("a", ""),), (), "x"))


class TestDot:
    @pytest.mark.parametrize(("name", "written"), [('a"b', '"a\\"b"'), ("a\\", '"a\\\\"'), ("\\N", '"\\\\N"')])
    def test_names_are_quoted_alike_wherever_they_stand(self, name: str, written: str) -> None:
        text = dot.render(Graph((Node(name, "x"), Node("b", "b")), (Edge(name, "b", "move", name),), "x"))
        assert f"    {written} [label=" in text
        assert f'    {written} -> "b" [label={written}]' in text

    def test_the_lines_of_a_label_are_broken_by_dot(self) -> None:
        text = dot.render(Graph((Node("a", "a", State.ERROR, "attempt 1"),), (), "x"))
        assert 'label="a\\n✗ error\\nattempt 1"' in text
