"""The JSON Schema of a template in YAML, for editors: made of the core's models, by the rules of `shape`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.resources import files
from typing import Any, Final

from pydantic import BaseModel

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.mistakes import NAME_LIMIT, STEP_NAME
from tasker_temporal.core.task_types import TaskType
from tasker_temporal.core.template import Argument, StepTemplate, Template
from tasker_temporal.durations import ISO, SIMPLE, duration_text
from tasker_temporal.yaml import shape

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
DURATION: Final = "duration"


def json_schema() -> dict[str, Any]:
    """What a template in YAML looks like. Beyond it, `from_yaml` also checks names, graph and handlers."""
    models = list(dict.fromkeys(_models(Template)))
    raw = Template.model_json_schema()
    shapes = raw["$defs"] | {Template.__name__: raw}
    defs = {model.__name__: _model(model, shapes[model.__name__]) for model in models}
    whole = defs.pop(Template.__name__)
    return {
        "$schema": DRAFT,
        "title": "A task template of tasker_temporal",
        **whole,
        "$defs": defs | {DURATION: _duration()},
    }


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model, and those that it is made of. A trigger is made of triggers."""
    found, left = [model], [model]
    while left:
        for field in left.pop().model_fields.values():
            bare = shape.bare(field.annotation)
            inner = shape.bare(shape.item_of(bare) or bare)
            new = [m for m in (shape.model_of(inner), *shape.models_of(inner)) if m is not None and m not in found]
            found, left = [*found, *new], [*left, *new]
    yield from found


def _by_names() -> set[type[BaseModel]]:
    """The models whose name is the key that they stand under."""
    hints = (field.annotation for model in _models(Template) for field in model.model_fields.values())
    return {model for hint in hints if (model := shape.named(shape.bare(hint))) is not None}


def _model(model: type[BaseModel], raw: Mapping[str, Any]) -> dict[str, Any]:
    is_named = model in _by_names()
    said = field_docs(model)
    properties = {
        word: _property(model, field, raw["properties"][field], said.get(field, ""))
        for word, field in shape.words(model).items()
        if not (is_named and field == "name")
    }
    required = [name for name in raw.get("required", ()) if name in properties]
    made: dict[str, Any] = {"type": "object", "description": _line(model.__doc__), "properties": properties}
    made["additionalProperties"] = False
    if required:
        made["required"] = required
    return EXTRAS[model](made) if model in EXTRAS else made


def _property(model: type[BaseModel], field: str, raw: Mapping[str, Any], said: str) -> dict[str, Any]:
    info = model.model_fields[field]
    made = _of(info.annotation, raw)
    if field in shape.NEVER_EMPTY:
        made = _filled(made)
    default = info.get_default(call_default_factory=True)
    if isinstance(default, timedelta):
        made["default"] = duration_text(default)
    elif default not in (None, (), {}, "") and isinstance(default, (str, int, float, bool)):
        made["default"] = default
    return {"description": said, **made} if said else made


def _filled(made: dict[str, Any]) -> dict[str, Any]:
    """Without null, and without a text that says nothing."""
    if "anyOf" in made:
        return {**made, "anyOf": [kind for kind in made["anyOf"] if kind != {"type": "null"}]}
    return {**made, "minLength": 1}


def _of(hint: Any, raw: Mapping[str, Any]) -> dict[str, Any]:
    bare = shape.bare(hint)
    plain = {key: value for key, value in raw.items() if key not in ("title", "default")}
    if bare is timedelta:
        duration = {"$ref": f"#/$defs/{DURATION}"}
        return {"anyOf": [duration, {"type": "null"}]} if shape.accepts_none(hint) else duration
    if (named := shape.named(bare)) is not None:
        return _by_name(named)
    if shape.models_of(bare):
        kinds = [{"$ref": f"#/$defs/{model.__name__}"} for model in shape.models_of(bare)]
        return {"anyOf": [*kinds, *([{"type": "null"}] if shape.accepts_none(hint) else [])]}
    if shape.item_of(bare) is not None:
        item = _of(shape.item_of(bare), plain["items"])
        return {"anyOf": [{**plain, "items": item}, item]}
    return plain


def _by_name(model: type[BaseModel]) -> dict[str, Any]:
    item = {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"}, {"type": "null"}]}
    made: dict[str, Any] = {"type": "object", "additionalProperties": item}
    if model is StepTemplate:
        made["propertyNames"] = {"pattern": f"^{STEP_NAME.pattern}$", "maxLength": NAME_LIMIT}
    return made


def _step(made: dict[str, Any]) -> dict[str, Any]:
    handler = {"type": "string", "description": "The name of its registered handler; the step's own unless said."}
    return made | {"properties": {shape.HANDLER: handler, **made["properties"]}}


def _argument(made: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    markers = {word: text | {"description": said} for word, said in MARKERS.items()}
    said = "`context`, or the step whose result the parameter takes."
    return {"anyOf": [text | {"description": said}, made | {"properties": markers | made["properties"]}]}


MARKERS: Final = {
    "result_of": "The step whose result it takes.",
    "failure_of": "The step whose failure it takes.",
    "event_of": "The event whose payload it takes.",
}


def _approval(made: dict[str, Any]) -> dict[str, Any]:
    said = "The name of the registered function that is told when it is opened, escalated and decided."
    notify = {"description": said, "anyOf": [{"type": "string"}, {"type": "boolean"}]}
    return made | {"properties": {**made["properties"], shape.NOTIFY: notify}}


def _task_type(made: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [{"enum": list(shape.short_names(TaskType))}, made]}


EXTRAS: Final = {StepTemplate: _step, Argument: _argument, Approval: _approval, TaskType: _task_type}
"""What the file has beside the model."""


def _duration() -> dict[str, Any]:
    iso = re.sub(r"\?P<\w>", "", ISO.pattern)
    pattern = f"^(?:{SIMPLE.pattern}|(?=P.*[0-9])(?:{iso}))$"
    return {
        "description": "90s, 1m30s, 1.5h, 2d or PT30S; a bare number is seconds.",
        "anyOf": [{"type": "string", "pattern": pattern}, {"type": "number", "minimum": 0}],
        "examples": ["30s", "10m", "1h30m"],
    }


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings that stand under the fields of a model."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__[:-1]):
        if issubclass(owner, BaseModel) and owner is not BaseModel:
            text = inspect.getsource(owner)
            found |= dict(re.findall(r'^    (\w+):[^\n]*\n    """(.*?)"""', text, re.MULTILINE | re.DOTALL))
    return {name: " ".join(said.split()) for name, said in found.items()}


def _line(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


PUBLISHED: Final = "tasker.schema.json"
"""The file beside this module: what is published is what was made of the models when it was built."""


def published_schema() -> str:
    """The JSON Schema as text."""
    return files(__package__).joinpath(PUBLISHED).read_text(encoding="utf-8")


def schema_text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"
