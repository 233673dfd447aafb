"""What makes a picture readable, as laws: for random graphs, since no eye sees them all."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest

from tasker_temporal.core.template import Template
from tasker_temporal.graph import Edge, Graph, Node, graph_of, machine_of
from tasker_temporal.graph import layers as layers_module
from tasker_temporal.graph.layers import Layers
from tasker_temporal.graph.layout import Box, Layout, Point
from tasker_temporal.graph.levels import by_level, levels, sideways
from tests.graph.kit import diamond, fan_out, random_dag, step, template

GRAPHS = {
    **{f"dag {seed}": graph_of(random_dag(seed, 10 + 3 * seed)) for seed in range(12)},
    "fan-out": graph_of(fan_out(40)),
    "task": machine_of("task"),
    "step": machine_of("step"),
}

each_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())


def overlap(a: Box, b: Box) -> bool:
    across = abs(a.middle.x - b.middle.x) * 2 < a.width + b.width
    return across and abs(a.middle.y - b.middle.y) * 2 < a.height + b.height


def touches(box: Box, point: Point) -> bool:
    """Whether the point lies on the box's border, up to the pixel that halving costs."""
    across, along = abs(point.x - box.middle.x) * 2 - box.width, abs(point.y - box.middle.y) * 2 - box.height
    return max(across, along) in range(-2, 3)


def crosses(box: Box, a: Point, b: Point) -> bool:
    """Whether what is drawn between two points could enter the box: a curve stays within their rectangle."""
    across = min(a.x, b.x) < box.middle.x + box.width // 2 - 1 and max(a.x, b.x) > box.middle.x - box.width // 2 + 1
    along = min(a.y, b.y) < box.middle.y + box.height // 2 - 1 and max(a.y, b.y) > box.middle.y - box.height // 2 + 1
    return across and along


class TestLevels:
    def test_a_step_stands_one_below_the_lowest_that_it_waits_for(self) -> None:
        made = template(step("a"), step("b", ["a"]), step("c", ["a", "b"]), step("d"))
        assert levels(graph_of(made)) == {"a": 0, "b": 1, "c": 2, "d": 0}

    def test_an_edge_that_closes_a_cycle_does_not_count(self) -> None:
        assert [[node.name for node in row] for row in by_level(machine_of("step"))] == [
            ["new"],
            ["pending"],
            ["in_progress"],
            ["error"],
            ["skipped", "cancelled", "resolved_manually", "complete"],
        ]

    def test_a_wide_graph_runs_to_the_right(self) -> None:
        assert [sideways(graph_of(fan_out(width))) for width in (6, 7)] == [False, True]

    def test_a_graph_without_nodes_has_no_levels(self) -> None:
        assert by_level(Graph((), (), "nothing")) == []


class TestLayers:
    def test_links_that_need_not_cross_do_not(self) -> None:
        crossed = template(step("a"), step("b"), step("c", ["b"]), step("d", ["a"]))
        assert Layers(graph_of(crossed)).crossings() == 0

    def test_three_by_three_cross_nine_times(self) -> None:
        steps = [step(name) for name in "abc"] + [step(name, "abc") for name in "def"]
        assert Layers(graph_of(template(*steps))).crossings() == 9

    def test_a_long_edge_has_a_bend_in_every_row_that_it_passes(self) -> None:
        made = Layers(graph_of(template(step("a"), step("b", ["a"]), step("c", ["b"]), step("d", ["a", "c"]))))
        assert made.routes == [(0, 1), (1, 2), (0, 4, 5, 3), (2, 3)]
        assert [made.row_of[bend] for bend in (4, 5)] == [1, 2]

    def test_edges_of_one_kind_from_one_step_share_their_bends(self) -> None:
        made = template(
            step("a"), step("b", ["a"]), step("c", ["b", "a"]), step("d", ["c", "a"]), step("e", ["d"], ["a"])
        )
        routes = dict(zip(graph_of(made).edges, Layers(graph_of(made)).routes, strict=True))
        to_c, to_d = routes[Edge("a", "c", "result")], routes[Edge("a", "d", "result")]
        assert to_c[:2] == to_d[:2]
        assert not set(routes[Edge("a", "e", "after")][1:-1]) & set(to_d)

    def test_too_many_bends_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(layers_module, "MOST_BENDS", 0)
        assert all(len(route) == 2 for route in Layers(graph_of(random_dag(1, 40))).routes)


class TestALayout:
    @each_graph
    def test_no_two_boxes_overlap(self, graph: Graph) -> None:
        assert not [pair for pair in combinations(Layout(graph).boxes, 2) if overlap(*pair)]

    @each_graph
    def test_everything_is_within_the_picture(self, graph: Graph) -> None:
        layout = Layout(graph)
        corners = [
            Point(b.middle.x + s * b.width // 2, b.middle.y + s * b.height // 2) for b in layout.boxes for s in (1, -1)
        ]
        for x, y in corners + [point for route in layout.routes for point in route]:
            assert 0 <= x <= layout.width
            assert 0 <= y <= layout.height

    @each_graph
    def test_an_edge_runs_from_its_source_to_its_target_and_through_no_box(self, graph: Graph) -> None:
        layout = Layout(graph)
        boxes = {node.name: box for node, box in zip(graph.nodes, layout.boxes, strict=True)}
        for edge, route in zip(graph.edges, layout.routes, strict=True):
            assert touches(boxes[edge.source], route[0])
            assert touches(boxes[edge.target], route[-1])
            assert not [box for a, b in pairwise(route) for box in layout.boxes if crosses(box, a, b)]

    def test_every_labelled_edge_has_its_label_and_no_two_labels_meet(self) -> None:
        layout = Layout(machine_of("step"))
        boxes = [Box(middle, 7 * len(layout.graph.edges[at].label), 16) for at, middle in layout.labels.items()]
        assert set(layout.labels) == set(range(len(layout.graph.edges)))
        assert not [pair for pair in combinations([*boxes, *layout.boxes], 2) if overlap(*pair)]

    def test_a_chain_is_one_straight_line(self) -> None:
        chain = template(step("a"), step("a_long_name", ["a"]), step("b", ["a_long_name"]))
        assert len({box.middle.x for box in Layout(graph_of(chain)).boxes}) == 1

    def test_a_long_edge_beside_a_chain_is_straight_where_it_passes(self) -> None:
        names = [f"s{number}" for number in range(9)]
        steps = [step(name, [names[at - 1]] if at else []) for at, name in enumerate(names)]
        last = step("last", [names[-1], names[0]])
        layout = Layout(graph_of(template(*steps, last)))
        long = layout.routes[layout.graph.edges.index(Edge("s0", "last", "result"))]
        assert len(long) == 4
        assert long[1].x == long[2].x

    def test_a_crowd_of_edges_shares_a_lane(self) -> None:
        layout = Layout(graph_of(fan_out(12)))
        assert len({route[1].x for route in layout.routes[:12] if len(route) == 4}) == 1

    def test_a_crowd_arrives_at_one_place(self) -> None:
        layout = Layout(graph_of(fan_out(60)))
        assert len({route[-1] for route in layout.routes[60:]}) == 1

    def test_a_graph_without_nodes_has_a_layout(self) -> None:
        assert Layout(Graph((), (), "nothing")).boxes == []

    def test_a_loop_has_no_route(self) -> None:
        node = Node("a", "a")
        assert Layout(Graph((node,), (Edge("a", "a", "move", "again"),), "loop")).routes == [[]]

    def test_more_text_needs_a_larger_box(self) -> None:
        small, large = (Layout(graph_of(template(step(name)))).boxes[0].width for name in ("a", "a" * 20))
        assert small < large

    def test_a_picture_of_the_same_template_is_the_same(self) -> None:
        def drawn(made: Template) -> object:
            return Layout(graph_of(made)).routes

        assert drawn(diamond()) == drawn(diamond())
