"""The audit: gap-free, caused, chained, silent about what people wrote, and the only place where a state comes from."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tasker_temporal.core.messages import Content, Refused
from tasker_temporal.core.rows import Row, chained, entity_of, genesis, salted, step_of, verify
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RecordError
from tests.core.driving import KEY, STEADY, Drive, chain_start, state_of_rows, step, stored_state, template
from tests.core.scenes import SCENES, Scene

AUDITED = template(step("a", retry=STEADY), step("d"), step("b", "a?", "d"), step("c", "b"))
EACH_SCENE = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)


@pytest.fixture(scope="module")
def exported() -> list[dict[str, Any]]:
    """The audit of a task with a refused signal, retries, nested metadata and a cancellation, as JSON."""
    drive = Drive(AUDITED)
    drive.start(actor="ann", reason="an order came")
    drive.tell(Refused("no such request", "ann", "by signal", "step:a", "rewind"))
    drive.fail("a")
    drive.wait(4)
    drive.fail("a")
    drive.skip("a")
    drive.succeed("d", "b")
    drive.cancel("bob", "changed my mind")
    drive.stop("c")
    rows: list[dict[str, Any]] = json.loads(json.dumps([row.plain() for row in drive.rows]))
    return rows


@pytest.fixture(scope="module")
def start() -> str:
    return chain_start(Task("task-1", AUDITED, Content(b"{}"), KEY))


def read(plain: Sequence[dict[str, Any]]) -> list[Row]:
    return [Row.of(row) for row in plain]


@EACH_SCENE
def test_sort_keys_count_without_a_gap_over_all_runs_of_a_task(scene: Scene) -> None:
    rows = [row for run in scene.driven().runs for row in run.rows]
    assert [row.sort_key for row in rows] == list(range(1, len(rows) + 1))


@EACH_SCENE
def test_every_cause_is_an_earlier_row(scene: Scene) -> None:
    rows = [row for run in scene.driven().runs for row in run.rows]
    assert all(row.cause is None or 1 <= row.cause < row.sort_key for row in rows)
    assert rows[0].cause is None


@EACH_SCENE
def test_the_chain_verifies_from_the_tasks_birth_over_all_its_runs(scene: Scene) -> None:
    drive = scene.driven()
    rows = [row for run in drive.runs for row in run.rows]
    assert verify(rows, chain_start(drive.task)) == drive.runs[-1].task.head == rows[-1].digest


@EACH_SCENE
def test_the_stored_states_are_those_that_the_rows_tell(scene: Scene) -> None:
    told: dict[str, str] = {}
    for run in scene.driven().runs:
        told |= state_of_rows(run.rows)
        assert stored_state(run.task) == told


@EACH_SCENE
def test_a_move_begins_where_the_last_one_ended(scene: Scene) -> None:
    at: dict[str, str | None] = {}
    for row in (row for run in scene.driven().runs for row in run.rows if row.kind == "transition"):
        assert row.from_state == at.get(row.entity)
        at[row.entity] = row.to_state


@EACH_SCENE
def test_rows_are_in_the_order_of_time(scene: Scene) -> None:
    times = [row.at for run in scene.driven().runs for row in run.rows]
    assert times == sorted(times)
    assert times[0] == "2026-01-01T00:00:00+00:00"


def test_no_row_holds_an_input_a_result_or_the_text_of_an_error() -> None:
    drive = Drive(template(step("a", "*"), step("b", "a")), context=b'"context of ann"')
    drive.start()
    drive.succeed("a", data=b'"result of ann"')
    drive.fail("b")
    text = json.dumps([row.plain() for row in drive.rows])
    assert "of ann" not in text
    assert "it broke" not in text


def test_a_row_tells_the_size_and_the_salted_digest_of_what_it_does_not_hold() -> None:
    drive = Drive(template(step("a")))
    drive.start()
    drive.succeed("a", data=b"four")
    expected = {"size": 4, "sha256": hashlib.sha256(KEY + b"four").hexdigest()}
    assert drive.row("step.completed", "a").metadata["result"] == expected
    assert salted(b"another key", b"four") != expected["sha256"]


def test_a_failed_attempt_tells_the_type_of_its_error_and_a_trace_of_the_text() -> None:
    drive = Drive(template(step("a")))
    drive.start()
    drive.fail("a", type="CardDeclined")
    digest = hashlib.sha256(KEY + b"it broke").hexdigest()
    assert drive.row("step.failed", "a").metadata == {
        "attempt": 1,
        "error": {"sha256": digest, "size": 8, "type": "CardDeclined"},
        "execution": 1,
    }


def test_the_chain_begins_with_task_template_and_salted_context() -> None:
    text = "tasker/1\ntask-1\ntemplate digest\ncontext digest"
    assert genesis("task-1", "template digest", "context digest") == hashlib.sha256(text.encode()).hexdigest()
    assert len({genesis("t", "x", "y"), genesis("u", "x", "y"), genesis("t", "z", "y"), genesis("t", "x", "z")}) == 4


def test_a_digest_is_the_sha256_of_the_one_before_and_of_the_row_as_json() -> None:
    metadata = {"b": 1, "a": [{"d": "ü", "c": None}]}
    row = Row(
        3, "noted", "step:a", None, None, "step.outcome_noted", "tasker", "why", 2, metadata, "2026-01-01T00:00:00Z"
    )
    text = (
        'before\n[3,"noted","step:a",null,null,"step.outcome_noted","tasker","why",2,'
        '{"a":[{"c":null,"d":"ü"}],"b":1},"2026-01-01T00:00:00Z"]'
    )
    assert chained("before", row) == hashlib.sha256(text.encode()).hexdigest()


def test_a_row_survives_its_export(exported: list[dict[str, Any]], start: str) -> None:
    assert [row.plain() for row in read(exported)] == exported
    assert verify(read(exported), start) == exported[-1]["digest"]


def test_metadata_is_written_with_sorted_keys(exported: list[dict[str, Any]]) -> None:
    assert json.dumps(exported, sort_keys=False) == json.dumps([_sorted(row) for row in exported])


def _sorted(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"metadata": json.loads(json.dumps(row["metadata"], sort_keys=True))}


def other(value: Any) -> Any:
    """Something else of the same kind."""
    if isinstance(value, str):
        return value[:-1] + ("x" if value[-1:] != "x" else "y")
    return value + 1 if isinstance(value, int) else "something"


def changes(plain: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in it that are no dicts or lists, and of those that are empty."""
    if isinstance(plain, dict) and plain:
        return [found for key, value in plain.items() for found in changes(value, (*path, key))]
    if isinstance(plain, list) and plain:
        return [found for index, value in enumerate(plain) for found in changes(value, (*path, index))]
    return [path]


def changed(plain: list[dict[str, Any]], path: tuple[Any, ...], how: Callable[[Any], Any]) -> list[Row]:
    rows: Any = copy.deepcopy(plain)
    place = rows
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = how(place[path[-1]])
    return read(rows)


def test_any_changed_value_of_any_row_is_found_and_its_row_is_named(exported: list[dict[str, Any]], start: str) -> None:
    for path in changes(exported):
        rows = changed(exported, path, other)
        with pytest.raises(RecordError) as caught:
            verify(rows, start)
        named = {rows[path[0]].sort_key, path[0] + 1} if path[0] == 0 else {path[0] + 1}
        assert caught.value.sort_key in named, path


def test_any_changed_byte_of_a_row_is_found_and_the_row_is_named(exported: list[dict[str, Any]], start: str) -> None:
    index, text = 7, json.dumps(exported[7])
    checked = 0
    for place in range(len(text)):
        byte = "7" if text[place] != "7" else "8"
        try:
            plain = json.loads(text[:place] + byte + text[place + 1 :])
            rows = read([*exported[:index], plain, *exported[index + 1 :]])
        except (ValueError, KeyError):
            continue
        with pytest.raises(RecordError) as caught:
            verify(rows, start)
        assert caught.value.sort_key == index + 1
        checked += 1
    assert checked > len(text) / 2


def test_a_value_of_another_type_is_a_changed_value(exported: list[dict[str, Any]], start: str) -> None:
    for path in changes(exported[5:6]):
        with pytest.raises(RecordError):
            verify(changed(exported, (5, *path[1:]), lambda value: [value]), start)


def test_a_dropped_row_is_named(exported: list[dict[str, Any]], start: str) -> None:
    for index in range(1, len(exported) - 1):
        with pytest.raises(RecordError, match=f"row {index + 1} is missing") as caught:
            verify(read([*exported[:index], *exported[index + 1 :]]), start)
        assert caught.value.sort_key == index + 1


def test_without_its_first_row_an_audit_does_not_fit_its_beginning(exported: list[dict[str, Any]], start: str) -> None:
    with pytest.raises(RecordError, match="row 2 does not fit"):
        verify(read(exported[1:]), start)


def test_a_row_that_was_moved_is_named(exported: list[dict[str, Any]], start: str) -> None:
    rows = read(exported)
    rows[3], rows[4] = rows[4], rows[3]
    with pytest.raises(RecordError) as caught:
        verify(rows, start)
    assert caught.value.sort_key == 4


def test_the_chain_of_another_task_does_not_fit(exported: list[dict[str, Any]]) -> None:
    with pytest.raises(RecordError):
        verify(read(exported), genesis("task-2", "x", "y"))


def test_an_audit_without_rows_ends_where_it_begins() -> None:
    assert verify([], "start") == "start"


@pytest.mark.parametrize(("step", "entity"), [(None, "task"), ("a", "step:a"), ("step:a", "step:step:a")])
def test_an_entity_is_the_task_or_one_of_its_steps(step: str | None, entity: str) -> None:
    assert entity_of(step) == entity
    assert step_of(entity) == step
    assert Row(1, "noted", entity, None, None, "e", "a", "", None, {}, "").step == step
