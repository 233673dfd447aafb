"""What a run left that was ended from outside: its task as it last stood, told again from the run's history.

A terminated run wrote no record. But the same messages lead to the same rows, so telling it again finds every row that
it had written, and what its sinks had acknowledged of them.
"""

from __future__ import annotations

import secrets

from temporalio.client import Client, WorkflowHistory
from temporalio.common import RawValue

from tasker_temporal.core.messages import Content
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Template
from tasker_temporal.errors import RecordError, RetellingFailed
from tasker_temporal.local_activities import KEY_BYTES
from tasker_temporal.retelling import retold
from tasker_temporal.wire import NOTHING, content_of


async def task_of(client: Client, history: WorkflowHistory, template: Template | None = None) -> Task:
    """The task as it stood when its run was ended.

    Args:
        template: Which it would have had, if it was started without one and no worker ever took it.

    Raises:
        RecordError: its history cannot be replayed.
    """
    try:
        engine = await retold(client, history.workflow_id, history.run_id)
    except RetellingFailed as error:
        raise RecordError(str(error)) from error
    if engine is not None:
        return engine.task
    if template is None:
        raise RecordError(f"task {history.workflow_id!r} was ended before a worker took it: it has no rows")
    return Task(history.workflow_id, template, await _context(client, history), secrets.token_bytes(KEY_BYTES))


async def _context(client: Client, history: WorkflowHistory) -> Content:
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    values: list[RawValue] = await client.data_converter.decode(payloads, [RawValue] * len(payloads))
    return content_of(values[0].payload) if values else NOTHING
