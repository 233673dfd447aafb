"""What a condition may name, and what is known of it: of a step's `when`, an event's `match`, a route, a type's row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tasker_temporal.core import conditions
from tasker_temporal.core.conditions import Kind
from tasker_temporal.core.machine import State
from tasker_temporal.core.task_types import OF_STEPS, WORDS, Move
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import Ended, Failed, Received, events_of, leaves, step_of

FIELDS_SHOWN: Final = 500
"""Fields of one type that conditions are checked against; beyond that, any name goes."""

_KINDS: Final[Mapping[str, Kind]] = {
    "boolean": "bool",
    "integer": "number",
    "number": "number",
    "string": "string",
    "array": "list",
}

Schemas = Callable[[str], Mapping[str, Any]]
"""Gives the JSON Schema of `context`, `result.charge` or `event.payment.captured`; an empty one if nobody knows it."""

FAILURE: Final[Mapping[str, Kind]] = {"step": "string", "type": "string", "message": "string", "attempts": "number"}


def condition_mistakes(template: Template, schemas: Schemas) -> Iterator[str]:
    """What is wrong with the template's conditions, each in a sentence that says where."""
    for number, route in enumerate(template.routes, start=1):
        where = f"route {route.name or number!r}: its condition {route.when!r}"
        yield from _said(where, route.when, _known("context", schemas("context")))
    for row in template.type.rows:
        if row.is_condition:
            where = f"type {template.type.name!r}: its row {row.source!r} to {row.to!r}: its condition {row.when!r}"
            yield from _said(where, row.when, _of_row(template, row, schemas))
    for step in template.steps:
        if step.when:
            where = f"step {step.name!r}: its condition {step.when!r}"
            yield from _said(where, step.when, _of_step(step, schemas))
        yield from _match_mistakes(step, schemas)


def _match_mistakes(step: StepTemplate, schemas: Schemas) -> Iterator[str]:
    for leaf in leaves(step.on) if step.on is not None else ():
        if isinstance(leaf, Received) and leaf.match:
            known = {
                **_known("context", schemas("context")),
                **_known("event", schemas(f"event.{leaf.received}")),
            }
            yield from _said(f"step {step.name!r}: its match {leaf.match!r}", leaf.match, known)


def _said(where: str, expression: str, known: Mapping[str, Kind]) -> Iterator[str]:
    for mistake in conditions.mistakes(expression, known):
        yield f"{where}: {mistake}"


def _of_step(step: StepTemplate, schemas: Schemas) -> dict[str, Kind]:
    found = dict(_known("context", schemas("context")))
    for name in step.needs:
        found |= _known(f"result.{name}", schemas(f"result.{name}"))
    for leaf in leaves(step.on) if step.on is not None else ():
        if isinstance(leaf, (Failed, Ended)):
            found |= {f"failure.{step_of(leaf)}.{field}": kind for field, kind in FAILURE.items()}
    events = events_of(step.trigger)
    if len(events) == 1:
        found |= _known("event", schemas(f"event.{events[0]}"))
    return found


def _of_row(template: Template, row: Move, schemas: Schemas) -> dict[str, Kind]:
    """Of results, those that it reads: a template may have thousands."""
    found = dict(_known("context", schemas("context")))
    read = conditions.results_in(row.when)
    for step in template.steps:
        name = f"result.{step.name}"
        found |= _known(name, schemas(name)) if step.name in read else {name: "any"}
    asked = WORDS if row.source == State.PENDING_APPROVAL else OF_STEPS
    return {**found, **dict.fromkeys(asked, "bool")}


def _known(path: str, schema: Mapping[str, Any]) -> dict[str, Kind]:
    """The variables under the path: its fields as far as the schema tells, or the path itself."""
    fields = dict(_fields(path, schema, schema, 0))
    return fields if 0 < len(fields) <= FIELDS_SHOWN else {path: "any"}


def _fields(path: str, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Kind]]:
    schema = _resolved(schema, root)
    properties = schema.get("properties")
    if properties and not schema.get("additionalProperties") and depth < 5:
        for name, field in properties.items():
            yield from _fields(f"{path}.{name}", field, root, depth + 1)
    elif depth:
        kind = schema.get("type")
        yield path, _KINDS.get(kind, "any") if isinstance(kind, str) else "any"


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref", "")
    if not reference.startswith("#/$defs/"):
        return schema
    found: Mapping[str, Any] = root.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
    return found
