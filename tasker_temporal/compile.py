"""Turns a declaration into the template as data, and finds every mistake in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.outbox import idle_patterns
from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.task_types import DEFAULT, TYPES
from tasker_temporal.core.template import Argument, Sink, StepTemplate, Template
from tasker_temporal.core.triggers import EventTemplate
from tasker_temporal.core.variables import Schemas
from tasker_temporal.errors import TemplateError
from tasker_temporal.expression import DeclaredEvent, On, event_name
from tasker_temporal.failed_step import FailedStep
from tasker_temporal.signature import MISSING, Binding, Signature, accepts, adapter, type_name


class Declared(Protocol):
    """What is asked of a declared step."""

    name: str
    template: Any
    options: Any

    @property
    def signature(self) -> Signature: ...


def compile_template(
    name: str,
    context: Any,
    declared: Sequence[Declared],
    events: Sequence[DeclaredEvent[Any]],
    options: Any,
    custom: Sequence[str] = (),
) -> Template:
    """Turn the declaration into data, or raise one `TemplateError` with all its mistakes."""
    found: list[str] = []
    steps = [known for step in declared if (known := _compile_step(step, found)) is not None]
    known_events = tuple(EventTemplate(name=event.name, model=type_name(event.model)) for event in events)
    options = {"context": type_name(context), "steps": tuple(steps), "events": known_events, **options}
    options = _with_type(options, found)
    try:
        compiled = Template(name=name, **options)
    except ValidationError as error:
        raise TemplateError(name, [*found, *_said(error)]) from error
    if len(steps) == len(declared):
        found += [*mistakes(compiled), *unsound(compiled, _schemas(context, declared, events))]
    found += sink_mistakes(compiled.sinks, custom)
    if found:
        raise TemplateError(name, found)
    return compiled


def _schemas(context: Any, declared: Sequence[Declared], events: Sequence[DeclaredEvent[Any]]) -> Schemas:
    """The JSON Schemas of what conditions may name, as far as there are any."""
    hints = {"context": context} | {f"event.{event.name}": event.model for event in events}
    hints |= {f"result.{step.name}": step.signature.result for step in declared}
    return lambda path: _schema(hints.get(path, Any))


def _schema(hint: Any) -> Mapping[str, Any]:
    """How values of the type look as JSON. Not every type can say."""
    try:
        return adapter(hint).json_schema(mode="serialization")
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return {}


def sink_mistakes(sinks: Sequence[Sink], custom: Sequence[str] | None) -> list[str]:
    """Sinks without patterns, and patterns that fit nothing, which would otherwise be silence.

    Args:
        custom: The template's own events, if they are known.
    """
    deaf = [sink.name for sink in sinks if not sink.events]
    return [f"sink {name!r}: it gets no events: expected some, as events=('*',)" for name in deaf] + [
        f"sink {sink.name!r}: its pattern {pattern!r} fits no event of a task: expected a row's, as 'step.failed' or "
        "'step.*', or the full name of one that is no row, as 'step.max_retries_reached'"
        for sink in sinks
        for pattern in idle_patterns(sink, custom)
    ]


def _with_type(options: Mapping[str, Any], found: list[str]) -> dict[str, Any]:
    """A type that was named is declared in the library; `notify` is part of the approval."""
    said = dict(options)
    notify = said.pop("notify", False)
    if isinstance(kind := said.get("type"), str):
        said["type"] = TYPES.get(kind, DEFAULT)
        if kind not in TYPES:
            found.append(f"its type is {kind!r}: expected one of {', '.join(TYPES)}, or a TaskType")
    if notify and isinstance(approval := said.get("approval"), Approval):
        said["approval"] = approval.model_copy(update={"notify": True})
    elif notify:
        found.append("its notify: expected approval=Approval(...) with it")
    return said


def _compile_step(step: Declared, found: list[str]) -> StepTemplate | None:
    said = [*step.signature.mistakes, *_type_mistakes(step), *_stranger_mistakes(step)]
    found += [f"step {step.name!r}: {mistake}" for mistake in said]
    options: dict[str, Any] = {**step.options, "after": tuple(d.name for d in _after(step) if _is_step(d))}
    options["on"] = on.trigger if (on := _on(step)) is not None else None
    options["formerly"] = tuple(options.get("formerly", ()))
    try:
        return StepTemplate(
            name=step.name, arguments=_arguments(step), result=type_name(step.signature.result), **options
        )
    except ValidationError as error:
        found += [f"step {step.name!r}: {problem}" for problem in _said(error)]
        return None


def _arguments(step: Declared) -> tuple[Argument, ...]:
    return tuple(
        Argument(
            name=binding.name,
            step=getattr(binding.step, "name", None),
            part="failure" if binding.source == "failure" else "result",
            event=None if binding.event is None else event_name(binding.event),
            optional=binding.optional and binding.source != "context",
        )
        for binding in step.signature.bindings
        if binding.source != "step_context"
    )


def _is_result(binding: Binding) -> bool:
    return binding.source == "result"


def _on(step: Declared) -> On | None:
    on = step.options.get("on")
    return on if isinstance(on, On) else None


def _after(step: Declared) -> tuple[Any, ...]:
    after = step.options.get("after", ())
    return tuple(after) if isinstance(after, (list, tuple, set, frozenset)) else (after,)


def _is_step(value: Any) -> bool:
    return hasattr(value, "signature") and hasattr(value, "template")


def _stranger_mistakes(step: Declared) -> list[str]:
    on = _on(step)
    taken = (binding.step for binding in step.signature.bindings if binding.source in ("result", "failure"))
    named = [*_after(step), *(on.steps if on is not None else ()), *taken]
    found = [_no_step(value) for value in named if not _is_step(value)]
    others = [value for value in named if _is_step(value) and value.template is not step.template]
    if on is None and step.options.get("on") is not None:
        found.append(f"its on={step.options['on']!r}: expected a trigger, as on=completed(step)")
    found += on.mistakes if on is not None else ()
    return [*found, *(f"it names {other!r}: expected a step of the same template" for other in others)]


def _type_mistakes(step: Declared) -> list[str]:
    told = (_type_mistake(step, binding) for binding in step.signature.bindings)
    found = [mistake for mistake in told if mistake is not None]
    return [*_branch_mistakes(step, step.options.get("branches", ())), *found]


def _branch_mistakes(step: Declared, branches: Sequence[str]) -> Iterator[str]:
    """What its handler says that it returns cannot be one of the branches."""
    for hint in _returned(step.signature.result) if branches else ():
        if get_origin(hint) is Literal and (strange := [each for each in get_args(hint) if each not in branches]):
            yield f"it is a decision that returns {strange[0]!r}: expected one of its branches {list(branches)}"
        elif isinstance(hint, type) and hint not in UNTOLD and not issubclass(hint, str):
            yield f"it is a decision that returns {type_name(hint)}: expected one of its branches, or a list of them"


UNTOLD = (MISSING, Any, object, list, tuple)
"""Types that do not say what is returned."""


def _returned(hint: Any) -> Iterator[Any]:
    """The types in a union, and of the items of a list."""
    if get_origin(hint) in (Union, UnionType, list, tuple, Sequence):
        for part in get_args(hint):
            yield from _returned(part)
    elif hint is not Ellipsis:
        yield hint


def _no_step(value: Any) -> str:
    what = "not its name" if isinstance(value, str) else "as the decorator of a template makes one"
    return f"it names {value!r}: expected a declared step, {what}"


def _type_mistake(step: Declared, binding: Binding) -> str | None:
    if binding.source == "step_context" or (_is_result(binding) and not _is_step(binding.step)):
        return None
    given = _given(step, binding)
    if given is MISSING or accepts(binding.type, given):
        return None
    source = SOURCES[binding.source].format(binding)
    said = f"its parameter {binding.name!r} expects {type_name(binding.type)}, but {source} is {type_name(given)}"
    return said + (_forgotten(step, binding) if binding.source == "context" else "")


def _forgotten(step: Declared, binding: Binding) -> str:
    """Who means a step's result and does not say so gets the context."""
    meant = [other.name for other in step.template.declared if other.signature.result == binding.type]
    return f": if the result of {meant[0]!r} is meant, say so with result_of({meant[0]})" if meant else ""


SOURCES = {
    "context": "the context",
    "result": "the result of {0.step.name!r}",
    "failure": "the failure of {0.step.name!r}",
    "event": "the event {0.event.name!r}",
}


def _given(step: Declared, binding: Binding) -> Any:
    """The type of what the parameter is handed; MISSING if nobody knows it."""
    if binding.source == "result":
        return binding.step.signature.result
    if binding.source == "failure":
        return FailedStep
    if binding.source == "event":
        return getattr(binding.event, "model", MISSING)
    return step.template.context


OPTIONS_OF: Mapping[str, Sequence[str]] = {kind.__name__: tuple(kind.model_fields) for kind in (StepTemplate, Template)}
"""By the name under which pydantic tells of mistakes in them."""


def _said(error: ValidationError) -> list[str]:
    names = OPTIONS_OF.get(error.title, ())
    return [
        _unknown_option(str(problem["loc"][0]), names)
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1
        else f"its {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)
    ]


def _unknown_option(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"it has no option {name!r}{f', perhaps {near[0]!r}' if near else ''}"
