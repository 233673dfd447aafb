"""How a client reaches a task: queries and requests to its open run, or the reopening of one that failed."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import uuid
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import QueryRejectCondition, RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal import requests
from tasker_temporal.core.messages import Answer
from tasker_temporal.core.repeats import answered
from tasker_temporal.core.requests import Ask, VoteAsk
from tasker_temporal.core.rows import Row
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.errors import NoAnswer, RequestRefused, RequestUnanswered, UnknownTask
from tasker_temporal.given import as_checked, declares
from tasker_temporal.identity import claimed
from tasker_temporal.payloads import content_of, raw, read_raw
from tasker_temporal.pollers import pollers
from tasker_temporal.reader import Reader
from tasker_temporal.readiness import once_ready
from tasker_temporal.record import Record
from tasker_temporal.reopening import TOO_LATE, planned, reopen

PATIENCE = timedelta(seconds=10)
"""How long a request or a question waits for its answer, unless it says otherwise."""

LOOK_AFTER = 0.5
"""Seconds without an answer after which a question looks whether there is a worker at all."""


NEVER_REOPENS = ("send_event",)
"""What happens outside is no decision to go on with a task that failed."""


HANDED_OVER = ("form", "result", "config")
"""The fields of requests that may hold anything."""


class Planned(list[Row]):
    """The rows that a request would write.

    Attributes:
        unchecked: What is not known to be of the right type, as `the result of step 'charge'`: a worker checks it when
            the request is made. Empty if nothing is left to be checked: a client that has the task's template has
            checked it by that.
    """

    def __init__(self, rows: Iterable[Row], unchecked: str = "") -> None:
        super().__init__(rows)
        self.unchecked = unchecked


@runtime_checkable
class Knowing(Protocol):
    """A plugin of a client that has templates."""

    @property
    def templates(self) -> Mapping[str, TaskTemplate[Any]]:
        """By their names."""
        ...


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
        drawn = {} if request.get("request_id") is not None else {"request_id": str(uuid.uuid4())}
        plain = {**request, **drawn}
        asked = _check(name, plain)
        answer = await self._update_or_read(name, plain, asked)
        if answer is None and name in NEVER_REOPENS:
            raise RequestRefused("the task is over: nobody waits for it any more")
        if answer is None:
            await self._reopen({**plain, "request": name}, asked)
            answer = await self._update_or_read(name, plain, asked)
        if answer is None:
            raise RequestRefused("the task was over before it could be asked: look again")
        return await self._whole(answer)

    async def _update_or_read(self, name: str, plain: Mapping[str, Any], asked: Ask) -> dict[str, Any] | None:
        """The answer of the open run, or the one that a closed run wrote down; None if it never had this request."""
        try:
            return await self._update(name, plain, asked)
        except RPCError as error:
            if not any(word in error.message for word in ("already completed", "closing workflow")):
                raise self.translated(error) from error
        record = await Reader(self._client, self._id).record()
        known = self._answered(record, asked)
        return None if known is None else requests.answer(known.first, known.last, record.rows)

    def _answered(self, record: Record, asked: Ask) -> Answer | None:
        identity = claimed(self._client)
        return answered(record.task(), asked if identity is None else asked.verified(identity))

    async def _reopen(self, request: Mapping[str, Any], asked: Ask) -> None:
        """Reopen the task for the request, unless somebody has done so with the same one, under its id."""
        try:
            await reopen(self._client, self._id, request)
        except RequestRefused as error:
            if error.rule != TOO_LATE or await self._would_write(request, asked):
                raise

    async def _would_write(self, request: Mapping[str, Any], asked: Ask) -> bool:
        try:
            found = await self.query("plan", request)
        except WorkflowQueryRejectedError:
            return self._answered(await Reader(self._client, self._id).record(), asked) is None
        return bool(found.get("rows", True))

    async def _whole(self, answer: dict[str, Any]) -> dict[str, Any]:
        """What an earlier run of the task was asked stands in that run's record."""
        first, last = answer["first"], answer["last"]
        if answer["rows"] or last < first:
            return answer
        return requests.answer(first, last, await Reader(self._client, self._id).written(first, last))

    async def _update(self, name: str, plain: Mapping[str, Any], asked: Ask) -> dict[str, Any]:
        run = self._client.get_workflow_handle(self._id)
        try:
            answer: RawValue = await once_ready(
                lambda: run.execute_update(
                    name, raw(plain), id=_update_id(asked), result_type=RawValue, rpc_timeout=PATIENCE
                )
            )
        except WorkflowUpdateFailedError as error:
            raise _refused(error.cause) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise RequestUnanswered(plain["request_id"], PATIENCE.total_seconds()) from error
        found: dict[str, Any] = read_raw(answer)
        return found

    async def plan(self, request: Mapping[str, Any]) -> Planned:
        """The rows that the request would write now, in the open run or in the one that it would open.

        Raises:
            RequestRefused: it would be refused.
            UnknownTask: there is none of this id.
        """
        asked = _check(None, request)
        try:
            found = await self.query("plan", dict(request))
        except WorkflowQueryRejectedError:
            found = await self._plan_reopening(request, asked)
        if "refused" in found:
            raise RequestRefused(found["refused"], found["legal"])
        rows, unchecked = [Row.of(plain) for plain in found["rows"]], found.get("unchecked", "")
        template = self._known(found["template"]) if unchecked else None
        if template is None or not declares(template, asked):
            return Planned(rows, unchecked)
        as_checked(template, asked, self._client.data_converter.payload_converter)
        return Planned(rows)

    async def _plan_reopening(self, request: Mapping[str, Any], asked: Ask) -> dict[str, Any]:
        """As the query tells it, of a task that is over."""
        reader = Reader(self._client, self._id)
        record, context = await reader.record(), await reader.context()
        task = record.task(content_of(context.payload))
        rows = [row.plain() for row in planned(task, request, "")]
        return {"rows": rows, "template": task.template.name, "unchecked": requests.unchecked(task, asked, rows)}

    def _known(self, name: str) -> TaskTemplate[Any] | None:
        """The template of that name, as this client has it."""
        plugins = self._client.config(active_config=True)["plugins"]
        return next((p.templates[name] for p in plugins if isinstance(p, Knowing) and name in p.templates), None)

    async def query(
        self, name: str, *arguments: Any, run_id: str | None = None, patience: timedelta | None = None
    ) -> Any:
        """Ask an open run.

        Raises:
            WorkflowQueryRejectedError: it is not open.
            RequestRefused: the query failed, and why.
            NoAnswer: no worker answered, or none is there that could.
            UnknownTask: there is none of this id.
        """
        run = self._client.get_workflow_handle(self._id, run_id=run_id)
        asked: asyncio.Future[RawValue] = asyncio.ensure_future(
            once_ready(
                lambda: run.query(
                    name,
                    args=[raw(argument) for argument in arguments],
                    result_type=RawValue,
                    reject_condition=QueryRejectCondition.NOT_OPEN,
                    rpc_timeout=patience or PATIENCE,
                )
            )
        )
        try:
            await self._look_around(asked)
            return read_raw(await asked)
        except WorkflowQueryRejectedError as error:
            # The latest run when it was asked, it went on in a new one before it answered.
            if run_id is None and error.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
                return await self.query(name, *arguments, patience=patience)
            raise
        except WorkflowQueryFailedError as error:
            raise RequestRefused(str(error)) from error
        except RPCError as error:
            raise self.translated(error, patience) from error
        finally:
            asked.cancel()

    async def _look_around(self, asked: asyncio.Future[Any]) -> None:
        """If no answer comes at once, see whether anybody is there who could give one."""
        await asyncio.wait([asked], timeout=LOOK_AFTER)
        if asked.done():
            return
        queue = (await self._client.get_workflow_handle(self._id).describe()).task_queue
        if await pollers(self._client, queue) == []:
            raise NoAnswer(f"task {self._id!r} does not answer: no worker polls task queue {queue!r}")

    def translated(self, error: RPCError, patience: timedelta | None = None) -> Exception:
        """What the server said, in the library's words if it has any."""
        if error.status is RPCStatusCode.FAILED_PRECONDITION:
            return NoAnswer(f"task {self._id!r} does not answer, because its workflow task fails: {error.message}")
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            seconds = (patience or PATIENCE).total_seconds()
            return NoAnswer(f"task {self._id!r} did not answer within {seconds:g} s: probably no worker runs for it")
        if error.status != RPCStatusCode.NOT_FOUND:
            return error
        return UnknownTask(f"there is no task {self._id!r} in namespace {self._client.namespace!r}")


def _update_id(asked: Ask) -> str:
    """Whatever is sent under the same id, the server answers as it answered first: so only the same request has it.

    Ids are never encrypted. So none lets anybody guess what was handed over, or who voted: only the task compares that.
    """
    secret = isinstance(asked, VoteAsk) or any(getattr(asked, name, None) is not None for name in HANDED_OVER)
    content = secrets.token_bytes() if secret else asked.content
    return f"{asked.request_id} {hashlib.sha256(content).hexdigest()[:12]}"


def _check(name: str | None, request: Any) -> Ask:
    """Read the request, and refuse here what can be seen here.

    A request over the server's limit of 2 MiB, were it sent, would stop the task for as long as somebody waits.

    Raises:
        RequestRefused: it is no request, or too large.
    """
    try:
        asked = requests.parse(name, request)
        requests.require_small(request)
    except ApplicationError as error:
        raise RequestRefused(error.message, None) from error
    return asked


def _refused(cause: BaseException) -> Exception:
    if isinstance(cause, ApplicationError) and cause.type == "RequestRefused":
        known = cause.details[0]
        return RequestRefused(known["rule"], known["legal"])
    if isinstance(cause, ApplicationError):
        return RequestRefused(cause.message, None)
    return RequestRefused(str(cause))
