"""What is said inside a task: every event has a publisher and an enforced shape, and no fact is told twice."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionFailedEventAttributes,
    WorkflowExecutionTerminatedEventAttributes,
    WorkflowExecutionTimedOutEventAttributes,
)

from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.events import Event, Payload, RowWritten, RunEnded, TaskTransitioned
from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE, State
from tasker_temporal.core.messages import Content, Failure, Published, Start, StepFailed, StepSucceeded
from tasker_temporal.core.registry import RESERVED, Category, EventDefinition, EventRegistry
from tasker_temporal.core.requests import CancelTask, CompleteStep
from tasker_temporal.core.task import Task
from tasker_temporal.errors import EventError, RequestRefused
from tasker_temporal.sinks.ends import end_of_run
from tests.core.driving import BEGIN, KEY, Drive, started, step, template
from tests.core.scenes import SCENES, Scene

EACH_SCENE = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)


def said(scene: Scene) -> list[Event[Payload]]:
    return [event for run in scene.driven().runs for event in (*run.events, *run.around)]


def ended(**said: Any) -> Event[RunEnded]:
    """What the sweeper makes of the last event of a history."""
    kind, fields = said.popitem()
    closing = HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_WORKFLOW_EXECUTION_{kind.upper()}"))
    getattr(closing, f"workflow_execution_{kind}_event_attributes").MergeFrom(fields)
    found = end_of_run("task-1", "run-1", closing)
    assert found is not None
    return found


ENDS = (
    ended(terminated=WorkflowExecutionTerminatedEventAttributes(identity="ann", reason="out of patience")),
    ended(timed_out=WorkflowExecutionTimedOutEventAttributes()),
    ended(failed=WorkflowExecutionFailedEventAttributes()),
)
SAMPLES: dict[str, Event[Payload]] = {event.name: event for scene in SCENES.values() for event in said(scene)}
SAMPLES |= {event.name: event for event in ENDS}


def test_every_event_has_a_publisher() -> None:
    assert set(SAMPLES) == set(EVENTS)


def test_every_move_of_the_tables_has_its_event_registered() -> None:
    assert {*TASK_TABLE.values(), *STEP_TABLE.values()} <= set(EVENTS)


@pytest.mark.parametrize("name", list(EVENTS))
def test_every_event_is_published_in_its_registered_shape(name: str) -> None:
    payload = SAMPLES[name].payload
    assert type(payload) is EVENTS.payload(name)
    assert payload.task_id == "task-1"


@pytest.mark.parametrize("name", list(EVENTS))
def test_an_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(EventError, match=rf"event '{name}'.*\n.*\n.*Extra inputs are not permitted"):
        EVENTS.event(name, {**dict(SAMPLES[name].payload), "unknown": 1}, 1)


@pytest.mark.parametrize("name", list(EVENTS))
def test_a_missing_field_is_refused(name: str) -> None:
    fields = dict(SAMPLES[name].payload)
    for missing in fields:
        with pytest.raises(EventError, match="Field required"):
            EVENTS.event(name, {key: value for key, value in fields.items() if key != missing}, 1)


@pytest.mark.parametrize("name", list(EVENTS))
def test_a_field_of_another_type_is_refused(name: str) -> None:
    fields = dict(SAMPLES[name].payload)
    for wrong in fields:
        with pytest.raises(EventError, match=wrong):
            EVENTS.event(name, {**fields, wrong: object()}, 1)


def test_a_state_is_no_mere_text_and_a_number_no_text_of_digits() -> None:
    fields = dict(SAMPLES["step.completed"].payload)
    for wrong in ({"to_state": "complete"}, {"sort_key": "7"}, {"execution": 1.0}, {"step": None}):
        with pytest.raises(EventError):
            EVENTS.event("step.completed", {**fields, **wrong}, 1)


def test_an_event_that_nobody_registered_cannot_be_said() -> None:
    with pytest.raises(EventError, match=r"event 'step\.flown' is not registered"):
        EVENTS.event("step.flown", {"task_id": "t"}, 1)


def test_a_registry_is_built_of_any_shapes() -> None:
    class Greeting(Payload):
        name: str

    registry = EventRegistry([EventDefinition.step("greeted", Greeting, "Somebody was greeted.", "tests")])
    assert list(registry) == ["step.greeted"]
    event = registry.event("step.greeted", {"task_id": "t", "name": "ann"}, 3)
    assert event == Event("step.greeted", Greeting(task_id="t", name="ann"), 3)


def test_two_events_of_one_name_are_refused() -> None:
    greeted = EventDefinition.task("greeted", Payload, "Somebody was greeted.", "tests")
    with pytest.raises(EventError, match=r"event 'task\.greeted' is registered twice"):
        EventRegistry([greeted, greeted])


def test_an_event_is_known_by_its_name() -> None:
    assert "step.completed" in EVENTS
    assert "step.flown" not in EVENTS
    assert EVENTS["step.completed"].category is Category.STEP
    assert len(EVENTS) == len(list(EVENTS))


@pytest.mark.parametrize("name", list(EVENTS))
def test_every_event_says_what_it_means_and_who_says_it(name: str) -> None:
    definition = EVENTS[name]
    assert definition.description.endswith((".", "?"))
    source = Path(find_spec(f"tasker_temporal.{definition.publisher}").origin or "").read_text()  # type: ignore[union-attr]
    spoken = {*TASK_TABLE.values(), *STEP_TABLE.values()} | {event for event in EVENTS if event.endswith("_transition")}
    assert name in spoken or f'"{name}"' in source


@pytest.mark.parametrize("name", list(EVENTS))
def test_the_category_of_an_event_is_told_by_its_namespace(name: str) -> None:
    category, namespace = EVENTS[name].category, name.split(".")[0]
    assert name.split(".")[0] in RESERVED
    if category is not Category.STATE_MACHINE:
        assert category == ("workflow" if namespace == "error" else namespace)


@pytest.mark.parametrize("name", ["priced", "Order.priced", "order.", "order priced", ""])
def test_a_custom_event_has_a_dotted_name(name: str) -> None:
    with pytest.raises(EventError, match="expected dotted lower-case identifiers"):
        EventDefinition.custom(name, "The order has its price.", 1, {})


@pytest.mark.parametrize("namespace", sorted(RESERVED))
def test_a_custom_event_is_not_in_a_namespace_of_the_library(namespace: str) -> None:
    with pytest.raises(EventError, match=f"the namespace '{namespace}' is the library's own"):
        EventDefinition.custom(f"{namespace}.priced", "The order has its price.", 1, {})


# Before and after.


@EACH_SCENE
def test_every_move_is_told_before_and_after(scene: Scene) -> None:
    for run in scene.driven().runs:
        moved = [event for event in run.events if isinstance(event.payload, TaskTransitioned)]
        assert [
            (f"{event.name.split('.')[0]}.{when}_transition", event.cause, event.name)
            for event in moved
            for when in ("before", "after")
        ] == [(event.name, event.cause, event.payload.event) for event in run.around]  # type: ignore[attr-defined]


def test_a_listener_hears_before_of_and_after_a_move_in_this_order() -> None:
    heard: list[str] = []
    task = Task("task-1", template(step("a")), Content(b"{}"), KEY)
    Engine(task, observe=lambda event: heard.append(event.name)).apply(Start(), BEGIN)
    assert heard[:3] == ["task.before_transition", "task.initialize_requested", "task.after_transition"]


# What handlers say.


def priced(*, execution: int = 1) -> StepSucceeded:
    return StepSucceeded("a", execution, Content(b"1"), (Published("order.priced", '{"cents": 7}'),))


def test_what_a_handler_publishes_is_told_before_its_attempt_ends() -> None:
    drive = started(step("a"))
    drive.tell(priced())
    assert [row.event for row in drive.rows[-3:]] == ["order.priced", "step.completed", "task.completed"]
    told = drive.event("order.priced")
    assert (told.step, told.execution, told.content) == ("a", 1, '{"cents": 7}')
    row = drive.row("order.priced", "a")
    assert row.kind == "noted"
    assert row.metadata == {"execution": 1, **drive.task.trace(b'{"cents": 7}')}


def test_what_a_failed_attempt_published_is_told_too() -> None:
    drive = started(step("a"))
    drive.tell(StepFailed("a", 1, Failure("Boom", "it broke"), (Published("order.tried", "{}"),)))
    assert [event.name for event in drive.events if event.name.startswith(("order.", "step.f"))] == [
        "order.tried",
        "step.failed",
    ]


def test_what_an_attempt_published_that_nobody_awaits_is_not_told() -> None:
    drive = started(step("a"), step("b"))
    drive.ask(CompleteStep, step="a", result=1)
    drive.tell(priced())
    assert "order.priced" not in drive.said


def test_the_envelope_of_a_custom_event_has_a_shape_too() -> None:
    with pytest.raises(EventError, match=r"event 'order\.priced'.*"):
        EVENTS.custom("order.priced", {"task_id": "t"}, 1)


def test_a_payload_cannot_be_changed() -> None:
    payload: Any = SAMPLES["step.completed"].payload
    with pytest.raises(ValueError, match="frozen"):
        payload.step = "b"


def test_a_payload_does_not_share_its_metadata_with_its_row() -> None:
    drive = started(step("a"))
    drive.succeed("a")
    drive.event("step.completed").metadata.clear()
    assert drive.row("step.completed", "a").metadata["attempt"] == 1


# One fact, told once.


@EACH_SCENE
def test_every_row_is_told_by_exactly_one_event(scene: Scene) -> None:
    for run in scene.driven().runs:
        told = [event for event in run.events if isinstance(event.payload, RowWritten)]
        assert [(event.cause, event.name) for event in told] == [(row.sort_key, row.event) for row in run.rows]
        assert all(event.cause == event.payload.sort_key for event in told)  # type: ignore[attr-defined]


@EACH_SCENE
def test_every_other_event_names_an_earlier_row_that_led_to_it(scene: Scene) -> None:
    for run in scene.driven().runs:
        written = run.task.before[0]
        for event in run.events:
            if isinstance(event.payload, RowWritten):
                written = event.payload.sort_key
            else:
                assert 1 <= event.cause <= written


@EACH_SCENE
def test_nothing_is_said_twice_of_one_cause(scene: Scene) -> None:
    """Except that a row may lead to several discoveries, each of something else."""
    for run in scene.driven().runs:
        told = [(event.name, event.cause, repr(event.payload)) for event in run.events]
        assert len(told) == len(set(told))


# Observers.


def test_an_observer_hears_of_a_message_when_all_of_it_was_applied() -> None:
    heard: list[tuple[str, str]] = []
    task = Task("task-1", template(step("a")), Content(b"{}"), KEY)
    Engine(task, observe=lambda event: heard.append((event.name, str(task.steps["a"].state)))).apply(Start(), BEGIN)
    assert {state for _, state in heard} == {"in_progress"}
    told = [name for name, _ in heard if not name.endswith("_transition")]
    assert told[:2] == ["task.initialize_requested", "step.initialize_requested"]


def test_an_observer_hears_nothing_of_plans_and_refusals() -> None:
    drive = started(step("a"), step("b", "a"))
    before = list(drive.events)
    with pytest.raises(RequestRefused):
        drive.skip("a")
    drive.engine.plan(CancelTask(actor="ann", reason="r"), drive.now)
    assert drive.events == before
    drive.skip("b")
    assert [event.name for event in drive.events[len(before) :]] == [
        "step.skipped",
        "workflow.step_completed",
        "workflow.no_viable_steps",
    ]


def test_what_an_observer_returns_is_ignored_and_nobody_needs_one() -> None:
    watched, alone = started(step("a")), Task("task-1", template(step("a")), Content(b"{}"), KEY)
    commands = Engine(alone, observe=None).apply(Start(), BEGIN)
    assert Engine(Drive(template(step("a"))).task, observe=lambda event: "stop!").apply(Start(), BEGIN) == commands
    assert alone.rows == watched.rows


def test_what_is_over_is_said_with_its_state() -> None:
    drive = started(step("a"), step("b"))
    drive.succeed("a")
    assert drive.event("workflow.step_completed").state is State.COMPLETE


def test_a_custom_event_has_a_line_like_any_other() -> None:
    priced = EventDefinition.custom("order.priced", "The order has its price.", 2, {"type": "integer"})
    assert (priced.category, priced.version, priced.content) == (Category.CUSTOM, 2, {"type": "integer"})
    assert "order.priced" in EventRegistry([priced])


def test_an_event_for_those_who_measure_is_a_custom_one_of_its_own_category() -> None:
    custom = EventDefinition.custom("order.priced", "The order has its price.", 2, {"type": "integer"})
    measured = EventDefinition.telemetry("order.priced", "The order has its price.", 2, {"type": "integer"})
    assert measured == custom._replace(category=Category.TELEMETRY)
