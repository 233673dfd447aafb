"""One task, running or over: ask after it, wait for it, step in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, TypeVar, overload

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import QueryRejectCondition, RawValue
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.rows import Row
from tasker_temporal.declare import DeclaredStep
from tasker_temporal.errors import (
    RequestRefused,
    RequestUnanswered,
    TaskCancelled,
    TaskFailed,
    TaskLost,
    UnknownTask,
)
from tasker_temporal.reader import Reader
from tasker_temporal.wire import raw, read_raw

T = TypeVar("T")

PATIENCE = timedelta(seconds=10)
"""How long a request waits for its answer."""


class TaskHandle:
    """One task, running or over.

    Args:
        client: Connected with the plugin, or at least with the data converter that the task was started with.
        id: The task's id. If it was used again, the handle is that of the latest task.
    """

    def __init__(self, client: Client, id: str) -> None:
        self.client, self.id = client, id

    @property
    def workflow(self) -> WorkflowHandle[Any, Any]:
        """The task's workflow, for everything that Temporal itself can do."""
        return self.client.get_workflow_handle(self.id, result_type=RawValue)

    async def result(self) -> TaskReport:
        """Wait for the task's end.

        Raises:
            TaskFailed: it ended in `error`.
            TaskCancelled: it was cancelled.
            TaskLost: the run was terminated or timed out.
            UnknownTask: there is none of this id.
        """
        try:
            await self.workflow.result()
        except WorkflowFailureError as error:
            raise await self._ended(error.cause) from error
        except RPCError as error:
            raise self._not_open(error) from error
        return await self.report()

    async def _ended(self, cause: BaseException) -> Exception:
        if isinstance(cause, ApplicationError) and cause.type == "TaskFailed":
            return TaskFailed(cause.message, await self.report())
        if isinstance(cause, CancelledError):
            return TaskCancelled(f"task {self.id!r} was cancelled", await self.report())
        return TaskLost(f"task {self.id!r} was ended from outside: {cause}")

    async def report(self) -> TaskReport:
        """Where the task stands. Of a task that is over it needs no worker."""
        try:
            return TaskReport.model_validate(await self._query("report"))
        except WorkflowQueryRejectedError:
            return (await self._reader().record()).report()

    async def audit(self) -> list[Row]:
        """Every row, from the task's first run on, verified. Of runs that are over it needs no worker.

        Raises:
            RecordError: a record is missing or does not verify.
            UnknownTask: there is none of this id.
        """
        try:
            return [row async for row in self._reader().rows(self._open_rows)]
        except WorkflowQueryRejectedError:
            # The run was open when its record was looked for, and was over when it was asked.
            return await self.audit()
        except RPCError as error:
            raise self._not_open(error) from error

    async def _open_rows(self, run_id: str) -> AsyncIterator[dict[str, Any]]:
        after: int | None = 0
        while after is not None:
            page = await self._query("audit", {"after": after}, run_id=run_id)
            yield page
            after = page["next"]

    @overload
    async def result_of(self, step: DeclaredStep[..., Any, T]) -> T: ...
    @overload
    async def result_of(self, step: str) -> Any: ...
    async def result_of(self, step: Any) -> Any:
        """What the step returned, as its handler's return type if the step itself is given.

        Raises:
            RecordError: the step has not completed.
        """
        name = step if isinstance(step, str) else step.name
        payload = await self._reader().result(name, await self.report())
        converter = self.client.data_converter.payload_converter
        if isinstance(step, str):
            return converter.from_payload(payload)
        return converter.from_payload(payload, step.signature.result)

    async def waiting(self) -> list[dict[str, Any]]:
        """What the task waits for; nothing if it is over."""
        try:
            found: list[dict[str, Any]] = await self._query("waiting")
            return found
        except WorkflowQueryRejectedError:
            return []

    async def cancel(self, *, actor: str, reason: str, request_id: str | None = None) -> dict[str, Any]:
        """Stop the task. The answer has the rows that followed at once; `result` tells when it has stopped.

        Raises:
            RequestRefused: it is over, or being cancelled already.
            RequestUnanswered: no worker answered; the request may still be applied.
        """
        return await self._ask("cancel", {"actor": actor, "reason": reason, "request_id": request_id})

    async def skip(
        self, step: DeclaredStep[..., Any, Any] | str, *, actor: str, reason: str, request_id: str | None = None
    ) -> dict[str, Any]:
        """Go on without a pending or failed step. What requires its result is skipped too.

        Raises:
            RequestRefused: the step runs or is over, or the task is.
            RequestUnanswered: no worker answered; the request may still be applied.
        """
        request = {"step": _name(step), "actor": actor, "reason": reason, "request_id": request_id}
        return await self._ask("skip", request)

    async def plan(self, request: dict[str, Any]) -> list[Row]:
        """The rows that a request would write now, as `{"request": "skip", "step": ..., "actor": ..., "reason": ...}`.

        Raises:
            RequestRefused: it would be refused.
        """
        found = await self._query("plan", request)
        if "refused" in found:
            raise RequestRefused(found["refused"], found["legal"])
        return [Row.of(plain) for plain in found["rows"]]

    async def _ask(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        request["request_id"] = request["request_id"] or str(uuid.uuid4())
        try:
            answer = await self.workflow.execute_update(
                name, raw(request), id=request["request_id"], result_type=RawValue, rpc_timeout=PATIENCE
            )
        except WorkflowUpdateFailedError as error:
            raise _refused(error.cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise RequestUnanswered(request["request_id"], PATIENCE.total_seconds()) from error
        except RPCError as error:
            raise self._not_open(error) from error
        found: dict[str, Any] = read_raw(answer)
        return found

    def _not_open(self, error: RPCError) -> Exception:
        if error.status != RPCStatusCode.NOT_FOUND:
            return error
        if "already completed" in error.message:
            return RequestRefused(f"task {self.id!r} is over: only an open task takes requests")
        return UnknownTask(f"there is no task {self.id!r} in namespace {self.client.namespace!r}")

    async def _query(self, name: str, *arguments: Any, run_id: str | None = None) -> Any:
        handle = self.client.get_workflow_handle(self.id, run_id=run_id)
        try:
            answer = await handle.query(
                name,
                args=[raw(argument) for argument in arguments],
                result_type=RawValue,
                reject_condition=QueryRejectCondition.NOT_OPEN,
                rpc_timeout=PATIENCE,
            )
        except WorkflowQueryRejectedError as error:
            # The latest run when it was asked, it went on in a new one before it answered.
            if run_id is None and error.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
                return await self._query(name, *arguments)
            raise
        except WorkflowQueryFailedError as error:
            raise RequestRefused(str(error)) from error
        except RPCError as error:
            raise self._not_open(error) from error
        return read_raw(answer)

    def _reader(self) -> Reader:
        return Reader(self.client, self.id)


def _name(step: DeclaredStep[..., Any, Any] | str) -> str:
    return step if isinstance(step, str) else step.name


def _refused(cause: BaseException) -> Exception:
    if isinstance(cause, ApplicationError) and cause.type == "RequestRefused":
        known = cause.details[0]
        return RequestRefused(known["rule"], known["legal"])
    if isinstance(cause, ApplicationError):
        return RequestRefused(cause.message)
    return RequestRefused(str(cause))
