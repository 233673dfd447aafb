"""Reopens a task whose run failed: a new run of the same id, from the written snapshot, with a request as its first.

Of two that read the same failed run only one can open the next. A start's request id names the run that was read, and
the server answers who starts with an id that the task's latest run has taken with that run. Every later run takes the
ids of all runs that were reopened before it (`tasker.follow`), so who comes too late is told so, however late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal import requests
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import RunReopened
from tasker_temporal.core.rows import Row
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import PAYLOAD_LIMIT
from tasker_temporal.errors import RequestRefused
from tasker_temporal.histories import Run
from tasker_temporal.payloads import content_of
from tasker_temporal.reader import Reader
from tasker_temporal.wire import StartInput, successor

TOO_LATE = "somebody reopened the task at the same moment: look again"

REOPENED_KEPT = 100
"""A run takes the place of at most so many: each costs it an event."""

KEPT = (
    *("workflow_type", "task_queue", "memo", "search_attributes", "priority"),
    *("workflow_execution_timeout", "workflow_run_timeout", "workflow_task_timeout"),
)
"""What a new run has as the run before it was started with."""


async def reopen(client: Client, task_id: str, plain: Mapping[str, Any]) -> None:
    """Start a new run for this request, unless the latest one is open.

    Raises:
        RequestRefused: the request is not legal, or somebody else was faster.
        RecordError: the latest run left no record.
    """
    reader = Reader(client, task_id)
    latest = await reader.latest()
    if await reader.is_open(latest.run_id):
        return
    record, context = await reader.record(latest.run_id), await reader.context()
    task = record.task(content_of(context.payload))
    if not planned(task, plain, latest.run_id):
        raise RequestRefused(TOO_LATE, None)
    trace = await reader.trace(latest)
    known = await reader.start_of(latest.run_id)
    reopened = (*(known.reopened if known else ()), latest.run_id)[-REOPENED_KEPT:]
    start = StartInput.later(
        task.template, record.snapshot, latest.run_id, reopened=reopened, request=plain, trace=trace
    )
    argument = start.raw()
    if (size := argument.payload.ByteSize()) > PAYLOAD_LIMIT:
        rule = f"the task and the request take {size} bytes: at most {PAYLOAD_LIMIT} can be handed to a new run"
        raise RequestRefused(rule)
    if (await reader.latest()).run_id != latest.run_id:
        raise RequestRefused(TOO_LATE, None)
    run_id = await _started(client, task_id, latest, [context, argument])
    if (await reader.request(run_id) or {}).get("request_id") != plain["request_id"]:
        raise RequestRefused(TOO_LATE, None)


def planned(task: Task, plain: Mapping[str, Any], run_id: str) -> Sequence[Row]:
    """The rows that the request would write in a new run: none if it came before. The core is the same here as there.

    Raises:
        RequestRefused: it would be refused there.
    """
    engine = Engine(task)
    try:
        engine.apply(RunReopened(run_id), task.ended_at or task.now)
        return engine.plan(requests.parse(None, plain), task.now)
    except ApplicationError as error:
        raise RequestRefused(error.message) from error


async def _started(client: Client, task_id: str, latest: Run, arguments: Sequence[Any]) -> str:
    """The id of the run that was started after the latest, now or before."""
    following = Following(client, latest)
    config = client.config(active_config=True)
    config["plugins"], config["interceptors"] = [], [*config["interceptors"], following]
    try:
        handle: WorkflowHandle[Any, Any] = await Client(**config).start_workflow(
            latest.type, args=arguments, id=task_id, task_queue=latest.task_queue
        )
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            raise RequestRefused(TOO_LATE, None) from error
        raise
    return handle.result_run_id or ""


class Following(Interceptor):
    """Starts the run that follows on another. The SDK would draw a request id; the client's interceptors come first."""

    def __init__(self, client: Client, latest: Run) -> None:
        self.client, self.latest = client, latest

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _FollowingOutbound(next, self.client, self.latest)


class _FollowingOutbound(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, client: Client, latest: Run) -> None:
        super().__init__(next)
        self._client, self._latest = client, latest

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        request = StartWorkflowExecutionRequest(
            namespace=self._client.namespace,
            workflow_id=input.id,
            identity=self._client.identity,
            request_id=successor(self._latest.run_id),
            workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
            workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
        )
        request.input.payloads.extend(await self._client.data_converter.encode(input.args))
        started = self._latest.begun
        for field, value in started.ListFields():
            if field.name in KEPT:
                getattr(request, field.name).CopyFrom(value)
        request.user_metadata.CopyFrom(self._latest.started.user_metadata)
        for name, payload in input.headers.items():
            request.header.fields[name].CopyFrom(payload)
        answer = await self._client.workflow_service.start_workflow_execution(
            request, retry=True, metadata=input.rpc_metadata, timeout=input.rpc_timeout
        )
        return WorkflowHandle(self._client, input.id, result_run_id=answer.run_id)
