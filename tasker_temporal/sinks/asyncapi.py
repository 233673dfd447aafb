"""What sinks are told as an AsyncAPI 3.0 document: one channel, and a message for each event that a sink can get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tasker_temporal.catalogue import hoisted
from tasker_temporal.core import events as shapes
from tasker_temporal.core.outbox import ANNOUNCED
from tasker_temporal.core.registry import EventDefinition, EventRegistry
from tasker_temporal.sinks.events import (
    Announced,
    EndedOutside,
    Noted,
    Published,
    Refused,
    StepMoved,
    TaskEvent,
    TaskMoved,
)

SCHEMAS: Final = "#/components/schemas/"

DATA: Final[tuple[tuple[type[shapes.Payload], type[BaseModel]], ...]] = (
    (shapes.CustomPublished, Published),
    (shapes.StepTransitioned, StepMoved),
    (shapes.TaskTransitioned, TaskMoved),
    (shapes.RowWritten, Noted),
    (shapes.RunEnded, EndedOutside),
    (shapes.Payload, Announced),
)
"""What a sink gets of an event, by the first of these that its payload is."""

REFUSED: Final = "workflow.request_refused"


def asyncapi(registry: EventRegistry, title: str, version: str) -> dict[str, Any]:
    """The document. Events that only repeat a move are not in it, because no sink gets them."""
    events = [registry[name] for name in registry if not issubclass(registry.payload(name), shapes.Move)]
    schemas = _schemas(events)
    messages = {event.name: _message(event, schemas) for event in events}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version},
        "channels": {
            "events": {
                "description": "What a sink is told of tasks, in the order of each: CloudEvents, alone or in batches.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {"listen": {"action": "receive", "channel": {"$ref": "#/channels/events"}}},
        "components": {"messages": messages, "schemas": schemas},
    }


def _schemas(events: list[EventDefinition]) -> dict[str, Any]:
    """The envelope, without its data, the kinds of data, and the payloads of what is no row."""
    announced = [event.payload for event in events if event.name in ANNOUNCED]
    models: dict[type[BaseModel], None] = dict.fromkeys((TaskEvent, Refused, *(data for _, data in DATA), *announced))
    _, found = models_json_schema(
        [(model, "serialization") for model in models], by_alias=True, ref_template=SCHEMAS + "{model}"
    )
    schemas: dict[str, Any] = found["$defs"]
    schemas["TaskEvent"]["properties"]["data"] = {}
    return schemas


def _message(event: EventDefinition, schemas: dict[str, Any]) -> dict[str, Any]:
    envelope = {"$ref": f"{SCHEMAS}TaskEvent"}
    said = {"properties": {"type": {"const": event.name}, "data": _data(event, schemas)}}
    return {
        "name": event.name,
        "title": event.name,
        "summary": event.description,
        "contentType": "application/cloudevents+json",
        "tags": [{"name": str(event.category)}],
        "x-version": event.version,
        "payload": {"allOf": [envelope, said]},
    }


def _data(event: EventDefinition, schemas: dict[str, Any]) -> dict[str, Any]:
    """The kind of data, and what is fixed in it by the event."""
    data = Refused if event.name == REFUSED else next(data for shape, data in DATA if issubclass(event.payload, shape))
    fixed: dict[str, Any] = {} if data is EndedOutside else {"event": {"const": event.name}}
    if event.content is not None:
        fixed["content"] = hoisted(event, schemas, SCHEMAS)
    elif data is Announced:
        fixed["payload"] = {"$ref": SCHEMAS + event.payload.__name__}
    schema: Mapping[str, Any] = {"$ref": SCHEMAS + data.__name__}
    return {"allOf": [schema, {"properties": fixed}]} if fixed else dict(schema)
