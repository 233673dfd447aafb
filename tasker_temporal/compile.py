"""Turns a declaration into the template as data, and finds every mistake in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic_core import to_jsonable_python

from tasker_temporal.core import wording
from tasker_temporal.core.approval import Approval
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.outbox import TELLABLE, idle_patterns
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
    awaits: Literal["handler", "approval", "event"]
    unknown: Sequence[str]
    """What was said of options that there are not."""

    @property
    def signature(self) -> Signature: ...


def compile_template(
    name: str,
    context: Any,
    declared: Sequence[Declared],
    events: Sequence[DeclaredEvent[Any]],
    options: Any,
    custom: Sequence[str] = (),
    unknown: Sequence[str] = (),
) -> Template:
    """Turn the declaration into data, or raise one `TemplateError` with all its mistakes.

    Args:
        custom: The names of its own events.
        unknown: What was said of options that there are not.
    """
    found = [*unknown, *wording.hint_mistakes("its context", context), *_notify_mistakes(options.get("notify"))]
    steps = [known for step in declared if (known := _compile_step(step, found)) is not None]
    known_events = tuple(made for event in events if (made := _compile_event(event, found)) is not None)
    options = {"context": type_name(context), "steps": tuple(steps), "events": known_events, **options}
    options = _with_type(options, found)
    try:
        compiled = Template(name=name, **options)
    except ValidationError as error:
        raise TemplateError(name, [*found, *wording.told(error, Template, options)]) from None
    if len(steps) == len(declared) and len(known_events) == len(events):
        found += [*mistakes(compiled), *unsound(compiled, _schemas(context, declared, events))]
    found += sink_mistakes(compiled.sinks, custom)
    if found:
        raise TemplateError(name, found)
    return compiled


def _compile_event(event: DeclaredEvent[Any], found: list[str]) -> EventTemplate | None:
    found += [f"event {event.name!r}: {mistake}" for mistake in wording.hint_mistakes("its model", event.model)]
    said = {"name": event.name, "model": type_name(event.model)}
    try:
        return EventTemplate(**said)
    except ValidationError as error:
        found += [f"event {event.name!r}: {mistake}" for mistake in wording.told(error, EventTemplate, said)]
        return None


def _notify_mistakes(notify: Any) -> list[str]:
    is_told = notify is None or (callable(notify) and not isinstance(notify, type))
    return [] if is_told else [f"its notify is {wording.shown(notify)}: expected a function"]


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
        f"{wording.meant(pattern, (*TELLABLE, *(custom or ())))}"
        for sink in sinks
        for pattern in idle_patterns(sink, custom)
    ]


def _with_type(options: Mapping[str, Any], found: list[str]) -> dict[str, Any]:
    """A type that was named is declared in the library; `notify` is part of the approval."""
    said = dict(options)
    notify = said.pop("notify", None)
    if isinstance(kind := said.get("type"), str):
        said["type"] = TYPES.get(kind, DEFAULT)
        if kind not in TYPES:
            expected = f"expected one of {', '.join(TYPES)}, or a TaskType{wording.meant(kind, TYPES)}"
            found.append(f"its type is {wording.shown(kind)}: {expected}")
    if notify is not None and isinstance(approval := said.get("approval"), Approval):
        said["approval"] = approval.model_copy(update={"notify": True})
    elif notify is not None:
        found.append("its notify: expected approval=Approval(...) with it")
    return said


def _compile_step(step: Declared, found: list[str]) -> StepTemplate | None:
    said = [*step.unknown, *step.signature.mistakes, *_value_mistakes(step), *_type_mistakes(step)]
    strange = _stranger_mistakes(step)
    found += [f"step {step.name!r}: {mistake}" for mistake in (*said, *strange)]
    after = tuple(known.name for known in _after(step) if _is_own(step, known))
    options: dict[str, Any] = {**step.options, "after": after, "on": getattr(_on(step), "trigger", None)}
    if strange:
        # What follows from a step or a trigger that is none is no mistake of its own.
        options["on"] = None
        if step.awaits == "event":
            options |= {"awaits": "handler", "on_deadline": "fail"}
    arguments = _arguments(step.signature.bindings if not strange else ())
    options |= {"name": step.name, "arguments": arguments, "result": type_name(step.signature.result)}
    try:
        return StepTemplate(**options)
    except ValidationError as error:
        found += [f"step {step.name!r}: {problem}" for problem in wording.told(error, StepTemplate, options)]
        return None


def _value_mistakes(step: Declared) -> list[str]:
    """What a model of the core would take: an approval's form and notifier, and JSON that is none."""
    form, notify, config = getattr(step, "form", None), getattr(step, "notify", None), step.options.get("config")
    strange = [name for name, value in config.items() if not _is_json(value)] if isinstance(config, Mapping) else []
    told = [f"its config[{name!r}] is {wording.shown(config[name])}: expected what JSON can hold" for name in strange]
    return [*wording.hint_mistakes("its form", form), *_notify_mistakes(notify), *told]


def _is_json(value: Any) -> bool:
    try:
        json.dumps(to_jsonable_python(value), allow_nan=False)
    except ValueError:
        return False
    return True


def _arguments(bindings: Sequence[Binding]) -> tuple[Argument, ...]:
    return tuple(
        Argument(
            name=binding.name,
            step=getattr(binding.step, "name", None),
            part="failure" if binding.source == "failure" else "result",
            event=None if binding.event is None else event_name(binding.event),
            optional=binding.optional and binding.source != "context",
        )
        for binding in bindings
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


def _is_own(step: Declared, value: Any) -> bool:
    return _is_step(value) and value.template is step.template


def _stranger_mistakes(step: Declared) -> list[str]:
    on = _on(step)
    taken = (binding.step for binding in step.signature.bindings if binding.source in ("result", "failure"))
    named = [*_after(step), *(on.steps if on is not None else ()), *taken]
    found = [_no_step(value) for value in named if not _is_step(value)]
    others = [value for value in named if _is_step(value) and value.template is not step.template]
    if on is None and (step.options.get("on") is not None or step.awaits == "event"):
        expected = "received(event)" if step.awaits == "event" else "a trigger, as on=completed(step)"
        found.append(f"its on is {wording.shown(step.options.get('on'))}: expected {expected}")
    found += on.mistakes if on is not None else ()
    found += [_no_event(value) for value in _events(step) if not isinstance(value, (str, DeclaredEvent))]
    return [*found, *(f"it names {other!r}: expected a step of the same template" for other in others)]


def _events(step: Declared) -> Iterator[Any]:
    on = _on(step)
    yield from on.events if on is not None else ()
    yield from (binding.event for binding in step.signature.bindings if binding.source == "event")


def _no_event(value: Any) -> str:
    return f"it names {wording.shown(value)}: expected a declared event, as the `event` of a template makes one"


def _type_mistakes(step: Declared) -> list[str]:
    told = (_type_mistake(step, binding) for binding in step.signature.bindings)
    found = [mistake for mistake in told if mistake is not None]
    return [*_branch_mistakes(step, step.options.get("branches")), *found]


def _branch_mistakes(step: Declared, branches: Any) -> Iterator[str]:
    """What its handler says that it returns cannot be one of the branches."""
    branches = branches if isinstance(branches, tuple) else ()
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
    return f"it names {wording.shown(value)}: expected a declared step, {what}"


def _type_mistake(step: Declared, binding: Binding) -> str | None:
    if binding.source == "step_context" or (_is_result(binding) and not _is_step(binding.step)):
        return None
    given = _given(step, binding)
    if given is MISSING or wording.hint_mistakes("", given) or accepts(binding.type, given):
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
