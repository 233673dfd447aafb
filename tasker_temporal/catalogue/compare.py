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
    for what, breaking in _Comparison(old.payload, new.payload).fields("", old.payload, new.payload):
        yield Change(new.name, what, breaking and not raised)


class _Comparison:
    """Compares two documents, in which schemas may refer to others, and to themselves."""

    def __init__(self, old: Any, new: Any) -> None:
        self._old, self._new = old, new
        self._inside: list[tuple[str, str]] = []

    def fields(self, place: str, old: Any, new: Any) -> Iterator[tuple[str, bool]]:
        """What has changed at this place, and below it."""
        names = _name(old), _name(new)
        if not any(names):
            yield from self._below(place, old, new)
        elif names not in self._inside:
            self._inside.append(names)
            yield from self._below(place, old, new)
            self._inside.pop()

    def _below(self, place: str, old: Any, new: Any) -> Iterator[tuple[str, bool]]:
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        if _kind(old) != _kind(new):
            yield f"{place or 'its payload'} was {_kind(old)}, and is {_kind(new)}", True
            return
        yield from self._properties(place, old, new)
        for below, before, after in _parts(old, new):
            yield from self.fields(f"{place}{below}", before, after)
        yield from _values(place, _enum(old), _enum(new))

    def _properties(self, place: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            field = f"{place}.{name}" if place else name
            if name not in after:
                yield f"{field} is gone", True
                continue
            if name in old.get("required", ()) and name not in new.get("required", ()):
                yield f"{field} may be missing now", True
            yield from self.fields(field, before[name], after[name])
        yield from ((f"{f'{place}.{name}' if place else name} is new", False) for name in after if name not in before)


def _parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The schemas within two of one kind that are of no field: of items, of values, of what it may be instead."""
    for key, below in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            yield below, old[key], new[key]
    for number, (before, after) in enumerate(zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)):
        yield f"[{number}]", before, after
    others = {_said(part): part for part in _choices(new)}
    yield from (("", part, others[_said(part)]) for part in _choices(old))


def _values(place: str, old: set[str], new: set[str]) -> Iterator[tuple[str, bool]]:
    if come := new - old:
        yield f"{place} can be {', '.join(sorted(come))} too", False
    if gone := old - new:
        yield f"{place} is never {', '.join(sorted(gone))} any more", False


def _enum(schema: Mapping[str, Any]) -> set[str]:
    return set(map(str, schema.get("enum", [schema["const"]] if "const" in schema else ())))


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = schema.get("anyOf") or schema.get("oneOf") or []
    return found


def _name(schema: Any) -> str:
    """That of the definition that it refers to."""
    return str(schema.get("$ref", "")).rpartition("/")[2] if isinstance(schema, dict) else ""


def _resolved(schema: Any, whole: Any) -> dict[str, Any]:
    while isinstance(schema, dict) and "$ref" in schema:
        schema = whole.get("$defs", {}).get(schema["$ref"].rpartition("/")[2], {})
    return schema if isinstance(schema, dict) else {}


def _kind(schema: Mapping[str, Any]) -> str:
    if choices := _choices(schema):
        return " or ".join(sorted(map(_said, choices)))
    if "prefixItems" in schema:
        return f"{len(schema['prefixItems'])} items"
    return str(schema.get("type", "anything"))


def _said(part: Any) -> str:
    """One choice: two of one kind are told apart by the names of their definitions."""
    return _name(part) or _kind(part)
