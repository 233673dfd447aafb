"""`tasker events` prints the catalogue, and tells what a new one breaks. It needs no server."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from tasker_temporal import CustomEvent
from tasker_temporal.catalogue import changes, json_schema, listed
from tasker_temporal.catalogue.plain import Listed
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.outbox import TELLABLE
from tasker_temporal.core.registry import EventRegistry
from tasker_temporal.sinks.asyncapi import asyncapi
from tests.cli.kit import tasker, write

SHOP = """
from pydantic import BaseModel
from tasker_temporal import TaskTemplate

class Priced(BaseModel):
    cents: int
    currency: str = "EUR"

shop = TaskTemplate("shop.sell")
shop.custom_event("order.priced", Priced, description="The order has its price.")
other = TaskTemplate("shop.lend")
other.custom_event("order.priced", {other}, description="The order has its price.")
app = [shop, other]
"""


def shop(folder: Path, other: str = "Priced") -> Path:
    write(folder, {"shop.py": SHOP.format(other=other)})
    return folder


async def test_the_catalogue_is_listed_with_the_apps_own_events(tmp_path: Path) -> None:
    ended = await tasker("events", "list", "--app", "shop:app", folder=shop(tmp_path))
    assert ended.code == 0
    assert "step.completed" in ended.out
    assert "The order has its price." in ended.out


async def test_one_category_is_listed_as_json(tmp_path: Path) -> None:
    ended = await tasker("events", "list", "--category", "state_machine", "--json", folder=tmp_path)
    assert {event["name"] for event in json.loads(ended.out)} == {
        f"{whose}.{when}_transition" for whose in ("task", "step") for when in ("before", "after")
    }


async def test_one_event_is_shown_with_fields_example_publisher_and_listeners(tmp_path: Path) -> None:
    ended = await tasker("events", "show", "step.backoff", folder=tmp_path)
    for said in ("retry_scheduler", "discover", "delay        number", '"delay": 1.5'):
        assert said in ended.out


async def test_a_custom_event_is_shown_as_what_it_says(tmp_path: Path) -> None:
    ended = await tasker("events", "show", "order.priced", "--app", "shop:app", folder=shop(tmp_path))
    assert "currency     string, may be missing" in ended.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("show", "step.backof"), "there is no event 'step.backof': perhaps step.backoff"),
        (("show", "x"), "there is no event 'x'"),
        (("list", "--category", "odd"), "there is no category 'odd': expected one of task, step"),
        (("check", "--against", "shop.py"), "is no catalogue: expected what `tasker events export` writes"),
        (("list", "--app", "shop:app"), "event 'order.priced' is declared twice, and not alike"),
    ],
)
async def test_wrong_use_is_one_line(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    ended = await tasker("events", *arguments, folder=shop(tmp_path, other="int"))
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err
    assert ended.err.count("\n") == 1


async def test_nothing_has_changed_since_the_export(tmp_path: Path) -> None:
    exported = await tasker("events", "export", folder=tmp_path)
    write(tmp_path, {"old.json": exported.out})
    ended = await tasker("events", "check", "--against", "old.json", folder=tmp_path)
    assert (ended.code, ended.out) == (0, "0 changes, 0 of them break those who read the events.\n")


async def test_an_event_that_is_gone_breaks_its_readers(tmp_path: Path) -> None:
    exported = await tasker("events", "export", "--app", "shop:app", folder=shop(tmp_path))
    write(tmp_path, {"old.json": exported.out})
    ended = await tasker("events", "check", "--against", "old.json", folder=tmp_path)
    assert ended.code == 1
    assert "BREAKS  order.priced: is gone" in ended.out


async def test_what_is_exported_is_a_schema(tmp_path: Path) -> None:
    exported = json.loads((await tasker("events", "export", "--format", "json-schema", folder=tmp_path)).out)
    Draft202012Validator.check_schema(exported)
    document = json.loads((await tasker("events", "export", "--format", "asyncapi", folder=tmp_path)).out)
    assert document["asyncapi"] == "3.0.0"


# In this process, for what a command cannot show.


def example(name: str) -> dict[str, Any]:
    return {"task_id": "t", "step": "a", "attempt": 1, "delay": 1.5, "retry_at": "now", "requested": False}


def test_every_payload_of_the_schema_tells_right_from_wrong() -> None:
    document = json_schema(EVENTS)
    schema = {**document, "$ref": "#/$defs/step.backoff"}
    Draft202012Validator(schema).validate(example("step.backoff"))
    assert not Draft202012Validator(schema).is_valid({"task_id": "t"})


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = asyncapi(EVENTS, "Events", "1")
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    assert document["components"]["messages"].keys() == set(TELLABLE)


BACKOFF = listed(EVENTS)["step.backoff"]


def changed(**change: Any) -> Listed:
    return BACKOFF.model_copy(update=change)


def with_fields(**fields: Any) -> dict[str, Any]:
    properties = {name: schema for name, schema in (BACKOFF.payload["properties"] | fields).items() if schema}
    return {**BACKOFF.payload, "properties": properties}


@pytest.mark.parametrize(
    ("new", "what", "breaking"),
    [
        (changed(payload=with_fields(delay=None)), "delay is gone", True),
        (changed(payload=with_fields(delay={"type": "string"})), "delay was number, and is string", True),
        (changed(payload=with_fields(more={"type": "string"})), "more is new", False),
        (changed(payload={**BACKOFF.payload, "required": []}), "delay may be missing now", True),
        (changed(payload=with_fields(delay=None), version=2), "delay is gone", False),
        (changed(version=2), "its version rose from 1 to 2", False),
        (changed(version=0), "its version fell from 1 to 0", True),
    ],
)
def test_what_breaks_a_reader_is_told_from_what_does_not(new: Listed, what: str, breaking: bool) -> None:
    found = {change.what: change.breaking for change in changes({"e": BACKOFF}, {"e": new})}
    assert found[what] is breaking


def test_a_row_that_is_none_any_more_breaks_and_new_events_do_not() -> None:
    row = listed(EVENTS)["step.changed"]
    (change,) = changes({"e": row}, {"e": row.model_copy(update={"row": False})})
    assert (change.what, change.breaking) == ("it is no row of the audit any more", True)
    assert changes({}, {"e": row}) == [("e", "is new", False)]


def test_states_that_come_and_go_are_told_without_breaking() -> None:
    moved = listed(EVENTS)["step.completed"]
    states = [*moved.payload["$defs"]["State"]["enum"][1:], "audited"]
    payload = {**moved.payload, "$defs": {"State": {**moved.payload["$defs"]["State"], "enum": states}}}
    found = changes({"e": moved}, {"e": moved.model_copy(update={"payload": payload})})
    assert [(change.what, change.breaking) for change in found] == [
        (f"{field} {what}", False)
        for field in ("from_state", "to_state")
        for what in ("can be audited too", "is never pending any more")
    ]


class Crate(BaseModel):
    """It refers to itself in each way that there is."""

    weight: float
    kind: Literal["wood"] = "wood"
    inner: Crate | None = None
    others: list[Crate] = []
    by_name: dict[str, Crate] = {}
    pair: tuple[int, Crate] | None = None


CRATE = CustomEvent("crate.packed", Crate)


def crates(**changes: Any) -> Listed:
    """The event, after its model's definition was changed."""
    [packed] = [each for name, each in listed(EventRegistry([CRATE.definition])).items() if name == CRATE.name]
    definition = packed.payload["$defs"]["Crate"]
    properties = {**definition["properties"], **changes}
    whole = {**definition, "properties": {name: schema for name, schema in properties.items() if schema}}
    return packed.model_copy(update={"payload": {**packed.payload, "$defs": {"Crate": whole}}})


def test_a_model_that_refers_to_itself_is_compared_once() -> None:
    assert changes({"e": crates()}, {"e": crates()}) == []
    found = changes({"e": crates()}, {"e": crates(weight=None, kind={"const": "steel", "type": "string"})})
    assert [(change.what, change.breaking) for change in found] == [
        ("weight is gone", True),
        ("kind can be steel too", False),
        ("kind is never wood any more", False),
    ]


@pytest.mark.parametrize(
    ("was", "now", "what"),
    [
        ({"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]}, None, "part.weight is gone"),
        ({"oneOf": [{"$ref": "#/$defs/Part"}, {"type": "string"}]}, None, "part.weight is gone"),
        ({"type": "array", "items": {"$ref": "#/$defs/Part"}}, None, "part[].weight is gone"),
        ({"type": "object", "additionalProperties": {"$ref": "#/$defs/Part"}}, None, "part{}.weight is gone"),
        ({"type": "array", "prefixItems": [{"$ref": "#/$defs/Part"}]}, None, "part[0].weight is gone"),
        ({"prefixItems": [{}]}, {"prefixItems": [{}, {}]}, "part was 1 items, and is 2 items"),
    ],
)
def test_what_breaks_a_reader_is_found_wherever_a_model_is_used(was: Any, now: Any, what: str) -> None:
    def using(part: Any, properties: Any) -> Listed:
        definition = {"type": "object", "properties": properties}
        return changed(payload={**with_fields(part=part), "$defs": {"Part": definition}})

    old, new = using(was, {"weight": {"type": "number"}}), using(now or was, {})
    assert (what, True) in [(change.what, change.breaking) for change in changes({"e": old}, {"e": new})]


async def test_an_event_whose_model_refers_to_itself_is_shown(tmp_path: Path) -> None:
    app = f"""
from __future__ import annotations
from pydantic import BaseModel
from tasker_temporal import TaskTemplate

{inspect.getsource(Crate).replace('Literal["wood"]', "str")}
app = TaskTemplate("shop.pack")
app.custom_event("crate.packed", Crate)
"""
    write(tmp_path, {"crates.py": app})
    ended = await tasker("events", "show", "crate.packed", "--app", "crates:app", folder=tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert "weight       number\n" in ended.out
    sample = json.loads(ended.out.rpartition("example\n")[2])
    Draft202012Validator(crates().payload).validate({**sample, "kind": "wood"})
