"""YAML text as nodes that know their place: YAML 1.2, no tags, and bounded whatever the text says.

Rule 1: nothing is built but text, numbers, true, false, null, lists and mappings with text as keys.
Rule 2: an alias costs what it stands for. The bounds hold after all of them are expanded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

TEXT_LIMIT: Final = 4 * 1024 * 1024
"""Bytes of one file: the server takes templates of 2 MB, which are shorter than their YAML."""
NODE_LIMIT: Final = 400_000
"""Nodes, aliases expanded."""
DEPTH_LIMIT: Final = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns begin with 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: text, a number, true, false or null."""

    place: Place
    value: Any
    text: str
    """As it was written, without quotes."""
    size: int = 1


@dataclass(slots=True)
class Sequence:
    place: Place
    items: list[Node] = field(default_factory=list)
    size: int = 1
    """Nodes, itself and all below it."""


@dataclass(slots=True)
class Mapping:
    place: Place
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    size: int = 1


Node = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """The text is not YAML as it is read here. `code` is one of the published codes."""

    def __init__(self, code: str, place: Place, message: str) -> None:
        super().__init__(message)
        self.code, self.place, self.message = code, place, message


Tell = Callable[[str, Place, str], None]
"""Takes a mistake after which reading goes on: code, place, message."""


def compose(text: str, tell: Tell) -> Node:
    """The only document of the text.

    Raises:
        Unreadable: there is none, or it breaks a bound or a rule that makes going on pointless.
    """
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_LIMIT:
        raise Unreadable("TT-Y003", Place(), f"it is larger than {TEXT_LIMIT:,} bytes")
    return _Composer(_events(text), tell).document()


def _events(text: str) -> Iterator[Event]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place() if mark is None else Place(mark.line + 1, mark.column + 1)
        told = " ".join(part for part in (error.context, error.problem) if part)
        raise Unreadable("TT-Y002", place, f"it is not YAML: {told}") from error
    except ReaderError as error:
        before = text[: error.position].splitlines() or [""]
        told = f"it is not YAML: the character #x{ord(text[error.position]):04x} is not allowed"
        raise Unreadable("TT-Y002", Place(len(before), len(before[-1]) + 1), told) from error
    except (YAMLError, ValueError) as error:
        raise Unreadable("TT-Y002", Place(), f"it is not YAML: {' '.join(str(error).split())}") from error


class _Composer:
    """Puts the events of one text together."""

    def __init__(self, events: Iterator[Event], tell: Tell) -> None:
        self._events, self._tell = events, tell
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._size = 0

    def document(self) -> Node:
        next(self._events)
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            raise Unreadable("TT-Y002", Place(), "it is empty: expected a template")
        if isinstance(start, DocumentStartEvent) and start.version not in (None, (1, 2)):
            raise Unreadable("TT-Y002", _place(start), "it asks for another version of YAML: expected 1.2")
        node = self._node(next(self._events), 0)
        next(self._events)
        following = next(self._events)
        if not isinstance(following, StreamEndEvent):
            raise Unreadable("TT-Y002", _place(following), "a second document begins: expected one template a file")
        return node

    def _node(self, event: Event, depth: int) -> Node:
        self._check_depth(depth, event)
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if (tag := getattr(event, "tag", None)) is not None:
            self._tell("TT-Y004", _place(event), f"the tag {tag} is not supported: expected a plain value")
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._open.add(anchor)
        node = self._new(event, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        return node

    def _new(self, event: Event, depth: int) -> Node:
        self._count(1, event)
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, depth)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, depth)
        assert isinstance(event, ScalarEvent)
        return Scalar(_place(event), _value(event), event.value)

    def _check_depth(self, depth: int, event: Event) -> None:
        if depth > DEPTH_LIMIT:
            raise Unreadable("TT-Y003", _place(event), f"it is nested deeper than {DEPTH_LIMIT} levels")

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        name = event.anchor
        if name in self._open:
            raise Unreadable("TT-Y003", _place(event), f"the alias *{name} stands inside of what it names")
        if name not in self._anchors:
            raise Unreadable("TT-Y002", _place(event), f"the alias *{name} names no anchor: expected &{name} before it")
        node = self._anchors[name]
        self._count(node.size, event)
        self._check_depth(depth + _height(node), event)
        return node

    def _count(self, nodes: int, event: Event) -> None:
        self._size += nodes
        if self._size > NODE_LIMIT:
            raise Unreadable("TT-Y003", _place(event), f"it has more than {NODE_LIMIT:,} values, aliases expanded")

    def _sequence(self, start: Event, depth: int) -> Sequence:
        made, before = Sequence(_place(start)), self._size
        while not isinstance(event := next(self._events), SequenceEndEvent):
            made.items.append(self._node(event, depth + 1))
        made.size = self._size - before + 1
        return made

    def _mapping(self, start: Event, depth: int) -> Mapping:
        made, before = Mapping(_place(start)), self._size
        while not isinstance(event := next(self._events), MappingEndEvent):
            key, place = self._node(event, depth + 1), _place(event)
            value = self._node(next(self._events), depth + 1)
            self._put(made, key, place, value)
        made.size = self._size - before + 1
        return made

    def _put(self, made: Mapping, key: Node, place: Place, value: Node) -> None:
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            said = key.text if isinstance(key, Scalar) else "a list or a mapping"
            self._tell("TT-Y006", place, f"the key {said} is no text: expected a text; put it in quotes")
        elif key.value in made.items:
            first = made.keys[key.value].line
            self._tell("TT-Y005", place, f"the key {key.value!r} stands twice: expected it once, as in line {first}")
        else:
            made.items[key.value], made.keys[key.value] = value, place


def _height(node: Node) -> int:
    below = node.items.values() if isinstance(node, Mapping) else node.items if isinstance(node, Sequence) else ()
    return 1 + max(map(_height, below), default=0)


def _place(event: Event) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


# The core schema of YAML 1.2: `on`, `yes` and dates are text.
_PLAIN: Final[tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...]] = (
    (re.compile(r"|~|null|Null|NULL"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?[0-9]{1,4000}"), int),
    (re.compile(r"0o[0-7]{1,4000}"), lambda text: int(text[2:], 8)),
    (re.compile(r"0x[0-9a-fA-F]{1,3000}"), lambda text: int(text[2:], 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)"), lambda text: float(text.replace(".", ""))),
    (re.compile(r"\.(nan|NaN|NAN)"), lambda _: float("nan")),
)


def _value(event: ScalarEvent) -> Any:
    """What the scalar means; in quotes it is text."""
    if not event.implicit[0]:
        return event.value
    return next((made(event.value) for plain, made in _PLAIN if plain.fullmatch(event.value)), event.value)


def plain_text_means(text: str) -> Any:
    """What the text means if it is written without quotes."""
    return next((made(text) for plain, made in _PLAIN if plain.fullmatch(text)), text)
