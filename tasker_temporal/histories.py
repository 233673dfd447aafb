"""What the histories of a task's runs hold, decoded, without a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistoryEventFilterType
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal.errors import RecordError
from tasker_temporal.local_activities import PREPARE, RECORD
from tasker_temporal.payloads import read_raw
from tasker_temporal.wire import Prepared, StartInput


class Run(NamedTuple):
    """What there is to know of a run to start another like it."""

    run_id: str
    started: HistoryEvent
    """Its first event."""

    @property
    def begun(self) -> WorkflowExecutionStartedEventAttributes:
        """What its first event says."""
        return self.started.workflow_execution_started_event_attributes

    @property
    def type(self) -> str:
        return self.begun.workflow_type.name

    @property
    def task_queue(self) -> str:
        return self.begun.task_queue.name


class Histories:
    """Those of the runs of one workflow id."""

    def __init__(self, client: Client, id: str) -> None:
        self._client, self._id = client, id

    async def latest(self) -> str:
        """The id of the latest run."""
        return (await self._client.get_workflow_handle(self._id).describe()).run_id

    async def is_open(self, run_id: str) -> bool:
        """Asked for the closing event of an open run, the server would wait 20 seconds for it."""
        described = await self._client.get_workflow_handle(self._id, run_id=run_id).describe()
        return described.status is WorkflowExecutionStatus.RUNNING

    async def run(self, run_id: str) -> Run:
        """How the run was started.

        Raises:
            RecordError: it is not kept any more.
        """
        try:
            async for event in self._events(run_id, page_size=1):
                return Run(run_id, event)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        raise RecordError(f"run {run_id} of task {self._id!r} is not kept any more")

    async def context(self, run: Run) -> RawValue:
        """The run's first argument as the payload that it is; that of None if there is no argument."""
        payloads = run.begun.input.payloads
        if not payloads:
            return RawValue(self._client.data_converter.payload_converter.to_payload(None))
        return await self._undecoded(payloads[:1])

    async def start(self, run: Run) -> StartInput | None:
        """What the run was started with, beside its context; None if it was without the library's client.

        Raises:
            RecordError: with something else.
        """
        payloads = run.begun.input.payloads
        plain = await self._decode(payloads[1:2]) if len(payloads) > 1 else None
        try:
            return StartInput.read(plain) if plain else None
        except ValidationError as error:
            message = f"task {self._id!r} was started with arguments that are not the library's: it has no audit"
            raise RecordError(message) from error

    async def prepared(self, run_id: str) -> Prepared:
        """What a worker found for a run that was started without the library's client.

        Raises:
            RecordError: none has taken it yet.
        """
        async for name, plain in self._local_results(run_id):
            if name == PREPARE:
                return Prepared.read(plain)
        raise RecordError(f"task {self._id!r} was never prepared: no worker has taken it yet")

    async def record(self, run_id: str | None) -> str | None:
        """The packed record that the run left, the latest unless said: with its end, or in markers."""
        return await self._inline(run_id) or joined(await self._markers(run_id))

    async def result(self, run_id: str, activity_id: str) -> Payload | None:
        """What the activity of that id returned in the run; None if none did."""
        scheduled = -1
        async for event in self._events(run_id):
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                if event.activity_task_scheduled_event_attributes.activity_id == activity_id:
                    scheduled = event.event_id
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                ended = event.activity_task_completed_event_attributes
                if ended.scheduled_event_id == scheduled:
                    return (await self._undecoded(ended.result.payloads)).payload
        return None

    async def _inline(self, run_id: str | None) -> str | None:
        async for event in self._events(run_id, closing=True):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                payloads = event.workflow_execution_completed_event_attributes.result.payloads
                return _record_in(await self._decode(payloads[:1]))
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
                    yield name, await self._decode(details["result"].payloads[:1])

    async def _events(
        self, run_id: str | None, *, closing: bool = False, page_size: int | None = None
    ) -> AsyncIterator[HistoryEvent]:
        kind = WorkflowHistoryEventFilterType.CLOSE_EVENT if closing else WorkflowHistoryEventFilterType.ALL_EVENT
        handle = self._client.get_workflow_handle(self._id, run_id=run_id)
        async for event in handle.fetch_history_events(event_filter_type=kind, page_size=page_size):
            yield event

    async def _decode(self, payloads: Sequence[Payload]) -> Any:
        return read_raw(await self._undecoded(payloads))

    async def _undecoded(self, payloads: Sequence[Payload]) -> RawValue:
        """Without the user's codec on it, but as the payload that it is."""
        decoded: list[RawValue] = await self._client.data_converter.decode(payloads, [RawValue])
        return decoded[0]


def _record_in(plain: Any) -> str | None:
    return plain.get("record") if isinstance(plain, dict) else None


def joined(markers: list[dict[str, Any]]) -> str | None:
    """The last record that is whole. A later one takes the place of an earlier."""
    found: str | None = None
    for last in dict.fromkeys(marker["last"] for marker in markers):
        parts = {marker["part"]: marker["data"] for marker in markers if marker["last"] == last}
        count = next(marker["parts"] for marker in markers if marker["last"] == last)
        if len(parts) == count:
            found = "".join(parts[number] for number in range(count))
    return found
