"""One step at a time, in declared order, at a cost that does not grow with how many of them wait for their turn."""

from __future__ import annotations

import sys
from collections import Counter

from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Content, Start, StepSucceeded
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Template
from tests.core.driving import BEGIN, KEY, started, step, template


def test_one_step_at_a_time_runs_in_declared_order() -> None:
    drive = started(step("c", after=["b"]), step("a"), step("b"), mode="sequential_only")
    drive.finish()
    assert drive.ran() == ["a", "b", "c"]
    late = started(step("first", after=["gate"]), step("gate"), step("x"), step("y"), mode="sequential_only")
    late.finish()
    assert late.ran() == ["gate", "first", "x", "y"]


def test_one_at_a_time_goes_on_in_declared_order_in_a_new_run_and_after_a_step_that_may_not_start_any_more() -> None:
    drive = started(
        step("gate"), step("d", after=["gate"]), step("e"), step("b", after=["e"]), step("c"), mode="sequential_only"
    )
    drive.succeed("gate", "d")
    drive.skip("c")
    later = drive.continued()
    later.finish()
    assert later.ran() == ["b"]
    assert later.states == {**dict.fromkeys(["gate", "d", "e", "b"], "complete"), "c": "skipped"}


def calls(size: int) -> int:
    """The calls of functions that it takes to move a task of so many steps, each of which is viable from the start."""
    flow = template(*(step(f"s{number}") for number in range(size)), mode="sequential_only")
    play(flow)  # What is cached on the template is not counted.
    counted = Counter[str]()
    sys.setprofile(lambda frame, event, argument: counted.update([event]))
    try:
        play(flow)
    finally:
        sys.setprofile(None)
    return counted["call"] + counted["c_call"]


def play(flow: Template) -> None:
    task = Task("task-1", flow, Content(b"{}"), KEY)
    engine = Engine(task)
    engine.apply(Start(), BEGIN)
    for known in flow.steps:
        engine.apply(StepSucceeded(known.name, 1, Content(b"1")), BEGIN)
    assert task.state == "complete"


def test_a_step_of_many_that_run_one_at_a_time_costs_what_one_of_a_few_costs() -> None:
    few, many = calls(50) / 50, calls(1000) / 1000
    assert many < few * 1.05
