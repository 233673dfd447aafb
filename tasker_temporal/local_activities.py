"""The library's own local activities: what a workflow must ask the outside, and what it leaves behind in markers."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from temporalio import activity
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal.core.rows import salted
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.errors import ContextInvalid
from tasker_temporal.given import given_payload, given_result, problems_of
from tasker_temporal.identity import Claim, is_signed
from tasker_temporal.payloads import raw, read_raw, undecoded
from tasker_temporal.wire import Prepared, StartInput, successor

PREPARE: Final = "tasker.prepare"
CHECK_RESULT: Final = "tasker.check_result"
CHECK_EVENT: Final = "tasker.check_event"
RECORD: Final = "tasker.record"
WHO_CANCELLED: Final = "tasker.who_cancelled"
CANCEL: Final = "tasker.cancel"
WHO_ASKS: Final = "tasker.who_asks"
FOLLOW: Final = "tasker.follow"

KEY_BYTES = 32


def check_context(template: TaskTemplate[Any], context: Any) -> Any:
    """The context as the template's type.

    Raises:
        ContextInvalid: it does not validate.
    """
    try:
        return TypeAdapter(template.context).validate_python(context)
    except ValidationError as error:
        raise ContextInvalid(template.name, problems_of(error)) from error


def _problems(template: TaskTemplate[Any], payload: Payload) -> list[dict[str, Any]]:
    try:
        value = activity.payload_converter().from_payload(payload)
        check_context(template, value)
    except ContextInvalid as error:
        return [dict(problem) for problem in error.problems]
    except Exception as error:
        # The error's own text may repeat what it choked on.
        return [{"loc": [], "type": type(error).__name__, "msg": undecoded(payload)}]
    return []


Listed = Callable[[Client], Awaitable[bool]]
"""Whether new tasks tell search attributes, on that client's namespace."""


async def _unlisted(client: Client) -> bool:
    return False


def prepare(templates: Mapping[str, TaskTemplate[Any]], listed: Listed) -> Callable[..., Any]:
    """`tasker.prepare`: the template, a key, and the context's errors, for a task that was started without them."""

    @activity.defn(name=PREPARE)
    async def tasker_prepare(context: RawValue) -> RawValue:
        template = templates[activity.info().workflow_type or ""]
        key = secrets.token_bytes(KEY_BYTES)
        because = "started without the library's client"
        tells = await listed(activity.client())
        start = StartInput.first(template.compiled, key, "unknown", because, listed=tells)
        problems = tuple(_problems(template, context.payload))
        prepared = Prepared(start=start, context_digest=salted(key, context.payload.data), problems=problems)
        return raw(prepared.model_dump(mode="json"))

    return tasker_prepare


def check_result(templates: Mapping[str, TaskTemplate[Any]]) -> Callable[..., Any]:
    """`tasker.check_result`: a result given by hand as JSON of the handler's return type, or the `problem` with it."""

    @activity.defn(name=CHECK_RESULT)
    async def tasker_check_result(step: RawValue, result: RawValue) -> RawValue:
        template = templates[activity.info().workflow_type or ""]
        return raw(given_result(template, read_raw(step), result.payload.data, activity.payload_converter()))

    return tasker_check_result


def check_event(templates: Mapping[str, TaskTemplate[Any]]) -> Callable[..., Any]:
    """`tasker.check_event`: an event's payload as JSON of the declared type, or the `problem` with it."""

    @activity.defn(name=CHECK_EVENT)
    async def tasker_check_event(event: RawValue, payload: RawValue) -> RawValue:
        template = templates[activity.info().workflow_type or ""]
        return raw(given_payload(template, read_raw(event), payload.payload.data, activity.payload_converter()))

    return tasker_check_event


@activity.defn(name=RECORD)
async def record(chunk: RawValue) -> RawValue:
    """`tasker.record`: gives back what it is given, so that it stands in the marker of this local activity."""
    return chunk


@activity.defn(name=WHO_CANCELLED)
async def who_cancelled() -> RawValue:
    """`tasker.who_cancelled`: the identity that asked Temporal to cancel this run, and the cause it gave."""
    info, client = activity.info(), activity.client()
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=info.namespace,
        execution=WorkflowExecution(workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or ""),
        maximum_page_size=200,
    )
    page = await client.workflow_service.get_workflow_execution_history_reverse(request)
    for event in page.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            asked = event.workflow_execution_cancel_requested_event_attributes
            return raw({"actor": asked.identity, "reason": asked.cause})
    return raw({})


@activity.defn(name=CANCEL)
async def cancel(reason: RawValue) -> None:
    """`tasker.cancel`: asks Temporal to cancel this run. A workflow cannot ask for its own cancellation itself."""
    info = activity.info()
    run = activity.client().get_workflow_handle(info.workflow_id or "", run_id=info.workflow_run_id)
    await run.cancel(reason=read_raw(reason))


PASSING: Final = (
    *(RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.RESOURCE_EXHAUSTED),
    *(RPCStatusCode.ABORTED, RPCStatusCode.INTERNAL, RPCStatusCode.UNKNOWN, RPCStatusCode.CANCELLED),
)
"""What a server says that may say otherwise in a moment."""


@activity.defn(name=FOLLOW)
async def follow(runs: RawValue) -> None:
    """`tasker.follow`: lets this run take the request ids with which those runs could be reopened once more.

    A server that does not know this way takes nothing, and so refuses less; nothing else differs.
    """
    client = activity.client()
    for run_id in read_raw(runs):
        try:
            await client.workflow_service.start_workflow_execution(_place_of(run_id, client), retry=True)
        except RPCError as error:
            if error.status in PASSING:
                raise


def _place_of(run_id: str, client: Client) -> StartWorkflowExecutionRequest:
    """It starts nothing as long as there is any run of the task; else what it starts is over at once."""
    info = activity.info()
    request = StartWorkflowExecutionRequest(
        namespace=info.namespace,
        workflow_id=info.workflow_id or "",
        identity=client.identity,
        request_id=successor(run_id),
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
        workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
    )
    request.workflow_type.name, request.task_queue.name = info.workflow_type or "", info.task_queue
    request.on_conflict_options.attach_request_id = True
    request.workflow_execution_timeout.FromSeconds(1)
    return request


def who_asks(key: bytes | None) -> Callable[..., Any]:
    """`tasker.who_asks`: is a claim signed with the workers' key? Without one, whoever may write is believed.

    In a local activity, because what a worker is configured with must not decide what a workflow does.
    """

    @activity.defn(name=WHO_ASKS)
    async def tasker_who_asks(claim: RawValue, use: RawValue) -> RawValue:
        claimed, (purpose, digest) = Claim.model_validate(read_raw(claim)), read_raw(use)
        if key is None or is_signed(claimed, key, activity.info().workflow_id or "", purpose, digest):
            return raw({"identity": claimed.identity.model_dump(mode="json")})
        return raw({"problem": f"the identity {claimed.actor!r} in its header is not signed with the workers' key"})

    return tasker_who_asks


def local_activities(
    templates: Mapping[str, TaskTemplate[Any]], listed: Listed = _unlisted, identity_key: bytes | None = None
) -> Sequence[Callable[..., Any]]:
    """All of them, for a worker that has these templates by name."""
    return [
        prepare(templates, listed),
        check_result(templates),
        check_event(templates),
        record,
        who_cancelled,
        cancel,
        follow,
        who_asks(identity_key),
    ]
