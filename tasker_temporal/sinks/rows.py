"""A task's rows from Temporal: from its written records, and of a run that was ended from outside by telling it again.

What a template's own events say is in no row. It travelled with the outcomes of the attempts that published them, and
stands in the task's histories.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from typing import Any, Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal.core.announcements import Announcement, Entry, together
from tasker_temporal.core.messages import Published
from tasker_temporal.core.outbox import ANNOUNCED
from tasker_temporal.core.registry import RESERVED
from tasker_temporal.core.rows import Row, verify
from tasker_temporal.errors import RecordError
from tasker_temporal.handle import TaskHandle
from tasker_temporal.published import detach, of_failure
from tasker_temporal.reader import Reader
from tasker_temporal.retelling import retold
from tasker_temporal.sinks.remains import task_of
from tasker_temporal.wire import Told, activity_id

Said = dict[str, list[Published]]
"""By the id of the activity: what the attempt published, in order."""


RECORDING: Final = frozenset(
    {
        WorkflowExecutionStatus.COMPLETED,
        WorkflowExecutionStatus.FAILED,
        WorkflowExecutionStatus.CANCELED,
        WorkflowExecutionStatus.CONTINUED_AS_NEW,
    }
)
"""How a run ends that leaves a record. One that was terminated may have written a part, or an earlier one."""


async def told_of(
    client: Client, task_id: str, sink_events: Collection[str], *, contents: bool, last_run: str = ""
) -> Sequence[Told]:
    """Every row of the task, verified, with what it says if `contents` are wanted, and what it announced.

    Args:
        sink_events: The sink's patterns. What was announced is only read if they name it.
        last_run: The run up to which the rows are wanted, if it may not be the latest of this id.

    Raises:
        RecordError: the rows do not verify, or runs of it are not kept any more.
    """
    reader = Reader(client, task_id, last_run or None)
    rows = await _rows(client, task_id, reader, last_run)
    said = await _said(client, task_id, reader) if contents and any(map(_is_custom, rows)) else {}
    announced = [] if ANNOUNCED.isdisjoint(sink_events) else await _announced(client, task_id, reader)
    return [(entry, _content(entry, said)) for entry in together(rows, announced)]


async def _rows(client: Client, task_id: str, reader: Reader, last_run: str) -> Sequence[Row]:
    if not last_run:
        with suppress(RecordError):
            return await TaskHandle(client, task_id).audit()
    *earlier, last = await reader.runs()
    rows = [row for run in earlier for row in (await reader.record(run)).rows]
    rows += await _rows_in(client, task_id, reader, last)
    verify(rows, (await reader.beginning()).genesis, after=0)
    return rows


async def _rows_in(client: Client, task_id: str, reader: Reader, run_id: str) -> Sequence[Row]:
    """Of a run that left no record, because it is open or was ended from outside, it is told again."""
    run = client.get_workflow_handle(task_id, run_id=run_id)
    if (await run.describe()).status in RECORDING:
        with suppress(RecordError):
            return (await reader.record(run_id)).rows
    return (await task_of(client, task_id, run_id)).rows


async def _announced(client: Client, task_id: str, reader: Reader) -> list[Announcement]:
    """What the task said that is no row. A run without a record is told again from its history."""
    found: list[Announcement] = []
    for run_id in await reader.runs():
        found += await _announced_in(client, task_id, reader, run_id)
    return found


async def _announced_in(client: Client, task_id: str, reader: Reader, run_id: str) -> Sequence[Announcement]:
    if not await reader.is_open(run_id):
        with suppress(RecordError):
            return (await reader.record(run_id)).announced
    engine = await retold(client, task_id, run_id)
    return [] if engine is None else engine.task.announced


def _is_custom(entry: Entry) -> bool:
    return entry.event.split(".")[0] not in RESERVED


def _content(entry: Entry, said: Said) -> str | None:
    """What an attempt published stands in the audit in the same order."""
    if not isinstance(entry, Row) or not _is_custom(entry):
        return None
    left = said.get(activity_id(entry.step or "", entry.metadata["execution"]))
    return left.pop(0).content if left else None


async def _said(client: Client, task_id: str, reader: Reader) -> Said:
    found: Said = {}
    for run_id in await reader.runs():
        activities: dict[int, str] = {}
        async for event in client.get_workflow_handle(task_id, run_id=run_id).fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                activities[event.event_id] = event.activity_task_scheduled_event_attributes.activity_id
            async for scheduled, published in _outcome(client, event):
                found[activities[scheduled]] = list(published)
    return found


async def _outcome(client: Client, event: HistoryEvent) -> AsyncIterator[tuple[int, Sequence[Published]]]:
    """The attempt that this event ends, if it ends one, and what was published in it."""
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        completed = event.activity_task_completed_event_attributes
        values: list[RawValue] = await client.data_converter.decode(completed.result.payloads[:1], [RawValue])
        yield completed.scheduled_event_id, [said for value in values for said in detach(value.payload)]
    elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
        failed = event.activity_task_failed_event_attributes
        error = await client.data_converter.decode_failure(failed.failure)
        details: Any = error.details[0] if isinstance(error, ApplicationError) and error.details else {}
        yield failed.scheduled_event_id, of_failure(details) if isinstance(details, dict) else []
