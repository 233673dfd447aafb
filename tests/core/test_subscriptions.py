"""Who listens to what: every line of the table is needed, and the engine holds no flow of its own."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

from tasker_temporal.core import subscribers
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.messages import Refused, RunStep
from tasker_temporal.core.subscribers import SUBSCRIPTIONS, Subscriber
from tests.core.driving import Drive, step, template
from tests.core.scenes import SCENES

LINES = [(event, known) for event, listeners in SUBSCRIPTIONS.items() for known in listeners]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """What is seen of each scene with the whole table."""
    return {name: scene.seen() for name, scene in SCENES.items()}


@pytest.mark.parametrize(("event", "known"), LINES, ids=[f"{event}-{known.__name__}" for event, known in LINES])
def test_without_any_line_of_the_table_some_scene_takes_another_course(
    event: str, known: Subscriber, whole: dict[str, Any]
) -> None:
    table = {**SUBSCRIPTIONS, event: [other for other in SUBSCRIPTIONS[event] if other is not known]}
    assert any(scene.seen(table) != whole[name] for name, scene in SCENES.items())


def test_without_a_table_nothing_follows() -> None:
    drive = Drive(template(step("a")), subscriptions={})
    assert drive.start() == []
    assert drive.said == ["task.initialize_requested"]


def test_the_table_names_registered_events_alone() -> None:
    assert SUBSCRIPTIONS.keys() <= set(EVENTS)


def test_every_public_function_of_the_subscribers_is_in_the_table() -> None:
    listed = {known for _, known in LINES}
    for module in pkgutil.iter_modules(subscribers.__path__):
        found = importlib.import_module(f"{subscribers.__name__}.{module.name}")
        own = [value for name, value in vars(found).items() if not name.startswith("_") and callable(value)]
        assert {value for value in own if getattr(value, "__module__", None) == found.__name__} <= listed


def test_consequences_are_over_before_the_next_subscriber_begins() -> None:
    """Depth first: what one subscriber wishes is done, with all that follows, when the next is asked."""
    order: list[str] = []

    def first(event: Any, task: Any) -> Any:
        order.append("first")
        yield RunStep("a", 1, 1)
        yield from ()

    def second(event: Any, task: Any) -> Any:
        order.append(f"second, when a is {task.steps['a'].state}")
        yield from ()

    starting = SUBSCRIPTIONS["task.initialize_requested"]
    table = {**SUBSCRIPTIONS, "task.initialize_requested": [first, *starting, second]}
    drive = Drive(template(step("a")), subscriptions=table)
    drive.start()
    assert order == ["first", "second, when a is in_progress"]


def test_commands_come_in_the_order_in_which_they_were_said() -> None:
    table = {"workflow.request_refused": [lambda event, task: iter([RunStep(name, 1, 1) for name in "xyz"])]}
    drive = Drive(template(), subscriptions=table)
    assert [command.step for command in drive.tell(Refused("go")) if isinstance(command, RunStep)] == ["x", "y", "z"]


def test_the_way_of_one_step_is_the_one_in_the_design() -> None:
    drive = Drive(template(step("a")))
    drive.start()
    drive.succeed("a")
    assert drive.said == [
        "task.initialize_requested",
        "step.initialize_requested",
        "task.start_requested",
        "workflow.task_started",
        "workflow.viable_steps_discovered",
        "step.execution_requested",
        "step.completed",
        "workflow.step_completed",
        "workflow.no_viable_steps",
        "task.completed",
    ]


def test_a_task_without_steps_is_complete_at_once() -> None:
    drive = Drive(template())
    drive.start()
    assert drive.closed == "complete"
    assert drive.path() == ["pending", "in_progress", "complete"]


def test_a_task_with_a_context_that_is_not_valid_fails_before_it_begins() -> None:
    problems = ({"loc": ("total", 0), "type": "missing", "msg": "Field required", "input": "ann@example.com"},)
    drive = Drive(template(step("a")))
    drive.start(problems=problems)
    assert drive.path() == ["pending", "error"]
    assert drive.states == {"a": "pending"}
    assert drive.row("task.failed").metadata == {"validation_errors": [{"loc": ["total", 0], "type": "missing"}]}
    assert (drive.closed, drive.task.problems) == ("error", problems)


def test_the_start_is_signed_by_who_asked_for_it() -> None:
    drive = Drive(template(step("a")))
    drive.start(actor="ann", reason="an order came")
    assert (drive.rows[0].actor, drive.rows[0].reason) == ("ann", "an order came")
    assert {row.actor for row in drive.rows[1:]} == {"tasker"}


def test_a_task_of_which_nothing_runs_waits_or_failed_says_what_was_found_and_fails() -> None:
    drive = SCENES["unclear"].driven()
    assert drive.event("workflow.task_state_unclear").found == {"pending": 1, "complete": 1}
    assert drive.row("task.failed").metadata == {"unclear": {"complete": 1, "pending": 1}}
    assert drive.closed == "error"
