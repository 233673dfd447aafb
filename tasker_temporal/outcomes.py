"""What an ended activity means to the core: a result, a failure, a stop, or a handler that no worker had."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, TimeoutError, TimeoutType

from tasker_temporal.core.messages import (
    Failure,
    HandlerMissing,
    RunStep,
    StepFailed,
    StepStopped,
    StepSucceeded,
)
from tasker_temporal.payloads import content_of
from tasker_temporal.published import detach, of_failure

Outcome = StepSucceeded | StepFailed | StepStopped | HandlerMissing


def fact(command: RunStep, ended: asyncio.Task[RawValue], handler: str) -> Outcome:
    """The fact to feed to the core."""
    error = ended.exception()
    if error is None:
        return succeeded(command, ended.result().payload)
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, CancelledError):
        return StepStopped(command.step, command.execution)
    if isinstance(cause, ApplicationError) and _is_missing_handler(cause):
        return HandlerMissing(command.step, command.execution, handler)
    return failed(command, cause)


def succeeded(command: RunStep, payload: Payload) -> StepSucceeded:
    """What the handler returned and published. The payload is without the latter afterwards."""
    said = detach(payload)
    return StepSucceeded(command.step, command.execution, content_of(payload), said)


def failed(command: RunStep, cause: BaseException | None) -> StepFailed:
    said = of_failure(_details(cause)) if isinstance(cause, ApplicationError) else ()
    return StepFailed(command.step, command.execution, failure_of(cause), said)


def _is_missing_handler(cause: ApplicationError) -> bool:
    """The SDK's own word for an activity type that the worker does not know. A handler's own error has details."""
    return cause.type == "NotFoundError" and not cause.details and cause.message.startswith("Activity function")


def failure_of(cause: BaseException | None) -> Failure:
    """What is behind a failed activity, as the core judges it."""
    if isinstance(cause, ApplicationError):
        details = _details(cause)
        kind = cause.type or "ApplicationError"
        return Failure(kind, cause.message, details.get("retryable", True), details.get("retry_after"))
    if isinstance(cause, TimeoutError):
        return _timeout(cause)
    return Failure(type(cause).__name__, str(cause))


def _details(cause: ApplicationError) -> dict[str, Any]:
    first = cause.details[0] if cause.details else None
    if isinstance(first, dict) and "retryable" in first:
        return first
    return {"retryable": not cause.non_retryable}


def _timeout(cause: TimeoutError) -> Failure:
    if cause.type == TimeoutType.HEARTBEAT:
        return Failure("WorkerLost", "its worker said nothing within the heartbeat timeout, several times over")
    return Failure("StepTimeout", "its worker did not end it in time")
