"""How a client reaches a task: queries and requests to its open run, or the reopening of one that failed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import QueryRejectCondition, RawValue, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal import requests
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import RunReopened
from tasker_temporal.core.task import Task
from tasker_temporal.errors import NoAnswer, RequestRefused, RequestUnanswered, UnknownTask
from tasker_temporal.reader import Reader
from tasker_temporal.wire import StartInput, content_of, raw, read_raw

PATIENCE = timedelta(seconds=10)
"""How long a request waits for its answer."""


class Door:
    """The way to one task."""

    def __init__(self, client: Client, id: str) -> None:
        self._client, self._id = client, id

    async def ask(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Make a request. A task whose run failed is reopened for it.

        Raises:
            RequestRefused: it broke a rule; nothing has changed.
            RequestUnanswered: no worker answered in time; it may still be applied.
            UnknownTask: there is none of this id.
        """
        plain = {**request, "request_id": request.get("request_id") or str(uuid.uuid4())}
        answer = await self._update_or_read(name, plain)
        if answer is None:
            await self._reopen({**plain, "request": name})
            answer = await self._update_or_read(name, plain)
        if answer is None:
            raise RequestUnanswered(plain["request_id"], PATIENCE.total_seconds())
        return answer

    async def _update_or_read(self, name: str, plain: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer of the open run, or the one that a closed run wrote down; None if it never had this request."""
        try:
            return await self._update(name, plain)
        except RPCError as error:
            if not any(word in error.message for word in ("already completed", "closing workflow")):
                raise self.translated(error) from error
        record = await Reader(self._client, self._id).record()
        known = record.snapshot.get("answers", {}).get(plain["request_id"])
        return None if known is None else requests.answer(known[0], known[1], record.rows)

    async def _update(self, name: str, plain: Mapping[str, Any]) -> dict[str, Any]:
        run = self._client.get_workflow_handle(self._id)
        try:
            answer = await run.execute_update(
                name, raw(plain), id=plain["request_id"], result_type=RawValue, rpc_timeout=PATIENCE
            )
        except WorkflowUpdateFailedError as error:
            raise _refused(error.cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise RequestUnanswered(plain["request_id"], PATIENCE.total_seconds()) from error
        found: dict[str, Any] = read_raw(answer)
        return found

    async def _reopen(self, plain: Mapping[str, Any]) -> None:
        """Start a new run from the written snapshot, with the request as the first thing that happens to it."""
        reader = Reader(self._client, self._id)
        record, context, latest = await reader.record(), await reader.context(), await reader.latest()
        task = record.task(content_of(context.payload))
        _check(task, plain, latest.run_id)
        start = StartInput.later(task.template, record.snapshot, latest.run_id, plain, latest.trace)
        try:
            await self._client.start_workflow(
                latest.type,
                args=[context, start.raw()],
                id=self._id,
                task_queue=latest.task_queue,
                static_summary=f"{task.template.name} {task.template.version}",
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            )
        except WorkflowAlreadyStartedError as error:
            raise RequestRefused("somebody reopened the task at the same moment: look again") from error

    async def query(self, name: str, *arguments: Any, run_id: str | None = None) -> Any:
        """Ask an open run.

        Raises:
            WorkflowQueryRejectedError: it is not open.
            RequestRefused: the query failed, and why.
            UnknownTask: there is none of this id.
        """
        run = self._client.get_workflow_handle(self._id, run_id=run_id)
        try:
            answer = await run.query(
                name,
                args=[raw(argument) for argument in arguments],
                result_type=RawValue,
                reject_condition=QueryRejectCondition.NOT_OPEN,
                rpc_timeout=PATIENCE,
            )
        except WorkflowQueryRejectedError as error:
            # The latest run when it was asked, it went on in a new one before it answered.
            if run_id is None and error.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
                return await self.query(name, *arguments)
            raise
        except WorkflowQueryFailedError as error:
            raise RequestRefused(str(error)) from error
        except RPCError as error:
            raise self.translated(error) from error
        return read_raw(answer)

    def translated(self, error: RPCError) -> Exception:
        """What the server said, in the library's words if it has any."""
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            seconds = PATIENCE.total_seconds()
            return NoAnswer(f"task {self._id!r} did not answer within {seconds:g} s: probably no worker runs for it")
        if error.status != RPCStatusCode.NOT_FOUND:
            return error
        return UnknownTask(f"there is no task {self._id!r} in namespace {self._client.namespace!r}")


def _check(task: Task, plain: Mapping[str, Any], run_id: str) -> None:
    """The core is the same here as in the workflow: what would be refused there is refused before anything starts."""
    engine = Engine(task)
    try:
        engine.apply(RunReopened(run_id), task.ended_at or task.now)
        engine.plan(requests.parse(None, plain), task.now)
    except ApplicationError as error:
        raise RequestRefused(error.message) from error


def _refused(cause: BaseException) -> Exception:
    if isinstance(cause, ApplicationError) and cause.type == "RequestRefused":
        known = cause.details[0]
        return RequestRefused(known["rule"], known["legal"])
    if isinstance(cause, ApplicationError):
        return RequestRefused(cause.message)
    return RequestRefused(str(cause))
