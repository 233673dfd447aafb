"""How a model of the core looks in YAML. Reading, writing and the JSON Schema follow it, so a new field needs nothing.

Rule 1: a field's name is its word, but for those in `WORDS`.
Rule 2: what must have a name is a mapping: `steps: {charge: {...}}`, not a list of things with a `name` inside.
Rule 3: what says the same in fewer words may be written short: `cart: validate_cart` for `cart: {step: validate_cart}`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

from tasker_temporal.core.task_types import TYPES, TaskType
from tasker_temporal.core.template import Argument, StepTemplate

WORDS: Final[Mapping[type[BaseModel], Mapping[str, str]]] = {StepTemplate: {"arguments": "takes"}}
"""The words that differ from the fields' names, because Python says it otherwise, in the handler's signature."""

NEVER_EMPTY: Final = frozenset({"on", "when", "match"})
"""Without them a step runs at once, so whoever left one empty has forgotten something."""

HANDLER: Final = "handler"
"""The one key of a step that is not part of the template: who runs it; the step's own name unless said."""

CONTEXT: Final = "context"
"""What a parameter takes that takes no step's result."""

NOTIFY: Final = "notify"
"""The key of an approval that names a registered function; the template keeps only that there is one."""

MARKERS: Final[Mapping[str, Mapping[str, str]]] = {
    "result_of": {"field": "step"},
    "failure_of": {"field": "step", "part": "failure"},
    "event_of": {"field": "event"},
}
"""What a parameter takes, in the words of Python: the field that they fill, and what else they say."""


@cache
def words(model: type[BaseModel]) -> Mapping[str, str]:
    """The model's fields by their words in YAML."""
    renamed = WORDS.get(model, {})
    return {renamed.get(name, name): name for name in model.model_fields}


def word(model: type[BaseModel], field: str) -> str:
    return WORDS.get(model, {}).get(field, field)


def bare(hint: Any) -> Any:
    """The type without Annotated and None."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    left = [part for part in get_args(hint) if part is not type(None)]
    return bare(left[0]) if len(left) == 1 else hint


def accepts_none(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint)


def model_of(hint: Any) -> type[BaseModel] | None:
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def models_of(hint: Any) -> tuple[type[BaseModel], ...]:
    """The models of a union; the first field of each tells it from the others."""
    if get_origin(hint) not in (Union, types.UnionType):
        return ()
    return tuple(model for part in get_args(hint) if (model := model_of(bare(part))) is not None)


def item_of(hint: Any) -> Any:
    """What a tuple of any length holds; None for every other type."""
    return get_args(hint)[0] if get_origin(hint) is tuple and get_args(hint)[1:] == (...,) else None


def named(hint: Any) -> type[BaseModel] | None:
    """The model of which the type is a sequence, if each must have a name: it is written as a mapping."""
    model = model_of(item_of(hint))
    return model if model is not None and "name" in model.model_fields and _is_required(model, "name") else None


def _is_required(model: type[BaseModel], field: str) -> bool:
    return model.model_fields[field].is_required()


def tells(model: type[BaseModel]) -> str:
    """The field that tells the model from the others of its union."""
    return next(iter(model.model_fields))


def long_form(model: type[BaseModel], short: str) -> dict[str, Any] | None:
    """What a single text stands for in the place of the model's mapping."""
    if model is Argument:
        return {} if short == CONTEXT else {"step": short}
    if model is TaskType and short in TYPES:
        return TYPES[short].model_dump(mode="json", exclude_defaults=True)
    return None


def short_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The texts that stand for something in the place of the model's mapping."""
    return tuple(TYPES) if model is TaskType else ()


def short_form(model: BaseModel, told: Mapping[str, Any]) -> Any:
    """The inverse of `long_form`: the model's mapping, `told`, in the fewest words."""
    if isinstance(model, TaskType) and TYPES.get(model.name) == model:
        return model.name
    if not isinstance(model, Argument):
        return dict(told)
    if not told or (set(told) == {"step"} and told["step"] != CONTEXT):
        return told.get("step", CONTEXT)
    return _marked(told)


def _marked(plain: Mapping[str, Any]) -> dict[str, Any]:
    part = plain.get("part")
    marker = next((word for word, says in MARKERS.items() if says["field"] in plain and says.get("part") == part), None)
    if marker is None:
        return dict(plain)
    rest = {key: value for key, value in plain.items() if key not in (MARKERS[marker]["field"], "part")}
    return {marker: plain[MARKERS[marker]["field"]], **rest}
