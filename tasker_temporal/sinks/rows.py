"""A task's rows from Temporal: from its written records, and of a run that was ended from outside by replaying it."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.client import Client

from tasker_temporal.core.rows import Row
from tasker_temporal.handle import TaskHandle


async def rows_of(client: Client, task_id: str) -> Sequence[Row]:
    """Every row of the task, verified."""
    return await TaskHandle(client, task_id).audit()
