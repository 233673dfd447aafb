"""Lists, and boxes that are read back line by line, as a reader's eye would follow them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.core.report import StepReport
from tasker_temporal.graph import Edge, Graph, Node, ascii, graph_of, machine_of
from tasker_temporal.graph.boxes import drawn
from tasker_temporal.graph.wires import Crowded, Net, wires
from tests.graph.kit import fan_out, random_dag, report, run, step, template

Edges = set[tuple[str, str, str]]


class Strokes(NamedTuple):
    """The characters of a line, and the kind of edge that it stands for."""

    across: str
    down: str
    kind: str


class Reader:
    """Reads a picture of boxes: which box leads to which, by what kind of line."""

    def __init__(self, picture: str, graph: Graph) -> None:
        self.lines = picture.splitlines()
        self.names = {node.name for node in graph.nodes}
        self.boxes = dict(self._boxes())

    def at(self, line: int, column: int) -> str:
        text = self.lines[line] if 0 <= line < len(self.lines) else ""
        return text[column] if 0 <= column < len(text) else " "

    def _boxes(self) -> Iterator[tuple[str, tuple[int, range]]]:
        """By name, the line of the label, which has a line of border above and below, and the columns."""
        for number, text in enumerate(self.lines):
            for found in re.finditer(r"\| +(\w+) +\|", text):
                if found[1] in self.names:
                    yield found[1], (number, range(found.start(), found.end()))

    def edges(self) -> Edges:
        found: Edges = set()
        for name, (line, inside) in self.boxes.items():
            for column in inside:
                start = self.at(line + 2, column)
                strokes = Strokes(".", ":", "after") if start == ":" else Strokes("-", "|", "result")
                if start in (strokes.down, "v"):
                    found |= {(name, target, strokes.kind) for target in self.down(line + 2, column, strokes)}
        return found

    def down(self, line: int, column: int, strokes: Strokes) -> Iterator[str]:
        while (here := self.at(line, column)) == strokes.down:
            line += 1
        if here == "v":
            yield self.box_below(line, column)
            return
        assert here == "+", f"a line ends at line {line}, column {column}, in {here!r}"
        yield from self.branch(line, column, strokes)
        for side in (-1, 1):
            yield from self.over(line, column + side, side, strokes)

    def over(self, line: int, column: int, side: int, strokes: Strokes) -> Iterator[str]:
        """Follow a line across, also where it is interrupted."""
        while (here := self.at(line, column)) in (strokes.across, "+", "|", ":"):
            if here == "+":
                yield from self.branch(line, column, strokes)
            column += side

    def branch(self, line: int, column: int, strokes: Strokes) -> Iterator[str]:
        if self.at(line + 1, column) in (strokes.down, "v"):
            yield from self.down(line + 1, column, strokes)

    def box_below(self, line: int, column: int) -> str:
        (name,) = (name for name, (row, inside) in self.boxes.items() if row == line + 2 and column in inside)
        return name


@pytest.mark.parametrize("seed", range(150))
def test_the_boxes_say_what_the_graph_says(seed: int) -> None:
    graph = graph_of(random_dag(seed, 3 + seed % 10, most=4))
    picture = drawn(graph, width=1000, colour=False)
    assert picture is not None
    assert Reader(picture, graph).edges() == {(edge.source, edge.target, edge.kind) for edge in graph.edges}


def test_three_by_three_can_be_read() -> None:
    graph = graph_of(template(*(step(name) for name in "abc"), *(step(name, "abc") for name in "def")))
    assert Reader(ascii.render(graph), graph).edges() == {(a, d, "result") for a in "abc" for d in "def"}


@pytest.mark.parametrize("entity", ["task", "step"])
def test_every_move_of_a_machine_stands_in_its_picture(entity: str) -> None:
    graph = machine_of("task" if entity == "task" else "step")
    text = ascii.render(graph)
    labels = [edge.label for edge in graph.edges]
    assert sorted(re.findall(r"(?:task|step)\.\w+", text)) == sorted(labels)


class TestBoxesOrAList:
    def test_a_graph_of_many_steps_is_a_list(self) -> None:
        chain = [step(f"s{at}", [f"s{at - 1}"] if at else []) for at in range(13)]
        assert "+--" in ascii.render(graph_of(template(*chain[:12])))
        assert "+--" not in ascii.render(graph_of(template(*chain)))

    def test_a_graph_too_wide_for_a_terminal_is_a_list(self) -> None:
        assert "+--" not in ascii.render(graph_of(fan_out(9)))

    def test_a_graph_with_a_label_too_long_for_a_box_is_a_list(self) -> None:
        assert "+--" not in ascii.render(graph_of(template(step("a" * 31))))

    def test_a_loop_is_no_picture_of_boxes(self) -> None:
        text = ascii.render(Graph((Node("a", "a"),), (Edge("a", "a", "move", "again"),), "loop"))
        assert text == "loop\n\n1  a  <- a (again)\n"


class TestAList:
    def test_a_line_has_the_level_the_state_and_what_is_waited_for(self) -> None:
        assert "".join(f"{line}\n" for line in ascii._list(run(), colour=False)) == (
            "1  validate_cart  complete\n"
            "2  charge         error, attempt 2, CardDeclined, again at 12:00:05 UTC  <- validate_cart\n"
            "2  reserve        in_progress                                            <- validate_cart\n"
            "3  ship           pending, waits for charge and reserve                  <- after reserve, charge\n"
        )

    def test_of_a_template_it_has_no_states(self) -> None:
        graph = graph_of(template(step("a"), step("b", after=["a"])))
        assert list(ascii._list(graph, colour=False)) == ["1  a", "2  b  <- after a"]

    def test_of_a_machine_it_has_the_events(self) -> None:
        assert "2  pending            <- new (task.initialize_requested), error (task.retry_requested)" in list(
            ascii._list(machine_of("task"), colour=False)
        )

    def test_what_does_not_fit_into_a_line_goes_on_below_its_start(self) -> None:
        lines = ascii.render(graph_of(fan_out(20))).splitlines()
        assert lines[-3:] == [
            "3  merge    <- part_0, part_1, part_2, part_3, part_4, part_5, part_6, part_7, part_8, part_9,",
            "               part_10, part_11, part_12, part_13, part_14, part_15, part_16, part_17, part_18,",
            "               part_19",
        ]

    def test_wide_characters_are_counted_as_two_columns(self) -> None:
        graph = Graph((Node("a", "日本", State.ERROR), Node("b", "b" * 40, State.ERROR)), (), "x")
        assert f"1  日本{' ' * 36}  error" in ascii.render(graph)


class TestColours:
    def test_there_are_none_unless_they_are_asked_for(self) -> None:
        assert "\x1b" not in ascii.render(run())

    @pytest.mark.parametrize("size", [3, 30])
    def test_they_change_nothing_but_the_colour(self, size: int) -> None:
        made = random_dag(1, size)
        graph = graph_of(made, report(made, {step.name: StepReport(state=State.ERROR) for step in made.steps}))
        coloured = ascii.render(graph, colour=True)
        assert coloured.count("\x1b[31merror\x1b[0m") == size
        assert re.sub(r"\x1b\[\d+m", "", coloured) == ascii.render(graph)


class TestWires:
    def test_lines_that_would_need_each_other_above_are_not_drawn(self) -> None:
        graph = graph_of(random_dag(7292, 7, most=4))
        assert drawn(graph, width=1000, colour=False) is None
        assert "+--" not in ascii.render(graph)

    def test_a_box_without_room_for_its_lines_is_not_drawn(self) -> None:
        uppers = [Net(item, (3,), dotted=False, turned=False) for item in range(3)]
        with pytest.raises(Crowded):
            wires(uppers, [range(1, 2), range(3, 4), range(9, 10), range(1, 4)])

    def test_a_line_down_between_two_tracks_keeps_them_apart(self) -> None:
        """On one line of text `-+|+-` would be one line that is crossed."""
        left, middle, right = Net(0, (3,), False, False), Net(1, (4,), False, False), Net(2, (5,), False, False)
        columns = [0, 5, 10, 4, 5, 6]
        made = wires([left, middle, right], [range(column, column + 1) for column in columns])
        assert [wire.track for wire in made] == [0, None, 1]
