"""Makes a task template for people of a YAML file and the handlers that were registered for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.template import Argument, StepTemplate, Template
from tasker_temporal.core.triggers import EventTemplate, Received, leaves
from tasker_temporal.core.wording import meant
from tasker_temporal.errors import TemplateError
from tasker_temporal.expression import On
from tasker_temporal.signature import (
    Binding,
    ContextOf,
    EventOf,
    FailureOf,
    Marker,
    ResultOf,
    Signature,
    read,
    type_name,
)
from tasker_temporal.yaml.document import Document
from tasker_temporal.yaml.nodes import Place
from tasker_temporal.yaml.reading import read_document, tell_mistake
from tasker_temporal.yaml.registry import Handler, Handlers, Registry

NOT_OPTIONS: Final = {"name", "arguments", "result", "context", "steps", "events"}
"""What a declaration says otherwise than by an option."""


@dataclass(frozen=True)
class Makes:
    """What declares for people, which stands above this module."""

    template: Callable[..., Any]
    """Of a name, a context's type and options makes a task template."""
    step: Mapping[str, Callable[..., Any]]
    """By what it awaits: of template, name, handler and the type of its result makes a declared step."""


def declare_yaml(path_or_text: str | os.PathLike[str], handlers: Handlers, context: Any, makes: Makes) -> Any:
    """The task template that the file declares.

    Raises:
        YamlError: with every mistake in the file, and every handler that does not fit.
    """
    document, template = read_document(path_or_text)
    registry = Registry(handlers)
    if template is None:
        raise document.source.error()
    made = _Declaring(document, template, registry, makes).declare(context)
    document.source.check(template.name)
    return made


class _Declaring:
    """One file becomes one template."""

    def __init__(self, document: Document, template: Template, registry: Registry, makes: Makes) -> None:
        self._document, self._template, self._registry, self._makes = document, template, registry, makes
        self._tell = document.source.tell

    def declare(self, context: Any) -> Any:
        template, sound = self._template, not self._document.source.problems
        found = (
            context
            if context is not None
            else self._type(template.context, self._document.places.at(("context",)), "the context")
        )
        notify = self._notifier("", template.approval)
        made = self._makes.template(template.name, context=found, notify=notify, **_options(template))
        made.custom_events += self._registry.custom_events
        events = {
            event.name: made.event(event.name, self._type(event.model, place, f"the event {event.name!r}"))
            for event, place in self._event_places()
        }
        steps = {step.name: self._step(made, step) for step in template.steps}
        for step in template.steps:
            self._connect(step, steps, events)
        self._check_context(made)
        if sound:
            self._compile(made)
        return made

    # What the file names.

    def _event_places(self) -> Iterator[tuple[EventTemplate, Place]]:
        for number, event in enumerate(self._template.events):
            yield event, self._document.places.at(("events", number, "model"))

    def _type(self, name: str, place: Place, what: str) -> Any:
        if name in self._registry.types:
            return self._registry.types[name]
        expected = f"expected the name of a registered type, or of one in a handler's signature{self._known(name)}"
        self._tell("TT-Y033", place, f"{what} is of a type {name!r} that nobody knows: {expected}")
        return Any

    def _known(self, name: str) -> str:
        return meant(name, self._registry.types) or f"; known are {', '.join(sorted(self._registry.types))}"

    def _handler(self, step: StepTemplate) -> Handler:
        name = self._document.handlers.get(step.name, step.name)
        found = self._registry.handlers.get(name)
        if found is None:
            known = sorted(self._registry.handlers)
            hint = (
                meant(name, known)
                or f": expected one of {', '.join(known) or 'those registered, of which there is none'}"
            )
            place = self._document.places.key(step.name, "handler")
            self._tell("TT-Y030", place, f"step {step.name!r}: no handler {name!r} is registered{hint}")
        return found or ABSENT

    # The steps.

    def _step(self, made: Any, step: StepTemplate) -> Any:
        handler = self._handler(step) if step.runs else self._no_handler(step)
        result: Any = Any
        if step.awaits == "approval":
            handler = replace(handler, function=self._notifier(step.name, step.approval))
            result = None if "result" not in step.model_fields_set else self._form(step)
        declared = self._makes.step[step.awaits](made, step.name, handler, result)
        declared.options = _options(step)
        made.declared.append(declared)
        return declared

    def _form(self, step: StepTemplate) -> Any:
        place = self._document.places.key(step.name, "result")
        return self._type(step.result, place, f"the form of step {step.name!r}")

    def _notifier(self, step: str, approval: Approval | None) -> Any:
        """Who is told of an approval; nobody if the file names nobody."""
        if approval is None or not approval.notify:
            return None
        name = self._document.notifiers.get(step)
        found = self._registry.handlers.get(name or "")
        if found is None:
            known = sorted(self._registry.handlers)
            hint = meant(name or "", known) or f": expected one of {', '.join(known)}"
            place = self._document.places.approval_key(step, "notify")
            self._tell("TT-Y030", place, f"the approval's notify is {name!r}, and no such function is registered{hint}")
        return None if found is None else found.function

    def _no_handler(self, step: StepTemplate) -> Handler:
        if step.name in self._document.handlers:
            place = self._document.places.key(step.name, "handler")
            self._tell("TT-Y031", place, f"step {step.name!r} runs no handler: expected no key 'handler'")
        return ABSENT

    def _connect(self, step: StepTemplate, steps: Mapping[str, Any], events: Mapping[str, Any]) -> None:
        """Put the declared steps and events in the place of their names, which may stand before them."""
        declared = steps[step.name]
        after = tuple(steps[name] for name in step.after if name in steps)
        options: dict[str, Any] = {**declared.options, "after": after}
        if step.on is not None:
            known = tuple(steps[name] for name in step.named if name in steps)
            heard = [leaf.received for leaf in leaves(step.on) if isinstance(leaf, Received)]
            options["on"] = On(step.on, known, tuple(events[name] for name in heard if name in events))
        declared.options = options
        if step.runs and declared.function is not ABSENT.function:
            said = {argument.name: _marker(argument, steps, events) for argument in step.arguments}
            takes = {name: marker for name, marker in said.items() if marker is not None}
            read_again = read(declared.function, self._names_of(step), takes)
            declared.signature = self._own(step, read_again, steps, events)

    def _names_of(self, step: StepTemplate) -> Mapping[str, Any]:
        return self._registry.handlers[self._document.handlers.get(step.name, step.name)].names

    def _own(
        self, step: StepTemplate, signature: Signature, steps: Mapping[str, Any], events: Mapping[str, Any]
    ) -> Signature:
        """The signature may name steps of the template that it was written for: here those of the same name count."""
        bindings = []
        for binding in signature.bindings:
            name = getattr(binding.step, "name", "")
            if binding.source in ("result", "failure") and name not in steps:
                known = f"expected one of {sorted(steps)}"
                tell_mistake(
                    self._document,
                    f"step {step.name!r} waits for {name!r}, which is no step of this template, in its parameter "
                    f"{binding.name!r}: {known}",
                )
                continue
            event = getattr(binding.event, "name", binding.event)
            bindings.append(replace(binding, step=steps.get(name), event=events.get(event, event)))
        self._compare(step, signature, bindings)
        return replace(signature, bindings=tuple(bindings))

    def _compare(self, step: StepTemplate, signature: Signature, bindings: list[Binding]) -> None:
        """What the file says of the handler must be so."""
        known = {binding.name for binding in bindings}
        for argument in step.arguments:
            if argument.name not in known:
                place = self._document.places.find(step.name, argument.name) or self._document.places.key(step.name)
                hint = meant(argument.name, known) or f": expected one of {sorted(known)}"
                self._document.places.refuse_arguments(step.name)
                self._tell(
                    "TT-Y031", place, f"step {step.name!r}: its handler has no parameter {argument.name!r}{hint}"
                )
        self._compare_optional(step, bindings)
        result = type_name(signature.result)
        if "result" in step.model_fields_set and result != step.result:
            place = self._document.places.key(step.name, "result")
            self._tell(
                "TT-Y034",
                place,
                f"step {step.name!r}: its result is {step.result!r}, but its handler returns {result!r}",
            )

    def _compare_optional(self, step: StepTemplate, bindings: list[Binding]) -> None:
        said = {a.name: a.optional for a in step.arguments if "optional" in a.model_fields_set}
        for binding in bindings:
            if binding.name in said and binding.source != "context" and said[binding.name] != binding.optional:
                place = self._document.places.find(step.name, binding.name) or self._document.places.key(step.name)
                accepts = "accepts None" if binding.optional else "does not accept None"
                told = f"is {'optional' if said[binding.name] else 'not optional'} here, but the handler's {accepts}"
                self._tell("TT-Y034", place, f"step {step.name!r}: its parameter {binding.name!r} {told}")

    # The whole.

    def _check_context(self, made: Any) -> None:
        """A type that was given beside the file must be the one that the file names."""
        given = type_name(made.context)
        if "context" in self._template.model_fields_set and given != self._template.context and given != "Any":
            place = self._document.places.at(("context",))
            self._tell("TT-Y034", place, f"the context is {self._template.context!r}, but {given!r} was given")

    def _compile(self, made: Any) -> None:
        try:
            made.compiled  # noqa: B018 - it is compiled when it is asked for
        except TemplateError as error:
            for mistake in error.mistakes:
                tell_mistake(self._document, mistake, "TT-Y031")


def _absent() -> Any:
    """Stands for a handler that nobody registered."""


ABSENT: Final = Handler("", _absent)


def _options(model: Template | StepTemplate) -> dict[str, Any]:
    return {name: getattr(model, name) for name in sorted(model.model_fields_set - NOT_OPTIONS)}


def _marker(argument: Argument, steps: Mapping[str, Any], events: Mapping[str, Any]) -> Marker | None:
    if argument.event is not None:
        return EventOf(events.get(argument.event, argument.event))
    if argument.step is None:
        return ContextOf()
    kind = FailureOf if argument.part == "failure" else ResultOf
    return kind(steps[argument.step]) if argument.step in steps else None
