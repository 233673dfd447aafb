"""Writes a template as YAML, in the words in which it is read; what has its default is left out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from tasker_temporal.core.template import Template
from tasker_temporal.durations import duration_text
from tasker_temporal.yaml import shape
from tasker_temporal.yaml.nodes import plain_text_means

WIDTH = 120
ONE_LINE = 80
"""So many characters of a list stand on one line."""


NO_NAMES: Mapping[str, str] = {}


def write_template(
    template: Template, handlers: Mapping[str, str] = NO_NAMES, notifiers: Mapping[str, str] = NO_NAMES
) -> str:
    """The template as YAML. `read_template` gives a template of the same digest.

    Args:
        handlers: The names of the handlers that differ from their steps' own.
        notifiers: The names of those who are told of approvals, by step; under "" that of the task's own.
    """
    plain = plain_of(template, handlers, notifiers)
    writer = YAML(typ="rt", pure=True)
    writer.width, writer.default_flow_style, writer.allow_unicode = WIDTH, False, True
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    writer.dump(_styled(plain), out)
    return out.getvalue()


def plain_of(template: Template, handlers: Mapping[str, str], notifiers: Mapping[str, str]) -> dict[str, Any]:
    """The template in the shape of YAML."""
    plain: dict[str, Any] = _model(template)
    for step, name in handlers.items():
        plain["steps"][step] = {shape.HANDLER: name, **plain["steps"][step]}
    for step, name in notifiers.items():
        (plain["steps"][step] if step else plain)["approval"][shape.NOTIFY] = name
    return plain


def _model(model: BaseModel, *, without: str = "") -> Any:
    kind = type(model)
    told = {
        shape.word(kind, name): _value(getattr(model, name))
        for name, field in kind.model_fields.items()
        if name != without
        and (field.is_required() or getattr(model, name) != field.get_default(call_default_factory=True))
    }
    if "steps" in told:
        told["steps"] = told.pop("steps")
    return shape.short_form(model, told)


def _value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _model(value)
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, tuple):
        return _sequence(value)
    return to_jsonable_python(value)


def _sequence(values: tuple[Any, ...]) -> Any:
    if values and shape.named(tuple[type(values[0]), ...]) is not None:  # type: ignore[misc]
        return {value.name: _model(value, without="name") for value in values}
    return [_value(value) for value in values]


def _styled(plain: Any) -> Any:
    """Short lists on one line; quotes around texts that a reader of YAML could take for something else."""
    if isinstance(plain, dict):
        return {_styled(key): _styled(value) for key, value in plain.items()}
    if isinstance(plain, list):
        made = CommentedSeq(map(_styled, plain))
        if all(isinstance(item, str) for item in plain) and sum(map(len, plain)) < ONE_LINE:
            made.fa.set_flow_style()
        return made
    return DoubleQuotedScalarString(plain) if isinstance(plain, str) and _is_doubtful(plain) else plain


def _is_doubtful(text: str) -> bool:
    return not (isinstance(plain_text_means(text), str) and text.isprintable())
