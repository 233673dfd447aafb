"""One task, running or over: ask after it, wait for it, step in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, overload

from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryRejectedError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError

from tasker_temporal import views
from tasker_temporal.asking import Requests
from tasker_temporal.attributes import STATE
from tasker_temporal.converter import converter_of
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.machine import ENDS, State
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.report import report as report_of
from tasker_temporal.core.rows import Row
from tasker_temporal.declare import DeclaredStep
from tasker_temporal.door import Door
from tasker_temporal.errors import NoAnswer, RecordError, TaskCancelled, TaskFailed, TaskLost
from tasker_temporal.payloads import payload_of, raw, read_raw
from tasker_temporal.reader import Reader
from tasker_temporal.record import read
from tasker_temporal.retelling import retold
from tasker_temporal.why import Explanation
from tasker_temporal.why import why as explained

T = TypeVar("T")


LOST = {WorkflowExecutionStatus.TERMINATED: "terminated", WorkflowExecutionStatus.TIMED_OUT: "timed out"}
"""How a run ends that cannot write its own end."""


class TaskHandle(Requests):
    """One task, running or over: where it stands, what it waits for, its results, its audit, and all requests.

    `start_task` returns one; `TaskHandle(client, "order-7")` is the same task again, in any process.

    Args:
        client: Connected with the plugin, or at least with the data converter that the task was started with.
        id: The task's id. If it was used again, the handle is that of the latest task.
    """

    def __init__(self, client: Client, id: str) -> None:
        self.client, self.id = client, id
        self._door = Door(client, id)
        self._listed: bool | None = None

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
            outcome = await self.workflow.result()
        except WorkflowFailureError as error:
            raise await self._ended(error.cause) from error
        except RPCError as error:
            raise self._door.translated(error) from error
        return await self._told(read_raw(outcome))

    async def _told(self, outcome: Any) -> TaskReport:
        """An outcome carries the record, unless that is too large: then it is in the history."""
        packed = outcome.get("record") if isinstance(outcome, dict) else None
        return await self.report() if packed is None else read(packed).report()

    async def _ended(self, cause: BaseException) -> Exception:
        if isinstance(cause, ApplicationError) and cause.type == "TaskFailed":
            return TaskFailed(cause.message, await self._told(cause.details[0] if cause.details else None))
        if isinstance(cause, CancelledError):
            return TaskCancelled(f"task {self.id!r} was cancelled", await self.report())
        return TaskLost(f"task {self.id!r} was ended from outside: {cause}")

    async def report(self, *, patience: timedelta | None = None) -> TaskReport:
        """Where the task stands. If no worker answers within `patience` (10 s), its history is told again."""
        try:
            return TaskReport.model_validate(await self._door.query("report", patience=patience))
        except WorkflowQueryRejectedError:
            return (await self._reader().record()).report()
        except NoAnswer:
            engine = await retold(self.client, self.id)
        return report_of(engine.task) if engine is not None else views.preparing(self.id, await self._type())

    async def _type(self) -> str:
        return (await self._reader().latest()).type

    async def audit(self) -> list[Row]:
        """Every row, from the task's first run on, verified. If no worker answers, the open run is told again.

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
            raise self._door.translated(error) from error

    async def _open_rows(self, run_id: str) -> AsyncIterator[dict[str, Any]]:
        after: int | None = 0
        engine: Engine | None = None
        while after is not None:
            try:
                page = await self._page(engine, run_id, after)
            except NoAnswer:
                if (engine := await retold(self.client, self.id, run_id)) is None:
                    raise
                continue
            yield page
            after = page["next"]

    async def _page(self, engine: Engine | None, run_id: str, after: int) -> dict[str, Any]:
        if engine is not None:
            return views.audit(engine, {"after": after})
        page: dict[str, Any] = await self._door.query("audit", {"after": after}, run_id=run_id)
        return page

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
        report = await self.report()
        by_hand = name in report.steps and report.steps[name].by_hand
        payload = await (self._given(name) if by_hand else self._reader().result(name, report))
        converter = converter_of(self.client)
        if isinstance(step, str):
            return converter.from_payload(payload)
        return converter.from_payload(payload, step.signature.result)

    async def _given(self, step: str) -> Payload:
        """A result that somebody gave is in no activity, but every run knows it."""
        try:
            return raw(await self._door.query("result", step)).payload
        except WorkflowQueryRejectedError:
            return await self._reader().given(step)
        except NoAnswer:
            if (engine := await retold(self.client, self.id)) is None:
                raise
            return payload_of(engine.task.steps[step].result)

    async def waiting(self) -> list[dict[str, Any]]:
        """What the task waits for, nothing if it is over. If no worker answers, its history is told again."""
        try:
            found: list[dict[str, Any]] = await self._door.query("waiting")
        except WorkflowQueryRejectedError:
            found = []
        except NoAnswer:
            found = views.waiting(await retold(self.client, self.id))
        return found

    async def why(self) -> Explanation:
        """Why the task does not go on, or how it ended: a sentence for each thing, with the best that one can do.

        It also tells when no worker lives, when its workers poll other queues, and when they fail.

        Raises:
            UnknownTask: there is none of this id.
        """
        return await explained(self.client, self.id)

    async def settled(self) -> TaskReport:
        """Wait until the task is over, or in `error` and held for somebody to step in; also for a worker, if none is.

        A task that tells search attributes is not asked itself, only the server.

        Raises:
            TaskLost: the run was terminated or timed out.
            UnknownTask: there is none of this id.
        """
        pause = 0.05
        while (report := await self._settled()) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 2.0)
        return report

    async def _settled(self) -> TaskReport | None:
        """The report, if the task is settled. An open run of one that is not listed must be asked."""
        try:
            run = await self.workflow.describe()
        except RPCError as error:
            raise self._door.translated(error) from error
        if run.status in LOST:
            raise TaskLost(f"task {self.id!r} was ended from outside: it was {LOST[run.status]}")
        is_open = run.status is WorkflowExecutionStatus.RUNNING
        if is_open and run.typed_search_attributes.get(STATE) != State.ERROR and await self._is_listed():
            return None
        report = await self.report()
        return report if report.state in ENDS else None

    async def _is_listed(self) -> bool:
        """It was decided when the task was started, so it is looked up once."""
        if self._listed is None:
            with suppress(RecordError):  # No worker has prepared it yet, or its first run is not kept any more.
                self._listed = (await self._reader().beginning()).start.listed
        return self._listed is True

    def _reader(self) -> Reader:
        return Reader(self.client, self.id)
