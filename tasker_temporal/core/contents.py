"""What a request hands over that has a type: a result given by hand, a form, an event's payload.

The core never reads it. Only who has the declared types can check it: a worker, or a client that knows the template.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from tasker_temporal.core.requests import Approve, Ask, CompleteStep, SendEvent
from tasker_temporal.core.template import Template


class Handed(NamedTuple):
    """One such content, by the request's field that holds it."""

    field: Literal["result", "form", "payload"]
    name: str
    """Of the step, or of the event."""

    def __str__(self) -> str:
        return f"the {self.field} of {'event' if self.field == 'payload' else 'step'} {self.name!r}"


def handed_over(request: Ask, template: Template) -> Handed | None:
    """What has to be checked; None if the request hands over nothing that has a type."""
    match request:
        case CompleteStep(step=step):
            return Handed("result", step)
        case Approve(step=str(step)) if _has_form(step, template):
            return Handed("form", step)
        case SendEvent(name=event) if _has_model(event, template):
            return Handed("payload", event)
    return None


def _has_form(step: str, template: Template) -> bool:
    known = next((known for known in template.steps if known.name == step), None)
    return known is not None and known.approval is not None and known.result != "None"


def _has_model(event: str, template: Template) -> bool:
    """Any JSON fits an event without a model."""
    return next((known.model for known in template.events if known.name == event), "Any") != "Any"
