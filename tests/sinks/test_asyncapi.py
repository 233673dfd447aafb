"""The exported document tells the truth: what a sink gets of any event is what its message says, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from tasker_temporal import CustomEvent
from tasker_temporal.catalogue import json_schema
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.outbox import TELLABLE
from tasker_temporal.core.registry import EventRegistry
from tasker_temporal.core.template import Sink, Template
from tasker_temporal.sinks import TaskEvent
from tasker_temporal.sinks.asyncapi import asyncapi
from tasker_temporal.sinks.ends import plain_end
from tasker_temporal.sinks.events import end_of, events_of
from tasker_temporal.wire import Batch
from tests.core.driving import Drive
from tests.core.scenes import SCENES
from tests.core.test_events import ENDS


class Money(BaseModel):
    cents: int


class Priced(BaseModel):
    price: Money
    before: Money | None = None


PRICED = CustomEvent("order.priced", Priced)
REGISTRY = EventRegistry([*(EVENTS[name] for name in EVENTS), PRICED.definition])
DOCUMENT = json.loads(json.dumps(asyncapi(REGISTRY, "Events", "1")))
EVERYTHING = Sink(name="all", events=("*", *TELLABLE))


def batch_of(run: Drive, entries: Any) -> Batch:
    box = run.task.outboxes["all"]
    return Batch.of(run.task, "0" * 64, box, 1, entries)


def scenes() -> Iterator[TaskEvent]:
    for scene in SCENES.values():
        fields = {name: getattr(scene.template, name) for name in Template.model_fields}
        template = Template(**fields | {"sinks": (EVERYTHING,)})
        drive = Drive(template, context=scene.context)
        scene.play(drive)
        for run in drive.runs:
            run.task.collect()
            batch = batch_of(run, run.task.outboxes["all"].rows)
            yield from events_of(batch, batch.unpacked(), "default", 1)
    for end in ENDS:
        yield end_of(batch_of(drive, 0).model_copy(update={"ended": plain_end(end)}), "default", 1)


TOLD: dict[str, list[TaskEvent]] = {}
for told in scenes():
    TOLD.setdefault(told.type, []).append(told)


def message(name: str) -> Draft202012Validator:
    return Draft202012Validator({**DOCUMENT, **DOCUMENT["components"]["messages"][name]["payload"]})


def test_everything_that_a_sink_can_get_was_told_in_a_scene() -> None:
    assert set(TOLD) == set(TELLABLE)


@pytest.mark.parametrize("name", TELLABLE)
def test_what_a_sink_gets_is_what_the_message_says(name: str) -> None:
    validator = message(name)
    for event in TOLD[name]:
        validator.validate(json.loads(event.json_bytes()))
    plain = json.loads(TOLD[name][0].json_bytes())
    other = next(each for each in TELLABLE if each != name)
    wrongs: list[dict[str, Any]] = [{"type": other}, {"more": 1}, {"data": {**plain["data"], "kind": "unknown"}}]
    for wrong in [*wrongs, {"data": {}}]:
        assert not validator.is_valid({**plain, **wrong}), wrong


def test_what_a_templates_own_event_says_is_part_of_its_message() -> None:
    plain = json.loads(TOLD["step.condition_met"][0].json_bytes())
    plain["type"] = plain["data"]["event"] = "order.priced"
    validator = message("order.priced")
    plain["data"]["content"] = {"price": {"cents": 7}, "before": None}
    validator.validate(plain)
    plain["data"]["content"] = {"price": {"cents": "seven"}}
    assert not validator.is_valid(plain)


def test_models_within_a_templates_own_event_are_found_in_the_schema_too() -> None:
    schema = {**json_schema(REGISTRY), "$ref": "#/$defs/order.priced"}
    Draft202012Validator(schema).validate({"price": {"cents": 7}, "before": {"cents": 8}})
    assert not Draft202012Validator(schema).is_valid({"price": {"cents": "seven"}})
