"""A template's YAML as the plain data that its model validates, with the place of each value."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.template import Argument, StepTemplate, Template
from tasker_temporal.core.wording import meant
from tasker_temporal.durations import parse_duration
from tasker_temporal.yaml import shape
from tasker_temporal.yaml.nodes import Mapping, Node, Place, Scalar, Sequence, Unreadable, compose
from tasker_temporal.yaml.places import Loc, Places
from tasker_temporal.yaml.source import Source

NOT_GIVEN: Final = object()
"""Stands for a value that was refused already."""

KINDS: Final[dict[Any, tuple[str, Callable[[Any], bool]]]] = {
    str: ("a text", lambda value: isinstance(value, str)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: ("a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
}
"""What a scalar of each type must be: YAML's texts are never read as numbers, nor numbers as texts."""


class Document:
    """A template in YAML, read.

    Attributes:
        source: The file, and all problems that were found.
        places: Where it all stands.
        plain: What the template's model validates.
        handlers: The names of the handlers that differ from their steps' own.
        notifiers: The names of those who are told of approvals, by step; under "" that of the task's own.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.handlers: dict[str, str] = {}
        self.notifiers: dict[str, str] = {}
        self.places = Places()
        self.plain: dict[str, Any] = {}

    def read(self) -> None:
        """Read the text. What is wrong is told to the source."""
        try:
            node = compose(self.source.text, self.source.tell)
        except Unreadable as error:
            self.source.tell(error.code, error.place, error.message)
            return
        self.places.root = node
        plain = self._model(node, Template, (), "the template")
        self.plain = plain if isinstance(plain, dict) else {}

    # By the kinds of types.

    def _read(self, node: Node, hint: Any, loc: Loc, what: str) -> Any:
        self.places.known[loc] = node.place
        bare = shape.bare(hint)
        if isinstance(node, Scalar) and node.value is None and shape.accepts_none(hint):
            return None
        if (model := shape.model_of(bare)) is not None:
            return self._model(node, model, loc, what)
        if models := shape.models_of(bare):
            return self._one_of(node, models, loc, what)
        if (model := shape.named(bare)) is not None:
            return self._named(node, model, loc, what)
        if (item := shape.item_of(bare)) is not None:
            return self._items(node, item, loc, what)
        return self._duration(node, what) if bare is timedelta else self._value(node, bare, what)

    def _refuse(self, code: str, place: Place, message: str) -> Any:
        self.source.tell(code, place, message)
        return NOT_GIVEN

    def _model(self, node: Node, model: type[BaseModel], loc: Loc, what: str, name: str | None = None) -> Any:
        if isinstance(node, Scalar) and node.value is None and name is not None:
            return {}
        if isinstance(node, Scalar) and isinstance(node.value, str):
            known = shape.long_form(model, node.value)
            if known is not None:
                return known
        if not isinstance(node, Mapping):
            return self._refuse("TT-Y011", node.place, f"{what} is {_said(node)}: {_expected(model, node)}")
        if model is Argument:
            node = _unmarked(node)
        if model is Approval:
            node = self._notified(node, loc)
        found: dict[str, Any] = {}
        for word, value in node.items.items():
            field = self._field(model, word, node.keys[word], what, name)
            if field is None:
                continue
            told = f"{word!r} of {what}" if model is not Template else f"{word!r}"
            if field in shape.NEVER_EMPTY and isinstance(value, Scalar) and value.value in (None, ""):
                self._refuse("TT-Y011", node.keys[word], f"{told} is empty: expected a value, or no key {word!r}")
                continue
            read = self._read(value, model.model_fields[field].annotation, (*loc, field), told)
            if read is not NOT_GIVEN:
                found[field] = read
            else:
                self.places.refused.add((*loc, field))
        return found

    def _field(self, model: type[BaseModel], word: str, place: Place, what: str, name: str | None) -> str | None:
        """The field that a key names."""
        words = {key: field for key, field in shape.words(model).items() if name is None or field != "name"}
        if word in words:
            return words[word]
        known = [*words, *([shape.HANDLER] if model is StepTemplate else []), *_markers(model)]
        hint = meant(word, known) or f": expected one of {', '.join(known)}"
        self.source.tell("TT-Y010", place, f"{what} has an unknown key {word!r}{hint}")
        return None

    def _one_of(self, node: Node, models: tuple[type[BaseModel], ...], loc: Loc, what: str) -> Any:
        known = {shape.tells(model): model for model in models}
        if not isinstance(node, Mapping):
            expected = f"expected a mapping with one of {', '.join(known)}"
            return self._refuse("TT-Y011", node.place, f"{what} is {_said(node)}: {expected}")
        told = [word for word in node.items if word in known]
        if not node.items:
            return self._refuse("TT-Y011", node.place, f"{what} is empty: expected one of {', '.join(known)}")
        if len(told) > 1:
            expected = "expected one of them, or both in all_of or any_of"
            return self._refuse("TT-Y010", node.keys[told[1]], f"{what} says {told[0]!r} and {told[1]!r}: {expected}")
        if not told:
            wrong = next(iter(node.items))
            hint = meant(wrong, known) or f": expected one of {', '.join(known)}"
            return self._refuse("TT-Y010", node.place, f"{what} has an unknown key {wrong!r}{hint}")
        return self._model(node, known[told[0]], loc, what)

    def _named(self, node: Node, model: type[BaseModel], loc: Loc, what: str) -> Any:
        if not isinstance(node, Mapping):
            return self._refuse("TT-Y011", node.place, f"{what} is {_said(node)}: expected a mapping by name")
        found: list[dict[str, Any]] = []
        for name, value in node.items.items():
            told = f"step {name!r}" if model is StepTemplate else f"{name!r} of {what}"
            if model is StepTemplate:
                value = self._step(name, node.keys[name], value)
            here = (*loc, len(found))
            self.places.known[here] = self.places.known[*here, "name"] = node.keys[name]
            read = self._model(value, model, here, told, name)
            found.append({"name": name} if read is NOT_GIVEN else {"name": name, **read})
        return found

    def _step(self, name: str, place: Place, node: Node) -> Node:
        """Take out what is not part of the template."""
        self.places.steps[name], self.places.known["step", name] = node, place
        self.places.names.append(name)
        if not isinstance(node, Mapping) or shape.HANDLER not in node.items:
            return node
        left = {word: value for word, value in node.items.items() if word != shape.HANDLER}
        handler = self._value(node.items[shape.HANDLER], str, f"'handler' of step {name!r}")
        if handler is not NOT_GIVEN:
            self.handlers[name] = handler
        return Mapping(node.place, left, node.keys, node.size)

    def _notified(self, node: Mapping, loc: Loc) -> Mapping:
        """Take out who is told of the approval: the template keeps only that somebody is."""
        said = node.items.get(shape.NOTIFY)
        if not isinstance(said, Scalar) or not isinstance(said.value, str):
            return node
        step = self.places.names[loc[1]] if loc[0] == "steps" and isinstance(loc[1], int) else ""
        self.notifiers[step] = said.value
        return Mapping(node.place, {**node.items, shape.NOTIFY: Scalar(said.place, True, "true")}, node.keys, node.size)

    def _items(self, node: Node, item: Any, loc: Loc, what: str) -> Any:
        """A single value is a list of one."""
        if isinstance(node, Scalar) and node.value is None:
            return self._refuse("TT-Y011", node.place, f"{what} has no value: expected a list")
        nodes = node.items if isinstance(node, Sequence) else [node]
        read = [
            self._read(each, item, (*loc, number), f"an item of {what}" if isinstance(node, Sequence) else what)
            for number, each in enumerate(nodes)
        ]
        self.places.refused |= {(*loc, number) for number, each in enumerate(read) if each is NOT_GIVEN}
        return [each for each in read if each is not NOT_GIVEN]

    def _duration(self, node: Node, what: str) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, (str, int, float)) and not isinstance(node.value, bool):
            try:
                return parse_duration(node.text)
            except ValueError as error:
                return self._refuse("TT-Y013", node.place, f"{what}: {error}")
        return self._refuse("TT-Y013", node.place, f"{what} is {_said(node)}: expected a duration, like 30s or 1h30m")

    def _value(self, node: Node, hint: Any, what: str) -> Any:
        kind = _kind(hint)
        value = self._plain(node)
        if kind is None:
            return value
        expected, fits = kind
        if fits(value):
            return value
        quoted = "; put it in quotes" if expected == "a text" and isinstance(node, Scalar) and node.text else ""
        return self._refuse("TT-Y011", node.place, f"{what} is {_said(node)}: expected {expected}{quoted}")

    def _plain(self, node: Node) -> Any:
        """Any JSON."""
        if isinstance(node, Mapping):
            return {key: self._plain(value) for key, value in node.items.items()}
        if isinstance(node, Sequence):
            return [self._plain(item) for item in node.items]
        if isinstance(node.value, float) and not math.isfinite(node.value):
            self.source.tell("TT-Y012", node.place, f"{node.text} is no number that JSON has: expected a finite one")
            return None
        return node.value


def _kind(hint: Any) -> tuple[str, Callable[[Any], bool]] | None:
    if get_origin(hint) is Literal:
        return KINDS[str] if all(isinstance(value, str) for value in get_args(hint)) else None
    if get_origin(hint) is dict or hint is dict:
        return "a mapping", lambda value: isinstance(value, dict)
    return KINDS.get(hint)


def _expected(model: type[BaseModel], node: Node) -> str:
    known = shape.short_names(model)
    if not known:
        return "expected a mapping of its keys"
    guess = meant(str(node.value), known) if isinstance(node, Scalar) else ""
    return f"expected {', '.join(known)}, or a mapping of its keys{guess}"


def _said(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "empty" if node.value is None else repr(node.value)


def _markers(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(shape.MARKERS) if model is Argument else ()


def _unmarked(node: Mapping) -> Mapping:
    """What a parameter takes, by the fields of its model."""
    items, keys = {}, {}
    for word, value in node.items.items():
        says = shape.MARKERS.get(word, {"field": word})
        items[says["field"]], keys[says["field"]] = value, node.keys[word]
        if "part" in says:
            items["part"], keys["part"] = Scalar(node.keys[word], says["part"], says["part"]), node.keys[word]
    return Mapping(node.place, items, keys, node.size)
