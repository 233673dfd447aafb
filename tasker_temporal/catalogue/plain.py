"""A registry as plain JSON, in three shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field
from pydantic.json_schema import models_json_schema

from tasker_temporal.core.events import RowWritten
from tasker_temporal.core.registry import Category, EventDefinition, EventRegistry
from tasker_temporal.core.subscribers import SUBSCRIPTIONS
from tasker_temporal.core.template import Frozen

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class Listed(Frozen):
    """One event of a catalogue. `listeners` are the subscribers in the core, in their order."""

    name: str
    category: Category
    version: int
    description: str
    publisher: str
    row: bool
    """It stands in the audit."""
    listeners: tuple[str, ...]
    payload: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema of its payload; of a custom event, of what it says."""


def listed(registry: EventRegistry) -> dict[str, Listed]:
    """Every event, by name, in the registry's order."""
    return {name: _listed(registry[name]) for name in registry}


def _listed(event: EventDefinition) -> Listed:
    return Listed(
        name=event.name,
        category=event.category,
        version=event.version,
        description=event.description,
        publisher=event.publisher,
        row=issubclass(event.payload, RowWritten),
        listeners=tuple(subscriber.__name__ for subscriber in SUBSCRIPTIONS.get(event.name, ())),
        payload=schema_of(event),
    )


def schema_of(event: EventDefinition) -> dict[str, Any]:
    """JSON Schema of what the event says."""
    return dict(event.content) if event.content is not None else event.payload.model_json_schema(mode="serialization")


def json_schema(registry: EventRegistry) -> dict[str, Any]:
    """One JSON Schema document; `$defs` has each event's payload under the event's name."""
    shapes, own = _split(registry)
    keys, found = models_json_schema([(shape, "serialization") for shape in shapes.values()])
    refs = {name: keys[shape, "serialization"] for name, shape in shapes.items()}
    return {"$schema": DIALECT, "title": "Events", "$defs": {**found.get("$defs", {}), **refs, **own}}


def asyncapi(registry: EventRegistry, title: str, version: str) -> dict[str, Any]:
    """An AsyncAPI 3.0 document: one channel, and a message for each event."""
    shapes, own = _split(registry)
    template = "#/components/schemas/{model}"
    keys, found = models_json_schema([(shape, "serialization") for shape in shapes.values()], ref_template=template)
    payloads = {name: keys[shape, "serialization"] for name, shape in shapes.items()} | own
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version},
        "channels": {
            "events": {
                "description": "What happens to tasks, in the order of each task's audit.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in registry},
            }
        },
        "operations": {"listen": {"action": "receive", "channel": {"$ref": "#/channels/events"}}},
        "components": {
            "messages": {name: _message(registry[name], payloads[name]) for name in registry},
            "schemas": found.get("$defs", {}),
        },
    }


def _message(event: EventDefinition, payload: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": event.name,
        "title": event.name,
        "summary": event.description,
        "contentType": "application/json",
        "tags": [{"name": str(event.category)}],
        "x-version": event.version,
        "payload": payload,
    }


def _split(registry: EventRegistry) -> tuple[dict[str, Any], dict[str, Any]]:
    """The payload models of the library's events, and the schemas of the others."""
    events = [registry[name] for name in registry]
    return (
        {event.name: event.payload for event in events if event.content is None},
        {event.name: dict(event.content) for event in events if event.content is not None},
    )
