"""Reads a handler's signature: which parameters take the context, which a step's result, which the `StepContext`."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter
from pydantic.errors import PydanticUserError

from tasker_temporal.step_context import StepContext

Source = Literal["context", "result", "failure", "event", "step_context"]
MISSING = inspect.Parameter.empty


@dataclass(frozen=True)
class ResultOf:
    """Stands as a parameter's default, or in its `Annotated`, for the result of `step`, a declared step."""

    step: Any
    source: ClassVar[Source] = "result"

    def __str__(self) -> str:
        return f"the result of {getattr(self.step, 'name', self.step)!r}"


@dataclass(frozen=True)
class FailureOf:
    """Stands, in the same way, for how `step` failed."""

    step: Any
    source: ClassVar[Source] = "failure"

    def __str__(self) -> str:
        return f"the failure of {getattr(self.step, 'name', self.step)!r}"


@dataclass(frozen=True)
class EventOf:
    """Stands, in the same way, for the payload of `event`, a declared event or its name."""

    event: Any
    source: ClassVar[Source] = "event"

    @property
    def step(self) -> None:
        return None

    def __str__(self) -> str:
        return f"the event {getattr(self.event, 'name', self.event)!r}"


@dataclass(frozen=True)
class ContextOf:
    """Stands for the task's context, where a file says so beside the signature."""

    step: ClassVar[None] = None
    source: ClassVar[Source] = "context"

    def __str__(self) -> str:
        return "the context"


Marker = ResultOf | FailureOf | EventOf | ContextOf
NOTHING_SAID: Mapping[str, Marker] = {}


@dataclass(frozen=True)
class Binding:
    """One parameter that the library fills in."""

    name: str
    source: Source
    type: Any
    step: Any = None
    event: Any = None

    @property
    def optional(self) -> bool:
        """It accepts None."""
        return accepts(self.type, type(None))


@dataclass(frozen=True)
class Signature:
    """What a handler asks for and gives. `mistakes` are sentences without the step's name."""

    bindings: tuple[Binding, ...]
    result: Any
    mistakes: tuple[str, ...]


def read(
    function: Callable[..., Any], names: Mapping[str, Any], takes: Mapping[str, Marker] = NOTHING_SAID
) -> Signature:
    """Read the handler's signature.

    Args:
        names: Those that its annotations may use beside the module's own.
        takes: What parameters take, if something else than the signature says it.
    """
    called = _called(function)
    try:
        hints = typing.get_type_hints(called, localns=dict(names), include_extras=True)
    except Exception as error:
        return Signature((), Any, (f"its annotations cannot be read: {error}",))
    bindings, mistakes = [], []
    for parameter in inspect.signature(function).parameters.values():
        found = _bind(parameter, hints.get(parameter.name, MISSING), takes.get(parameter.name))
        if isinstance(found, str):
            mistakes.append(found)
        elif found is not None:
            bindings.append(found)
    result = hints.get("return", MISSING)
    return Signature(tuple(bindings), result, (*mistakes, *_whole_mistakes(called, bindings, result)))


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose annotations count: a callable object's is its `__call__`."""
    while hasattr(function, "func"):
        function = function.func
    if inspect.isroutine(function):
        return function
    called: Callable[..., Any] = type(function).__call__
    return called


def is_async(function: Callable[..., Any]) -> bool:
    """Calling it gives a coroutine."""
    return inspect.iscoroutinefunction(_called(function))


def _bind(parameter: inspect.Parameter, hint: Any, said: Marker | None) -> Binding | str | None:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return f"its parameter {parameter} is not supported: expected named parameters only"
    plain, marker = _strip(hint)
    if isinstance(parameter.default, Marker):
        marker = parameter.default
    marker = said or marker
    if marker is None and parameter.default is not MISSING:
        return _forgotten_marker(parameter)
    if hint is MISSING:
        return f"its parameter {parameter.name!r} has no annotation: expected the type of what it takes"
    if marker is not None:
        return Binding(parameter.name, marker.source, plain, marker.step, getattr(marker, "event", None))
    return Binding(parameter.name, "step_context" if plain is StepContext else "context", plain)


def _forgotten_marker(parameter: inspect.Parameter) -> str | None:
    """A step as a default, or a call of it, would be handed to the handler instead of its result."""
    if inspect.iscoroutine(parameter.default):
        called = parameter.default.__name__
        parameter.default.close()
        return f"its parameter {parameter.name!r} has a call of {called!r} as its default: expected result_of({called})"
    name = getattr(parameter.default, "name", None)
    if name is None or not hasattr(parameter.default, "signature"):
        return None
    return f"its parameter {parameter.name!r} has step {name!r} itself as its default: expected result_of({name})"


def _strip(hint: Any) -> tuple[Any, Marker | None]:
    if get_origin(hint) is not Annotated:
        return hint, None
    plain, *extras = get_args(hint)
    return plain, next((extra for extra in extras if isinstance(extra, Marker)), None)


def _whole_mistakes(function: Callable[..., Any], bindings: list[Binding], result: Any) -> Iterator[str]:
    contexts = [binding.name for binding in bindings if binding.source == "context"]
    if len(contexts) > 1:
        yield f"its parameters {contexts} would each take the context: expected one, the others with result_of(step)"
    if result is MISSING:
        yield "it has no return annotation: expected the type of its result, or None"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield "its handler is a generator: expected a function that returns its result"


def accepts(wanted: Any, given: Any) -> bool:
    """May a value of the annotation `given` be handed to a parameter of the annotation `wanted`? In doubt, yes."""
    if wanted is Any or given is Any or wanted is object or wanted == given:
        return True
    if get_origin(wanted) is Annotated or get_origin(given) is Annotated:
        return accepts(_strip(wanted)[0], _strip(given)[0])
    if _is_union(given):
        return all(accepts(wanted, part) for part in get_args(given))
    if _is_union(wanted):
        return any(accepts(part, given) for part in get_args(wanted))
    return _accepts_class(wanted, given)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _accepts_class(wanted: Any, given: Any) -> bool:
    wanted, given = (type(None) if hint is None else hint for hint in (wanted, given))
    ours, theirs = get_origin(wanted) or wanted, get_origin(given) or given
    if not (isinstance(ours, type) and isinstance(theirs, type)):
        return not (isinstance(ours, type) or isinstance(theirs, type)) or ours in (Literal,) or theirs in (Literal,)
    if not issubclass(theirs, ours):
        return (ours, theirs) in ((float, int), (complex, int), (complex, float))
    inner, outer = get_args(given), get_args(wanted)
    return len(inner) != len(outer) or all(accepts(a, b) for a, b in zip(outer, inner, strict=True))


def adapter(hint: Any) -> TypeAdapter[Any]:
    """Validates values of the annotation; of a class that pydantic does not know, that they are its instances."""
    try:
        return TypeAdapter(hint)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def type_name(hint: Any) -> str:
    """The annotation as people write it."""
    if hint is None or hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")
