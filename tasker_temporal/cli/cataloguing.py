"""`tasker events`: prints the catalogue, and holds it against an earlier one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError
from rich import box
from rich.table import Table

from tasker_temporal.catalogue import Listed, changes, json_schema, listed
from tasker_temporal.cli.app import find_app
from tasker_temporal.cli.process import CLEAN, FAILED, WrongUse
from tasker_temporal.cli.screen import put, screen
from tasker_temporal.cli.tables import cells
from tasker_temporal.cli.version import version
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.registry import Category, EventDefinition, EventRegistry
from tasker_temporal.errors import EventError

Catalogue = TypeAdapter(dict[str, Listed])


async def list_events(category: str | None, as_json: bool, app: str | None) -> int:
    """Print the events, one a line. Returns the exit code."""
    if category is not None and category not in tuple(Category):
        raise WrongUse(f"there is no category {category!r}: expected one of {', '.join(Category)}")
    found = [event for event in listed(_registry(app)).values() if category in (None, event.category)]
    if as_json:
        screen().json([event.model_dump(mode="json") for event in found])
        return CLEAN
    table = Table("event", "category", "row", "", box=box.SIMPLE_HEAD)
    for event in found:
        table.add_row(*cells(event.name, str(event.category), "yes" if event.row else "", event.description))
    screen().show(table)
    return CLEAN


async def show_event(name: str, as_json: bool, app: str | None) -> int:
    """Print all that is known of one event. Returns the exit code."""
    found = listed(_registry(app))
    if name not in found:
        near = [known for known in found if name in known] or get_close_matches(name, found, cutoff=0.5)
        hint = f"perhaps {' or '.join(near[:3])}" if near else "`tasker events list` has them"
        raise WrongUse(f"there is no event {name!r}: {hint}")
    event = found[name]
    if as_json:
        screen().json(event.model_dump(mode="json"))
    else:
        click.echo("\n".join(_told(event)))
    return CLEAN


def _told(event: Listed) -> Iterator[str]:
    yield f"{event.name}  (version {event.version}, {event.category}{', a row of the audit' if event.row else ''})"
    yield event.description
    yield f"\npublisher   {event.publisher}"
    yield f"listeners   {', '.join(event.listeners) or 'none in the core'}"
    yield "\nfields"
    # A model that refers to itself is one of its own definitions.
    whole = event.payload.get("$defs", {}).get(event.payload.get("$ref", "").rpartition("/")[2], event.payload)
    for name, schema in whole.get("properties", {}).items():
        needed = "" if name in whole.get("required", ()) else ", may be missing"
        yield f"  {name:<12} {_type(schema)}{needed}"
    yield f"\nexample\n  {json.dumps(_sample(event.payload, event.payload))}"


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    items = f" of {_type(schema['items'])}" if schema.get("items") else ""
    return f"{schema.get('type', 'anything')}{items}"


EXAMPLES = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None, "array": [], "object": {}}


def _sample(schema: dict[str, Any], whole: dict[str, Any], inside: tuple[str, ...] = ()) -> Any:
    """A value of the schema's shape. `inside` are the definitions that it stands in: it does not repeat them."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _sample(whole["$defs"][name], whole, (*inside, name))
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return _sample(min(choices, key=lambda part: _repeats(part, inside)), whole, inside)
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    if "properties" in schema:
        return {name: _sample(part, whole, inside) for name, part in schema["properties"].items()}
    if "prefixItems" in schema:
        return [_sample(part, whole, inside) for part in schema["prefixItems"]]
    if (items := schema.get("items")) and not _repeats(items, inside):
        return [_sample(items, whole, inside)]
    return EXAMPLES.get(schema.get("type", ""))


def _repeats(schema: Any, inside: tuple[str, ...]) -> bool:
    """It refers to one of these, itself or a part of it."""
    if isinstance(schema, list):
        return any(_repeats(part, inside) for part in schema)
    if not isinstance(schema, dict):
        return False
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return name in inside or any(_repeats(part, inside) for part in schema.values())


async def export_events(form: str, output: Path | None, app: str | None) -> int:
    """Write the whole catalogue in one of its forms. Returns the exit code."""
    registry = _registry(app)
    if form == "asyncapi":
        from tasker_temporal.sinks.asyncapi import asyncapi

        document: Any = asyncapi(registry, "Events of tasks", version())
    else:
        document = json_schema(registry) if form == "json-schema" else _plain(listed(registry))
    put(json.dumps(document, indent=2), output)
    return CLEAN


def _plain(catalogue: dict[str, Listed]) -> Any:
    return Catalogue.dump_python(catalogue, mode="json")


async def check_events(file: Path, as_json: bool, app: str | None) -> int:
    """Print what has changed since the catalogue in `file`. Returns the exit code: 1 if it breaks a reader."""
    try:
        old = Catalogue.validate_json(file.read_bytes())
    except ValidationError as error:
        raise WrongUse(f"file {str(file)!r} is no catalogue: expected what `tasker events export` writes") from error
    found = changes(old, listed(_registry(app)))
    breaking = sum(change.breaking for change in found)
    if as_json:
        screen().json({"breaking": breaking, "changes": [change._asdict() for change in found]})
    else:
        for change in found:
            click.echo(f"{'BREAKS  ' if change.breaking else 'changes '}{change.event}: {change.what}")
        click.echo(f"{len(found)} changes, {breaking} of them break those who read the events.")
    return FAILED if breaking else CLEAN


def _registry(app: str | None) -> EventRegistry:
    """The library's events, and those of the app's templates. Templates may share one, if they agree on it."""
    plugin = find_app(app, Path.cwd())
    own: dict[str, EventDefinition] = {}
    for template in plugin.templates.values() if plugin is not None else ():
        for event in template.custom_events:
            if own.setdefault(event.name, event.definition) != event.definition:
                raise WrongUse(f"event {event.name!r} is declared twice, and not alike: expected one declaration of it")
    try:
        return EventRegistry([*(EVENTS[name] for name in EVENTS), *own.values()])
    except EventError as error:
        raise WrongUse(str(error)) from error
