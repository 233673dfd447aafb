"""A registry as plain JSON, and as JSON Schema."""

from __future__ import annotations

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
    events = [registry[name] for name in registry]
    shapes = {event.name: event.payload for event in events if event.content is None}
    keys, found = models_json_schema([(shape, "serialization") for shape in shapes.values()])
    definitions = {**found.get("$defs", {}), **{name: keys[shape, "serialization"] for name, shape in shapes.items()}}
    for event in events:
        if event.content is not None:
            definitions[event.name] = hoisted(event, definitions, "#/$defs/")
    return {"$schema": DIALECT, "title": "Events", "$defs": definitions}


def hoisted(event: EventDefinition, definitions: dict[str, Any], place: str) -> dict[str, Any]:
    """JSON Schema of what a template's own event says; what it refers to is put among the `definitions`.

    Two events may have models of one name, so the event's name stands before it.

    Args:
        place: Where references find the definitions.
    """
    content = schema_of(event)
    for name, definition in content.pop("$defs", {}).items():
        definitions[f"{event.name}.{name}"] = _referring(definition, event.name, place)
    found: dict[str, Any] = _referring(content, event.name, place)
    return found


def _referring(schema: Any, prefix: str, place: str) -> Any:
    """The schema, its references leading to where its definitions were put."""
    if isinstance(schema, list):
        return [_referring(part, prefix, place) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _referring(part, prefix, place) for key, part in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str):
        found["$ref"] = f"{place}{prefix}.{reference.removeprefix('#/$defs/')}"
    return found
