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
from tasker_temporal.core.contents import Handed, handed_over
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.repeats import COMPARED_FROM
from tasker_temporal.core.requests import (
    ACTOR_LIMIT,
    REASON_LIMIT,
    Ask,
    Identity,
    SendEvent,
    clipped,
)
from tasker_temporal.driver import local
from tasker_temporal.errors import RequestRefused
from tasker_temporal.identity import HEADERS, Claim, digest_of
from tasker_temporal.local_activities import CHECK_EVENT, CHECK_RESULT, WHO_ASKS, WHO_CANCELLED
from tasker_temporal.payloads import raw, read_raw


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
    handed = handed_over(asked, engine.task.template)
    if handed is None or _is_known(asked, engine):
        return asked
    try:
        value = await _checked(handed, getattr(asked, handed.field))
    except RequestRefused as error:
        # It stands in the rows of earlier runs that nobody had looked at the task.
        known = error if engine.task.interpreter > 2 else RequestRefused(error.rule)
        raise requests.refusal(known) from error
    return asked.holding(**{handed.field: value})


def _is_known(asked: Ask, engine: Engine) -> bool:
    """What was taken before under its id is not checked again."""
    compares = engine.task.interpreter >= COMPARED_FROM or isinstance(asked, SendEvent)
    return compares and asked.request_id in engine.task.answers


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


async def _checked(handed: Handed, value: Any) -> Any:
    """The value as its declared type has it, in JSON.

    Raises:
        RequestRefused: it is not of that type.
    """
    activity, answer = (CHECK_EVENT, "payload") if handed.field == "payload" else (CHECK_RESULT, "result")
    found = read_raw(await local(activity, raw(handed.name), raw(value)))
    if "problem" in found:
        raise RequestRefused(found["problem"], None)
    return found[answer]


async def who_cancelled() -> tuple[str, str]:
    """Who cancelled the run by Temporal's own means, and why.

    Nobody can be told that what Temporal was told is no request as it stands.
    """
    found = read_raw(await local(WHO_CANCELLED))
    said = (found.get("reason"), workflow.cancellation_reason())
    reason = next((text for text in said if text and text.strip()), "cancelled without a reason")
    actor = (found.get("actor") or "").strip() or "unknown"
    return clipped(actor, ACTOR_LIMIT), clipped(reason, REASON_LIMIT)
