"""What pydantic finds wrong with what somebody declared, in plain words: the same for Python and for YAML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tasker_temporal.durations import duration_text

EXPECTED: Final[Mapping[str, str]] = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "a text of at least {min_length} character",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "{pattern}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "is_instance_of": "{class}",
    "dataclass_type": "{class_name}",
    "dataclass_exact_type": "{class_name}",
    "model_type": "{class_name}(...)",
    "trigger_unknown": "one trigger, as completed(step)",
    **dict.fromkeys(["string_type", "string_sub_type", "string_unicode"], "a text"),
    **dict.fromkeys(["int_type", "int_parsing", "int_parsing_size", "int_from_float"], "a whole number"),
    **dict.fromkeys(["float_type", "float_parsing"], "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(["bool_type", "bool_parsing"], "true or false"),
    **dict.fromkeys(["time_delta_type", "time_delta_parsing"], "a timedelta, as timedelta(seconds=30)"),
    **dict.fromkeys(["tuple_type", "list_type", "iterable_type", "sequence_str", "is-sequence"], "a list"),
    **dict.fromkeys(["dict_type", "mapping_type"], "a mapping"),
    **dict.fromkeys(["bytes_type", "bytes_invalid_encoding"], "bytes"),
    "bytes_too_short": "at least {min_length} byte",
    "callable_type": "a function",
    "none_required": "None",
    "recursion_loop": "a value that is not part of itself",
}
"""What was expected, by the kind of what pydantic found wrong."""

IN_WORDS: Final = {"^[a-z][a-z0-9_]*$": "lower-case letters, digits and '_', a letter first", "Sequence": "a list"}
"""What was expected, as people would say it."""

SHOWN: Final = 80
"""Characters of a wrong value that are told."""


def told(
    error: ValidationError, model: type[BaseModel], said: Mapping[str, Any], *, is_secret: bool = False
) -> list[str]:
    """Every mistake in what was said to the model, as a sentence about "it".

    Args:
        is_secret: No value may be told.
    """
    single = _single_mistakes(said, model)
    found = (problem for problem in problems(error) if not set(problem["loc"][:1]) & single.keys())
    return [*single.values(), *(_sentence(problem, model, is_secret) for problem in found)]


def problems(error: ValidationError) -> list[Any]:
    """What pydantic tells, each mistake once: not of a list that it is too short because its items are wrong, nor of
    each type that a value could have had."""
    found: list[dict[str, Any]] = [
        {**problem, "loc": _way(problem["loc"])} for problem in error.errors(include_url=False)
    ]
    deeper = {problem["loc"][:place] for problem in found for place in range(len(problem["loc"]))}
    return list({problem["loc"]: problem for problem in found if problem["loc"] not in deeper}.values())


def predicate(problem: Any, *, is_secret: bool = False) -> str:
    """What is said of the wrong value: "is 0: expected at least 1"."""
    value = problem["input"]
    said = f"is of type {type(value).__name__}" if is_secret and not _is_empty(value) else f"is {shown(value)}"
    if problem["type"] == "value_error":
        return f"{said}: {problem['ctx']['error']}"
    context = problem.get("ctx", {})
    # What is not in the table is no part of any model here; pydantic's own phrases name neither the thing nor the way.
    kind = "string_too_short" if problem["type"] == "too_short" and isinstance(value, str) else problem["type"]
    expected = EXPECTED.get(kind, "another value").format_map(context)
    known = re.findall("'([^']*)'", context.get("expected", ""))
    guess = meant(value, known) if isinstance(value, str) else ""
    return f"{said}: expected {IN_WORDS.get(expected, expected)}{guess}"


def _is_empty(value: Any) -> bool:
    return isinstance(value, (str, bytes, list, tuple)) and not value


def shown(value: Any) -> str:
    """The value, in a few characters."""
    if isinstance(value, timedelta):
        return duration_text(value) if value >= timedelta(0) else f"-{duration_text(-value)}"
    if _is_empty(value):
        return "empty"
    if isinstance(value, BaseModel):
        return f"{type(value).__name__}(...)"
    text = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def meant(wrong: str, known: Iterable[str]) -> str:
    """A guess at the name that was meant, as the end of a sentence."""
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.65)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown_option(name: str, known: Sequence[str]) -> str:
    """Says that there is no such option, and which was meant."""
    expected = meant(name, known) or f": expected one of {', '.join(known)}"
    return f"has no option {name!r}{expected}"


def hint_mistakes(what: str, hint: Any) -> list[str]:
    """What nothing could be validated against. A text would be looked up as a name, and found or not."""
    if isinstance(hint, str):
        return [f"{what} is {hint!r}: expected the type itself, not its name"]
    is_type = hint is None or isinstance(hint, type) or get_origin(hint) is not None
    if is_type or type(hint).__module__ in ("typing", "typing_extensions"):
        return []
    return [f"{what} is {shown(hint)}: expected a type"]


def _single_mistakes(said: Mapping[str, Any], model: type[BaseModel]) -> dict[str, str]:
    """One value in the place of a list of them, by its option. pydantic would take its fields for the list's items."""
    return {
        name: f"its {name} is one {type(value).__name__}: expected a list, as {name}=[...]"
        for name, value in said.items()
        if isinstance(value, BaseModel) and name in model.model_fields and _is_listed(model, name)
    }


def _is_listed(model: type[BaseModel], name: str) -> bool:
    return get_origin(model.model_fields[name].annotation) is tuple


def _sentence(problem: Any, model: type[BaseModel], is_secret: bool) -> str:
    way = tuple(part for part in problem["loc"] if part != "[key]")
    whose = f"its {_path(way[:-1])}" if way[:-1] else "it"
    if problem["type"] == "missing":
        return f"{whose} lacks the option {way[-1]!r}"
    if problem["type"] == "extra_forbidden":
        owner = _model_at(model, way[:-1])
        return f"{whose} {unknown_option(str(way[-1]), list(owner.model_fields))}"
    if problem["type"] == "invalid_key" or problem["loc"][-1:] == ("[key]",):
        return f"{whose} has the key {way[-1]!r}: expected a text"
    field = model.model_fields.get(str(way[0])) if way else None
    # What is not to be printed may be a secret.
    is_secret = is_secret or (field is not None and not field.repr)
    return f"{f'its {_path(way)}' if way else 'it'} {predicate(problem, is_secret=is_secret)}"


def _way(loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """The fields and places that lead to a value, without the names of the types that it could have had."""
    return tuple(part for part in loc if isinstance(part, int) or (FIELD.fullmatch(part) and part not in TYPES))


FIELD: Final = re.compile(r"\w+|\[key\]")
TYPES: Final = ("str", "int", "float", "bool")


def _path(way: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in way)
    return text.removeprefix(".")


def _model_at(model: type[BaseModel], way: Sequence[str | int]) -> type[BaseModel]:
    for part in way:
        if part in model.model_fields:
            model = next(_models_in(model.model_fields[str(part)].annotation), model)
    return model


def _models_in(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for part in get_args(hint):
        yield from _models_in(part)
