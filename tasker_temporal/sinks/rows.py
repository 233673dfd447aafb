"""A task's rows from Temporal: from its written records, and of a run that was ended from outside by telling it again.

What a template's own events say is in no row. It travelled with the outcomes of the attempts that published them, and
stands in the task's histories.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal.core.messages import Published
from tasker_temporal.core.registry import RESERVED
from tasker_temporal.core.rows import Row, verify
from tasker_temporal.errors import RecordError
from tasker_temporal.handle import TaskHandle
from tasker_temporal.published import detach, of_failure
from tasker_temporal.reader import Reader
from tasker_temporal.sinks.remains import task_of
from tasker_temporal.wire import Told

Said = dict[str, list[Published]]
"""By the id of the activity: what the attempt published, in order."""


async def told_of(client: Client, task_id: str, *, contents: bool) -> Sequence[Told]:
    """Every row of the task, verified, with what it says if `contents` are wanted.

    Raises:
        RecordError: they do not verify, or runs of it are not kept any more.
    """
    rows = await _rows(client, task_id)
    said = await _said(client, task_id) if contents and any(map(_is_custom, rows)) else {}
    return [(row, _content(row, said)) for row in rows]


async def _rows(client: Client, task_id: str) -> Sequence[Row]:
    try:
        return await TaskHandle(client, task_id).audit()
    except RecordError:
        return await _retold(client, task_id)


async def _retold(client: Client, task_id: str) -> Sequence[Row]:
    """The last run left no record, because it was ended from outside."""
    reader = Reader(client, task_id)
    *earlier, last = await reader.runs()
    rows = [row for run in earlier for row in (await reader.record(run)).rows]
    history = await client.get_workflow_handle(task_id, run_id=last).fetch_history()
    rows += (await task_of(client, history)).rows
    verify(rows, (await reader.beginning()).genesis, after=0)
    return rows


def _is_custom(row: Row) -> bool:
    return row.event.split(".")[0] not in RESERVED


def _content(row: Row, said: Said) -> str | None:
    """What an attempt published stands in the audit in the same order."""
    if not _is_custom(row):
        return None
    left = said.get(f"{row.step}:{row.metadata['execution']}")
    return left.pop(0).content if left else None


async def _said(client: Client, task_id: str) -> Said:
    found: Said = {}
    for run_id in await Reader(client, task_id).runs():
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
