"""What a new catalogue of events changes of an old one, and whether readers of the old one can live with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tasker_temporal.catalogue.plain import Listed


class Change(NamedTuple):
    """One difference. A `breaking` one fails readers of the old catalogue, unless the event's version rose with it."""

    event: str
    what: str
    breaking: bool


def changes(old: Mapping[str, Listed], new: Mapping[str, Listed]) -> list[Change]:
    """Every difference, by event: first what went, then what changed, then what came."""
    gone = [Change(name, "is gone", True) for name in old if name not in new]
    changed = [change for name in old if name in new for change in _changed(old[name], new[name])]
    return [*gone, *changed, *(Change(name, "is new", False) for name in new if name not in old)]


def _changed(old: Listed, new: Listed) -> Iterator[Change]:
    if new.version < old.version:
        yield Change(new.name, f"its version fell from {old.version} to {new.version}", True)
    raised = new.version > old.version
    if raised:
        yield Change(new.name, f"its version rose from {old.version} to {new.version}", False)
    if old.row and not new.row:
        yield Change(new.name, "it is no row of the audit any more", not raised)
    for what, breaking in _fields("", old.payload, old.payload, new.payload, new.payload):
        yield Change(new.name, what, breaking and not raised)


def _fields(place: str, old: Any, whole: Any, new: Any, other: Any) -> Iterator[tuple[str, bool]]:
    """Compare two schemas; references are looked up in the `whole` documents that they stand in."""
    old, new = _resolved(old, whole), _resolved(new, other)
    if _kind(old) != _kind(new):
        yield f"{place or 'its payload'} was {_kind(old)}, and is {_kind(new)}", True
        return
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before:
        field = f"{place}.{name}" if place else name
        if name not in after:
            yield f"{field} is gone", True
            continue
        if name in old.get("required", ()) and name not in new.get("required", ()):
            yield f"{field} may be missing now", True
        yield from _fields(field, before[name], whole, after[name], other)
    yield from ((f"{f'{place}.{name}' if place else name} is new", False) for name in after if name not in before)
    if "items" in old and "items" in new:
        yield from _fields(f"{place}[]", old["items"], whole, new["items"], other)
    gone, come = (
        set(map(str, a.get("enum", ()))) - set(map(str, b.get("enum", ()))) for a, b in ((old, new), (new, old))
    )
    if come:
        yield f"{place} can be {', '.join(sorted(come))} too", False
    if gone:
        yield f"{place} is never {', '.join(sorted(gone))} any more", False


def _resolved(schema: Any, whole: Any) -> dict[str, Any]:
    while isinstance(schema, dict) and "$ref" in schema:
        schema = whole.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
    return schema if isinstance(schema, dict) else {}


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(sorted(str(part.get("type") or part.get("$ref", "anything")) for part in schema["anyOf"]))
    return str(schema.get("type", "anything"))
