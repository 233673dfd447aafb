"""From Python to YAML and back to Python: the digest stays, whatever the template declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasker_temporal import TaskTemplate, event_of, failure_of, result_of
from tasker_temporal.core.template import Argument, StepTemplate, Template
from tasker_temporal.core.triggers import Received, leaves
from tasker_temporal.expression import DeclaredEvent, On
from tasker_temporal.failed_step import FailedStep
from tests.yaml.strategies import templates

MODEST = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

Handler = Callable[..., Any]


class Declaring:
    """Declares in Python what a template as data says. Its handlers return `dict`, so that all types fit."""

    def __init__(self, data: Template, *, marked: bool) -> None:
        self._marked = marked
        options = {name: getattr(data, name) for name in data.model_fields_set - NOT_OPTIONS}
        notify = told if data.approval is not None and data.approval.notify else None
        self.template: TaskTemplate[Any] = TaskTemplate(data.name, context=dict, notify=notify, **options)
        self._events = {event.name: self.template.event(event.name, dict) for event in data.events}
        self._steps: dict[str, Any] = {}
        self.handlers: dict[str, Any] = {"told": told}
        for step in data.steps:
            self._steps[step.name] = self._declare(step)

    def _declare(self, step: StepTemplate) -> Any:
        chosen: dict[str, Any] = {name: getattr(step, name) for name in step.model_fields_set - NOT_OPTIONS}
        chosen["after"] = [self._steps[name] for name in step.after]
        if step.awaits == "event":
            return self.template.wait_for(step.name, self._on(step), **without(chosen, "on", "awaits"))
        if step.approval is not None:
            terms: dict[str, Any] = step.approval.model_dump(exclude_defaults=True)
            notify = {"notify": told} if terms.pop("notify", False) else {}
            plain = without(chosen, "awaits", "approval")
            made: Any = self.template.approval
            return made(step.name, form=dict, **terms, **plain, **notify)
        if step.on is not None:
            chosen["on"] = self._on(step)
        self.handlers[step.name] = self._handler(step, marked=False)
        function = self._handler(step, marked=True)
        if self._marked:
            self.handlers[step.name] = function
        return self.template.add_step(step.name, function, **chosen)

    def _on(self, step: StepTemplate) -> Any:
        assert step.on is not None
        heard: list[DeclaredEvent[Any]] = [
            self._events[leaf.received] for leaf in leaves(step.on) if isinstance(leaf, Received)
        ]
        return On(step.on, tuple(self._steps[name] for name in step.named), tuple(heard))

    def _handler(self, step: StepTemplate, *, marked: bool) -> Handler:
        """A function of the signature that the step declares, with markers or without."""

        def handler(**_: Any) -> Any: ...

        hints = dict(self._hints(step, marked=marked))
        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=h) for name, h in hints.items()
        ]
        handler.__name__ = step.name
        returned = Any if step.branches else dict
        handler.__annotations__ = {**hints, "return": returned}
        handler.__signature__ = inspect.Signature(parameters, return_annotation=returned)  # type: ignore[attr-defined]
        return handler

    def _hints(self, step: StepTemplate, *, marked: bool) -> Iterator[tuple[str, Any]]:
        is_taken = False
        for argument in step.arguments:
            if argument.step is None and argument.event is None:
                # Only one parameter takes the context.
                if not is_taken:
                    yield parameter(argument), dict
                is_taken = True
                continue
            failure = argument.part == "failure"
            hint: Any = FailedStep if failure else dict
            hint = hint | None if argument.optional else hint
            if argument.event is not None:
                marker: Any = event_of(self._events[argument.event])
            else:
                source = self._steps[argument.step or ""]
                marker = failure_of(source) if failure else result_of(source)
            yield parameter(argument), Annotated[hint, marker] if marked else hint


NOT_OPTIONS = {"name", "arguments", "result", "context", "steps", "events", "on", "after"}


def parameter(argument: Argument) -> str:
    """Its name, as Python allows it."""
    return f"of_{argument.name.replace('-', '_')}"


async def told(notice: Any) -> None: ...


def without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


@MODEST
@given(templates(), st.booleans())
def test_a_digest_is_kept_from_python_to_yaml_and_back(data: Template, marked: bool) -> None:
    declaring = Declaring(data.model_copy(update={"sinks": ()}), marked=marked)
    first = declaring.template.compiled
    again = TaskTemplate.from_yaml(declaring.template.to_yaml(), handlers=declaring.handlers)
    assert again.compiled == first
    assert again.compiled.digest == first.digest
