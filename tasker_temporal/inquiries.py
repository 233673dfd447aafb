"""What a run asks of local activities: whose a request is, whether what it hands over is of the right type.

Only a worker can tell, because identities are verified, and models validated, by code of the user's. Each question
costs a marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload

from tasker_temporal import requests
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.repeats import COMPARED_FROM
from tasker_temporal.core.requests import (
    ACTOR_LIMIT,
    REASON_LIMIT,
    Approve,
    Ask,
    CompleteStep,
    Identity,
    SendEvent,
    clipped,
)
from tasker_temporal.driver import local
from tasker_temporal.errors import RequestRefused
from tasker_temporal.identity import HEADERS, Claim, digest_of
from tasker_temporal.local_activities import CHECK_EVENT, CHECK_RESULT, WHO_ASKS, WHO_CANCELLED
from tasker_temporal.wire import raw, read_raw


async def identified(asked: Ask, purpose: str, *contents: Any) -> Ask:
    """The request, of whoever its header says that it is of.

    Raises:
        ApplicationError: of type `RequestRefused`: what the header says does not hold.
    """
    try:
        identity = await who_asks(HEADERS.get({}), purpose, contents)
    except RequestRefused as error:
        raise requests.refusal(error) from error
    return asked if identity is None else asked.verified(identity)


async def checked(asked: Ask, engine: Engine) -> Ask:
    """The request, if a result given by hand, a form or a payload that it hands over is of the right type.

    Raises:
        ApplicationError: of type `RequestRefused`, saying what is wrong with it.
    """
    if _is_known(asked, engine):
        return asked
    match asked:
        case CompleteStep():
            return asked.holding(result=await _checked(asked.step, asked.result))
        case Approve(step=str(step)) if _has_form(step, engine):
            return asked.holding(form=await _checked(step, asked.form))
        case SendEvent(name=name) if _has_model(name, engine):
            return asked.holding(payload=await _checked_event(name, asked.payload))
    return asked


def _is_known(asked: Ask, engine: Engine) -> bool:
    """What was taken before under its id is not checked again."""
    compares = engine.task.interpreter >= COMPARED_FROM or isinstance(asked, SendEvent)
    return compares and asked.request_id in engine.task.answers


def _has_model(event: str, engine: Engine) -> bool:
    """Any JSON fits an event without a model."""
    known = {event.name: event.model for event in engine.task.template.events}
    return known.get(event, "Any") != "Any"


def _has_form(step: str, engine: Engine) -> bool:
    known = engine.task.steps.get(step)
    return known is not None and known.template.approval is not None and known.template.result != "None"


async def who_asks(headers: Mapping[str, Payload], purpose: str, contents: Sequence[Any]) -> Identity | None:
    """Who the headers say it is; None if they say nothing.

    Raises:
        RequestRefused: what they say does not hold.
    """
    try:
        claim = Claim.of(headers)
    except ValueError as error:
        raise RequestRefused("the identity in its header cannot be read") from error
    if claim is None:
        return None
    found = read_raw(await local(WHO_ASKS, raw(claim.model_dump(mode="json")), raw([purpose, digest_of(*contents)])))
    if "problem" in found:
        raise RequestRefused(found["problem"])
    return Identity.model_validate(found["identity"])


async def _checked(step: str, value: Any) -> Any:
    """The value as the step's result, in JSON.

    Raises:
        ApplicationError: of type `RequestRefused`: it is not of the step's type.
    """
    found = read_raw(await local(CHECK_RESULT, raw(step), raw(value)))
    if "problem" in found:
        raise requests.refusal(RequestRefused(found["problem"]))
    return found["result"]


async def _checked_event(event: str, payload: Any) -> Any:
    """The payload as the event's model has it, in JSON.

    Raises:
        ApplicationError: of type `RequestRefused`: it does not validate.
    """
    found = read_raw(await local(CHECK_EVENT, raw(event), raw(payload)))
    if "problem" in found:
        raise requests.refusal(RequestRefused(found["problem"]))
    return found["payload"]


async def who_cancelled() -> tuple[str, str]:
    """Who cancelled the run by Temporal's own means, and why.

    Nobody can be told that what Temporal was told is no request as it stands.
    """
    found = read_raw(await local(WHO_CANCELLED))
    said = (found.get("reason"), workflow.cancellation_reason())
    reason = next((text for text in said if text and text.strip()), "cancelled without a reason")
    actor = (found.get("actor") or "").strip() or "unknown"
    return clipped(actor, ACTOR_LIMIT), clipped(reason, REASON_LIMIT)
