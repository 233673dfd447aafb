"""One task, running or over: ask after it, wait for it, step in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, NotRequired, TypedDict, TypeVar, Unpack, overload

from pydantic import ValidationError
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
from tasker_temporal.attributes import STATE
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.machine import ENDS, State
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.report import report as report_of
from tasker_temporal.core.requests import event_request
from tasker_temporal.core.rows import Row
from tasker_temporal.declare import DeclaredApproval, DeclaredStep
from tasker_temporal.door import PATIENCE, Door
from tasker_temporal.errors import NoAnswer, RecordError, RequestRefused, TaskCancelled, TaskFailed, TaskLost
from tasker_temporal.expression import DeclaredEvent, event_name
from tasker_temporal.local_activities import said
from tasker_temporal.reader import Reader
from tasker_temporal.record import read
from tasker_temporal.retelling import retold
from tasker_temporal.signature import adapter
from tasker_temporal.why import Explanation
from tasker_temporal.why import why as explained
from tasker_temporal.wire import payload_of, raw, read_raw

T = TypeVar("T")

AnyStep = DeclaredStep[..., Any, Any] | str


class Asked(TypedDict):
    """What every request carries: who asks, and why. The same `request_id` twice has one effect and one answer."""

    actor: str
    reason: str
    request_id: NotRequired[str]


class Told(TypedDict):
    """Who tells of an event, and why: `outside` and `it happened` unless said."""

    actor: NotRequired[str]
    reason: NotRequired[str]


LOST = {WorkflowExecutionStatus.TERMINATED: "terminated", WorkflowExecutionStatus.TIMED_OUT: "timed out"}
"""How a run ends that cannot write its own end."""


class TaskHandle:
    """One task, running or over.

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

    async def report(self, *, patience: timedelta = PATIENCE) -> TaskReport:
        """Where the task stands. If no worker answers within `patience`, its history is told again."""
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
        converter = self.client.data_converter.payload_converter
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

    # Stepping in. Each request says who asks and why, is applied whole or refused whole (`RequestRefused`), and answers
    # with the rows that followed. Without a worker it is `RequestUnanswered`, and may still be applied. A task whose
    # run failed is reopened for any request that is legal for a task in `error`.

    async def cancel(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Stop the task: what does not run at once, what runs within its `cancel_grace`."""
        return await self._door.ask("cancel", asked)

    async def pause(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Start nothing new until `resume`. Running steps end, and deadlines run on."""
        return await self._door.ask("pause", asked)

    async def resume(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Go on with a paused task."""
        return await self._door.ask("resume", asked)

    async def retry(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Go on with a task that is in `error`. Failed steps get all their attempts anew; done steps are not redone."""
        return await self._door.ask("retry", asked)

    async def resolve(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Close a task that is in `error` as dealt with by hand."""
        return await self._door.ask("resolve", asked)

    async def skip(self, step: AnyStep, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Go on without a pending or failed step. What requires its result is skipped too."""
        return await self._door.ask("skip", {"step": _name(step), **asked})

    async def retry_step(self, step: AnyStep, *, fresh: bool = False, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Try a failed step now. `fresh` gives it all its attempts anew."""
        return await self._door.ask("retry_step", {"step": _name(step), "fresh": fresh, **asked})

    async def retry_from(self, step: AnyStep, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Do a step that is over once more, and all that depends on it."""
        return await self._door.ask("retry_from", {"step": _name(step), **asked})

    async def resolve_step(self, step: AnyStep, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Take a pending or failed step as dealt with by hand, without a result."""
        return await self._door.ask("resolve_step", {"step": _name(step), **asked})

    @overload
    async def complete_step(
        self, step: DeclaredStep[..., Any, T], result: T, **asked: Unpack[Asked]
    ) -> dict[str, Any]: ...
    @overload
    async def complete_step(self, step: str, result: Any, **asked: Unpack[Asked]) -> dict[str, Any]: ...
    async def complete_step(self, step: Any, result: Any, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Take a step as done with this result, which must be of its handler's return type."""
        plain = json.loads(self.client.data_converter.payload_converter.to_payload(result).data or b"null")
        return await self._door.ask("complete_step", {"step": _name(step), "result": plain, **asked})

    async def change_step(
        self,
        step: AnyStep,
        *,
        attempts: int | None = None,
        timeout: timedelta | None = None,
        task_queue: str | None = None,
        config: Mapping[str, Any] | None = None,
        **asked: Unpack[Asked],
    ) -> dict[str, Any]:
        """Run a step that does not run otherwise than its template says, in this task only."""
        seconds = None if timeout is None else timeout.total_seconds()
        changes = {"attempts": attempts, "timeout": seconds, "task_queue": task_queue, "config": config}
        return await self._door.ask("change_step", {"step": _name(step), **changes, **asked})

    # Deciding. A vote may come before the approval opens. `approval` is its id, as `fraud_review#1`: with it the vote
    # is refused if another round counts by now. Without a step it is about the task's own approval.

    @overload
    async def approve(
        self, step: DeclaredApproval[T], form: T, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]: ...
    @overload
    async def approve(
        self,
        step: DeclaredApproval[None] | str | None = None,
        form: Any = None,
        *,
        approval: str | None = None,
        **asked: Unpack[Asked],
    ) -> dict[str, Any]: ...
    async def approve(
        self, step: Any = None, form: Any = None, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]:
        """Vote for it. The form of the vote that makes the quorum full is the step's result."""
        if isinstance(step, DeclaredApproval):
            form = _checked(step, form)
        plain = json.loads(self.client.data_converter.payload_converter.to_payload(form).data or b"null")
        return await self._door.ask("approve", {**_about(step, approval), "form": plain, **asked})

    async def reject(
        self, step: AnyStep | None = None, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]:
        """Vote against it, which decides at once."""
        return await self._door.ask("reject", {**_about(step, approval), **asked})

    async def withdraw(
        self, step: AnyStep | None = None, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]:
        """Take back the vote of this `actor`, while nothing is decided."""
        return await self._door.ask("withdraw", {**_about(step, approval), **asked})

    async def move(self, to: str, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Move a task along a row of its type that is taken because somebody asks for it."""
        return await self._door.ask("move", {"to": to, **asked})

    @overload
    async def send_event(
        self, event: DeclaredEvent[T], payload: T, *, id: str | None = None, **told: Unpack[Told]
    ) -> dict[str, Any]: ...
    @overload
    async def send_event(
        self, event: str, payload: Any = None, *, id: str | None = None, **told: Unpack[Told]
    ) -> dict[str, Any]: ...
    async def send_event(
        self, event: Any, payload: Any = None, *, id: str | None = None, **told: Unpack[Told]
    ) -> dict[str, Any]:
        """Tell the task of something that happened outside, by the declared event or by its name.

        Args:
            payload: What its model can validate; any JSON if the event has none.
            id: The same event told again under this id has no effect, and the same answer.
        """
        checked = payload if isinstance(event, str) else _valid(event, payload)
        plain = json.loads(self.client.data_converter.payload_converter.to_payload(checked).data or b"null")
        name = event_name(event)
        request_id = {} if id is None else {"id": id, "request_id": event_request(name, id)}
        return await self._door.ask("send_event", {"name": name, "payload": plain, **request_id, **told})

    async def plan(self, request: Mapping[str, Any]) -> list[Row]:
        """The rows that a request would write now, as `{"request": "skip", "step": ..., "actor": ..., "reason": ...}`.

        Raises:
            RequestRefused: it would be refused.
        """
        return await self._door.plan(request)

    def _reader(self) -> Reader:
        return Reader(self.client, self.id)


def _about(step: AnyStep | None, approval: str | None) -> dict[str, Any]:
    said = {"step": None if step is None else _name(step), "approval": approval}
    return {key: value for key, value in said.items() if value is not None}


def _checked(step: DeclaredApproval[Any], form: Any) -> Any:
    """What a worker would refuse is refused before it is sent."""
    try:
        return adapter(step.form).validate_python(form)
    except ValidationError as error:
        raise RequestRefused(f"the form of {step.name!r} is not valid: {said(error)}") from error


def _valid(event: DeclaredEvent[Any], payload: Any) -> Any:
    try:
        return adapter(event.model).validate_python(payload)
    except ValidationError as error:
        message = f"the payload of event {event.name!r} is not valid: {said(error)}"
        raise RequestRefused(message) from error


def _name(step: AnyStep) -> str:
    return step if isinstance(step, str) else step.name
