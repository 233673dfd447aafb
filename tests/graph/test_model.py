from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE, State
from tasker_temporal.core.report import ErrorReport, StepReport
from tasker_temporal.core.task_types import Move, TaskType
from tasker_temporal.graph import Edge, Node, graph_of, machine_of
from tests.graph.kit import diamond, report, run, step, template


class TestATemplate:
    def test_its_steps_are_the_nodes_in_declared_order_and_have_no_state(self) -> None:
        names = ["validate_cart", "charge", "reserve", "ship"]
        assert graph_of(diamond()).nodes == tuple(Node(name, name) for name in names)

    def test_an_edge_says_whether_it_hands_over_a_result(self) -> None:
        assert graph_of(diamond()).edges == (
            Edge("validate_cart", "charge", "result"),
            Edge("validate_cart", "reserve", "result"),
            Edge("reserve", "ship", "after"),
            Edge("charge", "ship", "result"),
        )

    def test_a_step_that_is_waited_for_and_whose_result_is_taken_has_one_edge(self) -> None:
        both = template(step("a"), step("b", ["a"], ["a"]))
        assert graph_of(both).edges == (Edge("a", "b", "result"),)

    def test_the_title_has_the_name_and_the_version(self) -> None:
        assert graph_of(diamond()).title == "shop.order 1.0.0"


class TestARun:
    def test_the_nodes_have_the_states_and_what_there_is_to_know_about_them(self) -> None:
        assert run().nodes == (
            Node("validate_cart", "validate_cart", State.COMPLETE),
            Node("charge", "charge", State.ERROR, "attempt 2, CardDeclined, again at 12:00:05 UTC"),
            Node("reserve", "reserve", State.IN_PROGRESS),
            Node("ship", "ship", State.PENDING, "waits for charge and reserve"),
        )

    def test_the_title_has_the_task_and_its_state(self) -> None:
        assert run().title == "shop.order 1.0.0, task order-1: in_progress"

    def test_a_report_without_steps_leaves_the_states_open(self) -> None:
        assert graph_of(diamond(), report(diamond(), {})).nodes == graph_of(diamond()).nodes

    @pytest.mark.parametrize(
        ("step_report", "note"),
        [
            (StepReport(state=State.COMPLETE, attempt=1), ""),
            (StepReport(state=State.COMPLETE, attempt=3), "attempt 3"),
            (
                StepReport(state=State.COMPLETE, attempt=2, last_error=ErrorReport(type="Timeout", message="")),
                "attempt 2",
            ),
            (StepReport(state=State.IN_PROGRESS, attempt=1), ""),
            (
                StepReport(state=State.IN_PROGRESS, attempt=2, last_error=ErrorReport(type="Timeout", message="")),
                "attempt 2, Timeout",
            ),
            (StepReport(state=State.ERROR, attempt=1), "attempt 1"),
            (
                StepReport(state=State.ERROR, attempt=1, next_attempt_at=datetime(2026, 1, 1, 9, 5, tzinfo=UTC)),
                "attempt 1, again at 09:05:00 UTC",
            ),
            (StepReport(state=State.PENDING, waits_for=("a",)), "waits for a"),
            (StepReport(state=State.PENDING, waits_for=("a", "b", "c")), "waits for 3 steps"),
        ],
    )
    def test_a_note_says_what_the_state_does_not(self, step_report: StepReport, note: str) -> None:
        only = template(step("only"))
        assert graph_of(only, report(only, {"only": step_report})).nodes[0].note == note


class TestAMachine:
    def test_every_row_of_the_table_is_an_edge_with_its_event(self) -> None:
        for entity, table in (("task", TASK_TABLE), ("step", STEP_TABLE)):
            edges = machine_of("task" if entity == "task" else "step").edges
            assert [(edge.source, edge.target, edge.label) for edge in edges] == [
                (str(source or "new"), str(target), event) for (source, target), event in table.items()
            ]
            assert {edge.kind for edge in edges} == {"move"}

    def test_a_row_of_a_type_has_its_guard_and_says_if_somebody_must_ask_for_it(self) -> None:
        rows = (
            Move(source="in_progress", to="checking", when="context.total > 5"),
            Move(source="in_progress", to="complete"),
            Move(source="checking", to="complete", when="all_steps_complete"),
            Move(source="checking", to="complete", by="request", when="context.total > 9"),
        )
        edges = machine_of(TaskType(name="large", states=("checking",), rows=rows)).edges
        said = {(edge.source, edge.target): edge.label for edge in edges}
        assert said["in_progress", "checking"] == "task.moved if context.total > 5"
        assert said["in_progress", "complete"] == "task.completed"
        assert said["checking", "complete"] == "task.completed if all_steps_complete or on request if context.total > 9"

    def test_every_state_of_the_table_is_one_node(self) -> None:
        nodes = machine_of("step").nodes
        assert {node.state for node in nodes} == {state for move in STEP_TABLE for state in move}
        assert len({node.name for node in nodes}) == len(nodes)
