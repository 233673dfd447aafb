"""A task's rows from Temporal: from its written records, and of a run that was ended from outside by replaying it."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.client import Client

from tasker_temporal.core.rows import Row, verify
from tasker_temporal.errors import RecordError
from tasker_temporal.handle import TaskHandle
from tasker_temporal.reader import Reader
from tasker_temporal.sinks.remains import task_of


async def rows_of(client: Client, task_id: str) -> Sequence[Row]:
    """Every row of the task, verified.

    Raises:
        RecordError: they do not verify, or runs of it are not kept any more.
    """
    try:
        return await TaskHandle(client, task_id).audit()
    except RecordError:
        return await _replayed(client, task_id)


async def _replayed(client: Client, task_id: str) -> Sequence[Row]:
    """The last run left no record, because it was ended from outside."""
    reader = Reader(client, task_id)
    *earlier, last = await reader.runs()
    rows = [row for run in earlier for row in (await reader.record(run)).rows]
    history = await client.get_workflow_handle(task_id, run_id=last).fetch_history()
    rows += (await task_of(client, history)).rows
    verify(rows, (await reader.beginning()).genesis, after=0)
    return rows
