"""Conditions: expressions in CEL that are checked when a template is built, and say yes or no while it runs.

CEL has no loops without end, no clock and no chance; the library behind it ends an evaluation after 10,000 steps of its
macros, and refuses what is nested more than 32 deep. What is left to bound here is how much is read, and what would
differ from worker to worker: the order of a map's keys, which `loops` fixes, and time zones, which are refused. What a
zone's name means stands in a database of the machine, and changes with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from tasker_temporal.core import loops
from tasker_temporal.core.syntax import unreadable
from tasker_temporal.core.task_types import WORDS
from tasker_temporal.errors import ConditionError, ConditionsUnavailable

LENGTH_LIMIT: Final = 2_000
"""Characters of one expression."""
DATA_LIMIT: Final = 256 * 1024
"""Bytes of JSON that one evaluation may read."""

Kind = Literal["bool", "number", "string", "list", "any"]
"""What is known of a variable. Numbers are of one kind: JSON does not tell 1 from 1.0, and CEL compares both."""

ROOTS: Final = ("context", "result", "failure", "event")
NUMBERS: Final = {"int", "uint", "double"}

ZONED: Final = {
    "getFullYear": "timestamp_to_year_with_tz",
    "getMonth": "timestamp_to_month_with_tz",
    "getDayOfYear": "timestamp_to_day_of_year_with_tz",
    "getDayOfMonth": "timestamp_to_day_of_month_with_tz",
    "getDate": "timestamp_to_day_of_month_1_based_with_tz",
    "getDayOfWeek": "timestamp_to_day_of_week_with_tz",
    "getHours": "timestamp_to_hours_with_tz",
    "getMinutes": "timestamp_to_minutes_with_tz",
    "getSeconds": "timestamp_to_seconds_tz",
    "getMilliseconds": "timestamp_to_milliseconds_with_tz",
}
"""The functions that take a time zone, each with the name of the overload that does."""

_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_BY_KEY = re.compile(r"\b(result|failure)\s*\[\s*[\"']([\w-]+)[\"']\s*\]")
_RESULTS = re.compile(r"\bresult\s*(?:\.\s*(\w+)|\[\s*[\"']([\w-]+)[\"']\s*\])")
_WORDS = re.compile(r"\w+")
_MEMBERS = re.compile(r"\b(\w+)(?=\s*(?:\.\s*(\w+)|\[\s*[\"']([\w-]+)[\"']\s*\]))")
_UNZONED = re.compile(rf"'({'|'.join(ZONED)})'")
_APPLIED = re.compile(r"applied to '\((.*)\)'")


@lru_cache(maxsize=1)
def _cel() -> Any:
    """The library, which has no wheels for every system. Whoever has no conditions does without it.

    Raises:
        ConditionsUnavailable: it is not installed, or does not load.
    """
    try:
        from cel_expr_python import cel  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConditionsUnavailable(str(error)) from error
    return cel


@lru_cache(maxsize=1)
def _types() -> Mapping[Kind, Any]:
    known = _cel().Type
    of_list = known.List(known.DYN)
    return {"bool": known.BOOL, "number": known.INT, "string": known.STRING, "list": of_list, "any": known.DYN}


def mistakes(expression: str, variables: Mapping[str, Kind]) -> list[str]:
    """What is wrong with the expression, each in a sentence; nothing if it can be evaluated.

    Args:
        variables: All that it may name, by dotted path: `context` and `result.charge` as far as nothing is known of
            their fields, else `context.total`.
    """
    if not expression.strip():
        return ["it is empty: expected an expression that is true or false"]
    if len(expression) > LENGTH_LIMIT:
        return [f"it has {len(expression)} characters: at most {LENGTH_LIMIT} are evaluated"]
    keyed = [f"{root}.{name}" for root, name in _BY_KEY.findall(expression)]
    known = {
        variable.split(".")[0] if variable.startswith(("context", "event")) else ".".join(variable.split(".")[:2])
        for variable in variables
    }
    if unknown := [name for name in keyed if name not in known]:
        return [f"it names {unknown[0]!r}: expected one of {sorted(known)}"]
    loose = dict.fromkeys(known, _cel().Type.DYN) | {name.split(".")[0]: _cel().Type.DYN for name in keyed}
    found = _said(expression, loose)
    if isinstance(found, list):
        return [_explained(line, sorted(known)) for line in found]
    if wrong := list(_value_mistakes(found)):
        return wrong
    return list(_type_mistakes(expression, variables, keyed))


def _said(expression: str, variables: Mapping[str, Any]) -> Any:
    """The compiled expression, or the lines of what the compiler says."""
    try:
        return _cel().NewEnv(config=_without_zones(), variables=dict(variables)).compile(expression)
    except RuntimeError as error:
        if (told := unreadable(expression, str(error))) is not None:
            return [told]
        text = re.sub(r"\n \|.*", "", str(error)).replace(" (in container '')", "").replace(" [INVALID_ARGUMENT]", "")
        return [re.sub(r"^(\w+: )?(ERROR: <input>:\d+:\d+: )?", "", line) for line in text.splitlines() if line]


@lru_cache(maxsize=1)
def _without_zones() -> Any:
    left_out = [{"name": name, "overloads": [{"id": overload}]} for name, overload in ZONED.items()]
    return _cel().NewEnvConfigFromYaml(json.dumps({"stdlib": {"exclude_functions": left_out}}))


def _explained(line: str, known: Sequence[str]) -> str:
    if found := _UNZONED.search(line):
        return (
            f"{found[1]} is asked for a time zone, which another machine may know otherwise: expected {found[1]}() "
            "of a time that is shifted, as in (timestamp(t) + duration('2h')).getHours()"
        )
    return f"{line}: expected one of {list(known)}" if line.startswith("undeclared") else line


def _value_mistakes(compiled: Any) -> Iterator[str]:
    if compiled.return_type() not in (_cel().Type.BOOL, _cel().Type.DYN):
        name = compiled.return_type().name().lower()
        yield f"it is {'a number' if name in NUMBERS else f'a {name}'}: expected true or false"


def _without_text(expression: str) -> str:
    """The expression, as long as it is, with nothing in its string literals."""
    return _TEXT.sub(lambda found: "'" + "_" * (len(found[0]) - 2) + "'", expression)


def _closing(text: str, start: int) -> int:
    """Behind the parenthesis that closes the one before `start`."""
    depth, place = 1, start
    while depth and place < len(text):  # A comment may hold any parentheses.
        depth += (text[place] == "(") - (text[place] == ")")
        place += 1
    return place


def _type_mistakes(expression: str, variables: Mapping[str, Kind], keyed: Sequence[str]) -> Iterator[str]:
    """Fields that their model does not have, and operators that do not fit."""
    types = _types()
    typed = {name: types[kind] for name, kind in variables.items()}
    found = _said(_without_has(expression), typed | {name.split(".")[0]: _cel().Type.DYN for name in keyed})
    if not isinstance(found, list):
        yield from _value_mistakes(found)
        return
    for line in found:
        operands = _APPLIED.search(line)
        if operands is not None and not set(operands[1].split(", ")) <= NUMBERS:
            yield line.split(" (candidates")[0]
        elif line.startswith("undeclared reference to "):
            yield from _stranger(line.split("'")[1], variables)


def _without_has(expression: str) -> str:
    """Whether there is a field is for running tasks to see: with a variable for each field, CEL takes it for that."""
    plain = _without_text(expression)
    while (macro := re.search(r"\bhas\s*\(", plain)) is not None:
        end = _closing(plain, macro.end())
        expression = f"{expression[: macro.start()]}true{expression[end:]}"
        plain = f"{plain[: macro.start()]}true{plain[end:]}"
    return expression


def _stranger(name: str, variables: Mapping[str, Kind]) -> Iterator[str]:
    """A whole of which fields are known may be named too: `result.cart != null`."""
    if name not in ROOTS and not any(known.startswith(f"{name}.") for known in variables):
        yield f"there is no {name}: expected one of {sorted(variables)}"


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> Any:
    compiled = _environment().compile(expression)
    plain = compiled.serialize()
    ordered = loops.in_order(plain)
    return compiled if ordered == plain else _environment().deserialize(ordered)


@lru_cache(maxsize=1)
def _environment() -> Any:
    dyn = _cel().Type.DYN
    kinds = (_cel().Type.Map(dyn, dyn), _cel().Type.List(dyn))
    overloads = [
        _cel().Overload(name, _cel().Type.List(dyn), [kind], impl=_Ordered())
        for name, kind in zip(loops.OVERLOADS, kinds, strict=True)
    ]
    ordered = _cel().FunctionDecl(loops.ORDERED, overloads)
    return _cel().NewEnv(variables=dict.fromkeys((*ROOTS, *WORDS), dyn), functions=[ordered])


class _Ordered:
    """A function that says in errors what it is, and not where in memory."""

    def __call__(self, gone_through: Any) -> Any:
        """A list as it is, and the keys of a map in an order that is the same everywhere."""
        if not isinstance(gone_through, dict):
            return gone_through
        return sorted(gone_through, key=lambda key: (type(key).__name__, key))

    def __repr__(self) -> str:
        return "loop over"


def holds(expression: str, data: Mapping[str, Any]) -> bool:
    """Evaluate the expression. `data` has plain JSON values by the names of `ROOTS` and `WORDS`.

    Raises:
        ConditionError: it cannot be evaluated, or is neither true nor false.
    """
    try:
        value = _compiled(expression).eval(data=dict(data))
    except RuntimeError as error:
        raise ConditionError(expression, str(error)) from error
    if value.type() == _cel().Type.ERROR:
        raise ConditionError(expression, str(value.value()).replace(f"{loops.ORDERED}(", "loop over ("))
    if value.type() != _cel().Type.BOOL:
        raise ConditionError(expression, f"it is {value.type().name().lower()}: expected true or false")
    return bool(value.value())


def reads(expression: str, path: str) -> bool:
    """The expression names `context`, `event`, or `result.charge`."""
    return path in _named(expression)


@lru_cache(maxsize=1024)
def _named(expression: str) -> frozenset[str]:
    """Every word of it, and every two that stand as `word.member` or `word["member"]`."""
    members = (f"{word}.{dotted or keyed}" for word, dotted, keyed in _MEMBERS.findall(expression))
    return frozenset([*_WORDS.findall(expression), *members])


@lru_cache(maxsize=256)
def results_in(expression: str) -> tuple[str, ...]:
    """The steps whose results the expression names, each once."""
    return tuple(dict.fromkeys(dotted or keyed for dotted, keyed in _RESULTS.findall(expression)))


def decoded(expression: str, path: str, data: bytes) -> Any:
    """The value of the variable; no data at all is null.

    Raises:
        ConditionError: it is not JSON.
    """
    try:
        return json.loads(data) if data else None
    except ValueError as error:
        raise ConditionError(expression, f"{path} is not JSON") from error
