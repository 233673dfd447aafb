"""What a run left that could not tell its end: its task as it last stood, told again from the run's history.

A terminated run wrote no record. But the same messages lead to the same rows, so telling it again finds every row that
it had written, and what its sinks had acknowledged of them. Of a history that does not replay, which may be why
somebody terminated the run, there is still known what had been sent.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import RawValue

from tasker_temporal.core.machine import ENDS, State
from tasker_temporal.core.messages import AUTOMATIC, Content
from tasker_temporal.core.outbox import Outbox
from tasker_temporal.core.rows import TASK, Row
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Template
from tasker_temporal.deliveries import DELIVER
from tasker_temporal.errors import RecordError, RetellingFailed
from tasker_temporal.life import beginning
from tasker_temporal.local_activities import KEY_BYTES
from tasker_temporal.payloads import NOTHING, content_of, read_raw
from tasker_temporal.reader import Reader
from tasker_temporal.retelling import retold
from tasker_temporal.wire import Batch, StartInput


class Left(NamedTuple):
    """What a run left. If the task `is_over`, a row of the run tells its end, which came before that of the run."""

    task: Task
    is_over: bool


async def task_of(client: Client, id: str, run_id: str, template: Template | None = None) -> Task:
    """The task as it stood when its run was ended.

    Args:
        run_id: The run's own id: after a reset, its history begins with that of another.
        template: Which it would have had, if it was started without one and no worker ever took it.

    Raises:
        RecordError: its history cannot be replayed.
    """
    try:
        engine = await retold(client, id, run_id)
    except RetellingFailed as error:
        raise RecordError(str(error)) from error
    if engine is not None:
        return engine.task
    if template is None:
        raise RecordError(f"task {id!r} was ended before a worker took it: it has no rows")
    return Task(id, template, await _context(client, id, run_id), secrets.token_bytes(KEY_BYTES))


async def known_of(client: Client, id: str, run_id: str, template: Template | None = None) -> Left:
    """As `task_of`; of a history that cannot be replayed the task as its run began, and what its sinks are to get."""
    try:
        task = await task_of(client, id, run_id, template)
        return Left(task, bool(task.rows) and not task.is_open)
    except RecordError:
        task = await _begun(client, id, run_id, template)
        batches = await _batches(client, id, run_id)
        is_over = any(_ends(batch, task) for sent in batches.values() for batch, _ in sent.values())
        for name, box in task.outboxes.items():
            for number in sorted(batches.get(name, {})):
                _follow(box, *batches[name][number])
        return Left(task, is_over)


def _ends(batch: Batch, task: Task) -> bool:
    """One of its rows ended the task. A task that is held after a failure has not ended."""
    ends = ENDS - {State.ERROR} if task.template.on_error == "hold" else ENDS
    told = batch.unpacked() if batch.rows else ()
    rows = [row for row, _ in told if isinstance(row, Row) and row.entity == TASK]
    return any(row.to_state in ends or row.event == "task.hold_ended" for row in rows)


async def _begun(client: Client, id: str, run_id: str, template: Template | None) -> Task:
    context = await _context(client, id, run_id)
    # Anything may be wrong with its second argument, if it is none of the library's, or one of a later release.
    with suppress(Exception):
        start = await Reader(client, id).start_of(run_id)
        if start is not None:
            return beginning(id, start, context)
    return beginning(id, await _prepared(client, id, run_id, template), context)


async def _prepared(client: Client, id: str, run_id: str, template: Template | None) -> StartInput:
    try:
        return (await Reader(client, id).prepared(run_id)).start
    except RecordError:
        if template is None:
            raise
        return StartInput.first(template, secrets.token_bytes(KEY_BYTES), AUTOMATIC)


async def _batches(client: Client, id: str, run_id: str) -> dict[str, dict[int, tuple[Batch, bool]]]:
    """What the run sent, by the sink and the number that it begins with, and whether it arrived."""
    sent: dict[int, Batch] = {}
    found: dict[str, dict[int, tuple[Batch, bool]]] = {}
    async for event in client.get_workflow_handle(id, run_id=run_id).fetch_history_events():
        ordered = event.activity_task_scheduled_event_attributes
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and ordered.activity_type.name == DELIVER:
            [plain] = await client.data_converter.decode(ordered.input.payloads, [RawValue])
            sent[event.event_id] = batch = Batch.model_validate(read_raw(plain))
            found.setdefault(batch.sink, {})[batch.number] = batch, False
        arrived = sent.get(event.activity_task_completed_event_attributes.scheduled_event_id)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED and arrived is not None:
            found[arrived.sink][arrived.number] = arrived, True
    return found


def _follow(box: Outbox, batch: Batch, arrived: bool) -> None:
    """What was sent is known by its batch, if it was not known when the run began."""
    if batch.number + batch.count > box.next + box.count:
        del box.rows[max(batch.number - box.next - box.backlog, 0) :]
        for entry, content in batch.unpacked() if batch.rows else ():
            box.rows.append(entry)
            if content is not None:
                box.contents[entry.sort_key] = content
    if arrived:
        box.acknowledge(max(batch.number + batch.count - box.next, 0))


async def _context(client: Client, id: str, run_id: str) -> Content:
    started = (await Reader(client, id, run_id).latest()).started
    payloads = started.workflow_execution_started_event_attributes.input.payloads
    values: list[RawValue] = await client.data_converter.decode(payloads, [RawValue] * len(payloads))
    return content_of(values[0].payload) if values else NOTHING
