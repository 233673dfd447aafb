"""A template as it is planned: what nobody can tell is true, every event fits, and anybody may vote."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, TypeVar

from pydantic import BaseModel

from tasker_temporal.core.approval import ANYBODY, Approval
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import AllOf, AnyOf, AtLeast, Group, Leaf, Received

Model = TypeVar("Model", bound=BaseModel)


def eased(template: Template, unknown: Container[str]) -> Template:
    """The template as it is planned. `unknown` are the steps of whose conditions nobody can tell."""
    steps = [_changed(step, when="" if step.name in unknown else step.when, **_easy(step)) for step in template.steps]
    approval = {"approval": _anybody(template.approval)} if template.approval is not None else {}
    return _changed(template, steps=tuple(steps), **approval)


def _easy(step: StepTemplate) -> dict[str, Any]:
    found: dict[str, Any] = {"on": _matched(step.on)} if step.on is not None else {}
    return found | ({"approval": _anybody(step.approval)} if step.approval is not None else {})


def _anybody(approval: Approval) -> Approval:
    return _changed(approval, approvers=(ANYBODY,), not_requester=False, verified=False)


def _matched(trigger: Leaf | Group) -> Leaf | Group:
    """Every event is taken to be the one that is waited for."""
    if isinstance(trigger, Received):
        return Received(received=trigger.received)
    if isinstance(trigger, AllOf):
        return AllOf(all_of=tuple(map(_matched, trigger.all_of)))
    if isinstance(trigger, AnyOf):
        return AnyOf(any_of=tuple(map(_matched, trigger.any_of)))
    if isinstance(trigger, AtLeast):
        return AtLeast(at_least=trigger.at_least, of=tuple(map(_matched, trigger.of)))
    return trigger


def _changed(model: Model, **changes: Any) -> Model:
    """A copy, without what was computed of the old values."""
    return type(model)(**{name: getattr(model, name) for name in type(model).model_fields} | changes)
