"""Reads a task's written record out of Temporal's history, over all its runs, without a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistoryEventFilterType
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal.core.machine import State
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.rows import Row, genesis, salted, verify
from tasker_temporal.core.template import Template
from tasker_temporal.errors import RecordError
from tasker_temporal.local_activities import PREPARE, RECORD
from tasker_temporal.payloads import content_of, payload_of, read_raw
from tasker_temporal.record import Record, read
from tasker_temporal.wire import TRACE_HEADER, Prepared, StartInput, carried, unpacked_template

Pages = Callable[[str], AsyncIterator[dict[str, Any]]]
"""Asks the open run of that id for its rows."""


class Beginning(NamedTuple):
    """How a task began. `context_digest` is salted."""

    task_id: str
    start: StartInput
    context_digest: str

    @property
    def genesis(self) -> str:
        """What the task's first row is chained to."""
        return genesis(self.task_id, self.start.digest, self.context_digest)

    @property
    def template(self) -> Template:
        """The template that the task keeps for its whole life."""
        return unpacked_template(self.start.template)


class Run(NamedTuple):
    """What there is to know of a run to start another like it."""

    run_id: str
    started: HistoryEvent
    """Its first event."""

    @property
    def type(self) -> str:
        return self.started.workflow_execution_started_event_attributes.workflow_type.name

    @property
    def task_queue(self) -> str:
        return self.started.workflow_execution_started_event_attributes.task_queue.name


class Reader:
    """Reads one task.

    Args:
        last: Its last run, if it is not the latest of this id.
    """

    def __init__(self, client: Client, id: str, last: str | None = None) -> None:
        self._client, self._id, self._last = client, id, last

    async def record(self, run_id: str | None = None) -> Record:
        """The record of one closed run, the latest unless said, its chain verified.

        Raises:
            RecordError: the run left none, or it does not verify.
        """
        packed = await self._inline(run_id) or _joined(await self._markers(run_id))
        if packed is None:
            which = f"run {run_id}" if run_id else "the latest run"
            raise RecordError(f"{which} of task {self._id!r} left no record: it is open, or was ended from outside")
        return read(packed)

    async def rows(self, open_rows: Pages) -> AsyncIterator[Row]:
        """Every row of the task, oldest first. The chain is verified over all runs; `open_rows` asks the open one."""
        runs = await self.runs()
        head = (await self._beginning(runs[0])).genesis
        sort_key = 0
        for run_id in runs:
            async for before, rows in self._run_rows(run_id, open_rows):
                if before is not None and before != (sort_key, head):
                    raise RecordError(
                        f"run {run_id} goes on from row {before[0]}, but {sort_key} rows are known",
                        sort_key=sort_key + 1,
                    )
                head = verify(rows, head, after=sort_key)
                for row in rows:
                    sort_key = row.sort_key
                    yield row

    async def beginning(self) -> Beginning:
        """How the task's first run began.

        Raises:
            RecordError: no worker has taken it yet, or that run is not kept any more.
        """
        return await self._beginning((await self.runs())[0])

    async def result(self, step: str, known: TaskReport) -> Payload:
        """The step's result as the payload that its activity gave.

        Raises:
            RecordError: there is no such step, or it has not completed.
        """
        if step not in known.steps:
            raise RecordError(f"there is no step {step!r} in task {self._id!r}; there are {', '.join(known.steps)}")
        line = known.steps[step]
        if line.state is not State.COMPLETE:
            raise RecordError(f"step {step!r} of task {self._id!r} is {line.state}: it has no result")
        for run_id in reversed(await self.runs()):
            async for payload in self._results(run_id, f"{step}:{line.execution}"):
                return payload
        raise RecordError(f"the run in which step {step!r} of task {self._id!r} completed is not kept any more")

    async def given(self, step: str) -> Payload:
        """The result that somebody gave for the step."""
        content = (await self.record()).task().steps[step].result
        if content is None:
            raise RecordError(f"step {step!r} of task {self._id!r} has no result")
        return payload_of(content)

    async def _inline(self, run_id: str | None) -> str | None:
        async for event in self._events(run_id, closing=True):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                payloads = event.workflow_execution_completed_event_attributes.result.payloads
                return _record_in(await self._decode(payloads[0]))
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
                failure = event.workflow_execution_failed_event_attributes.failure
                error = await self._client.data_converter.decode_failure(failure)
                details = error.details if isinstance(error, ApplicationError) else ()
                return _record_in(details[0] if details else None)
        return None

    async def _markers(self, run_id: str | None) -> list[dict[str, Any]]:
        return [plain async for name, plain in self._local_results(run_id) if name == RECORD]

    async def _local_results(self, run_id: str | None) -> AsyncIterator[tuple[str, Any]]:
        async for event in self._events(run_id):
            if event.event_type != EventType.EVENT_TYPE_MARKER_RECORDED:
                continue
            details = event.marker_recorded_event_attributes.details
            if "data" in details and "result" in details:
                name = read_raw(RawValue(details["data"].payloads[0])).get("activity_type")
                if name in (RECORD, PREPARE):
                    yield name, await self._decode(details["result"].payloads[0])

    async def _run_rows(self, run_id: str, open_rows: Pages) -> AsyncIterator[tuple[tuple[int, str] | None, list[Row]]]:
        if not await self.is_open(run_id):
            record = await self.record(run_id)
            yield record.before, list(record.rows)
            return
        first = True
        async for page in open_rows(run_id):
            before = (page["before"][0], page["before"][1]) if first else None
            yield before, [Row.of(plain) for plain in page["rows"]]
            first = False

    async def is_open(self, run_id: str) -> bool:
        """Asked for the closing event of an open run, the server would wait 20 seconds for it."""
        described = await self._client.get_workflow_handle(self._id, run_id=run_id).describe()
        return described.status is WorkflowExecutionStatus.RUNNING

    async def runs(self) -> list[str]:
        """The ids of the task's runs, oldest first."""
        found: list[str] = []
        run_id = await self._latest()
        while run_id:
            found.insert(0, run_id)
            run_id = await self._previous(run_id)
        return found

    async def _previous(self, run_id: str) -> str:
        """The run that this one goes on from: by continuing as new, or because it was reopened."""
        start = await self.start_of(run_id)
        return start.previous_run if start else ""

    async def request(self, run_id: str) -> Mapping[str, Any] | None:
        """The request for which this run was reopened, if it was."""
        start = await self.start_of(run_id)
        return start.request if start else None

    async def start_of(self, run_id: str) -> StartInput | None:
        """What the run was started with, beside its context; None if it was without the library's client."""
        payloads = (await self._started(run_id)).workflow_execution_started_event_attributes.input.payloads
        plain = await self._decode(payloads[1]) if len(payloads) > 1 else None
        return StartInput.model_validate(plain) if plain else None

    async def written(self, first: int, last: int) -> list[Row]:
        """The rows from number `first` to `last` in the records of closed runs, as far as they are kept."""
        found: list[Row] = []
        run_id = await self._latest()
        with suppress(RecordError):
            while run_id:
                if not await self.is_open(run_id):
                    record = await self.record(run_id)
                    found[:0] = [row for row in record.rows if first <= row.sort_key <= last]
                    if record.before[0] < first:
                        break
                run_id = await self._previous(run_id)
        return found

    async def context(self) -> RawValue:
        """The task's context as the payload that it was started with; that of None if it was with nothing."""
        started = (await self._started(await self._latest())).workflow_execution_started_event_attributes
        if not started.input.payloads:
            return RawValue(self._client.data_converter.payload_converter.to_payload(None))
        decoded: list[RawValue] = await self._client.data_converter.decode(started.input.payloads[:1], [RawValue])
        return decoded[0]

    async def trace(self, run: Run) -> Mapping[str, str]:
        """The trace in which the task was started, if it was in any."""
        start = await self.start_of(run.run_id)
        header = run.started.workflow_execution_started_event_attributes.header
        return (start and start.trace) or carried(header.fields.get(TRACE_HEADER))

    async def latest(self) -> Run:
        """The task's latest run."""
        run_id = await self._latest()
        return Run(run_id, await self._started(run_id))

    async def _latest(self) -> str:
        return self._last or (await self._client.get_workflow_handle(self._id).describe()).run_id

    async def _started(self, run_id: str) -> HistoryEvent:
        try:
            async for event in self._events(run_id, page_size=1):
                return event
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        raise RecordError(f"run {run_id} of task {self._id!r} is not kept any more")

    async def _beginning(self, run_id: str) -> Beginning:
        payloads = (await self._started(run_id)).workflow_execution_started_event_attributes.input.payloads
        if len(payloads) > 1 and (plain := await self._decode(payloads[1])):
            start = StartInput.model_validate(plain)
            decoded: list[RawValue] = await self._client.data_converter.decode(payloads[:1], [RawValue])
            context = content_of(decoded[0].payload)
            return Beginning(self._id, start, salted(bytes.fromhex(start.key), context.data))
        prepared = await self.prepared(run_id)
        return Beginning(self._id, prepared.start, prepared.context_digest)

    async def prepared(self, run_id: str) -> Prepared:
        """What a worker found for a run that was started without the library's client."""
        async for name, plain in self._local_results(run_id):
            if name == PREPARE:
                return Prepared.model_validate(plain)
        raise RecordError(f"task {self._id!r} was never prepared: no worker has taken it yet")

    async def _results(self, run_id: str, activity_id: str) -> AsyncIterator[Payload]:
        scheduled = -1
        async for event in self._events(run_id):
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                if event.activity_task_scheduled_event_attributes.activity_id == activity_id:
                    scheduled = event.event_id
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                ended = event.activity_task_completed_event_attributes
                if ended.scheduled_event_id == scheduled:
                    decoded: list[RawValue] = await self._client.data_converter.decode(
                        ended.result.payloads, [RawValue]
                    )
                    yield decoded[0].payload

    async def _events(
        self, run_id: str | None, *, closing: bool = False, page_size: int | None = None
    ) -> AsyncIterator[HistoryEvent]:
        kind = WorkflowHistoryEventFilterType.CLOSE_EVENT if closing else WorkflowHistoryEventFilterType.ALL_EVENT
        handle = self._client.get_workflow_handle(self._id, run_id=run_id)
        async for event in handle.fetch_history_events(event_filter_type=kind, page_size=page_size):
            yield event

    async def _decode(self, payload: Payload) -> Any:
        return read_raw((await self._client.data_converter.decode([payload], [RawValue]))[0])


def _record_in(plain: Any) -> str | None:
    return plain.get("record") if isinstance(plain, dict) else None


def _joined(markers: list[dict[str, Any]]) -> str | None:
    """The last record that is whole. A later one takes the place of an earlier."""
    found: str | None = None
    for last in dict.fromkeys(marker["last"] for marker in markers):
        parts = {marker["part"]: marker["data"] for marker in markers if marker["last"] == last}
        count = next(marker["parts"] for marker in markers if marker["last"] == last)
        if len(parts) == count:
            found = "".join(parts[number] for number in range(count))
    return found
