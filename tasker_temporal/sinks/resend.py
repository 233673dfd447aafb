"""Sends a sink once more what it had: after its own data were lost, or as of a number that it misses."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from tasker_temporal.core.outbox import fits
from tasker_temporal.core.template import Sink
from tasker_temporal.deliveries import DELIVERY, delivery_id
from tasker_temporal.door import Door
from tasker_temporal.errors import UnknownSink
from tasker_temporal.histories import Run
from tasker_temporal.reader import Beginning, Reader
from tasker_temporal.sinks.ends import closing_of, end_of_run, plain_end
from tasker_temporal.sinks.remains import known_of
from tasker_temporal.sinks.rows import told_of
from tasker_temporal.wire import Batch, Remainder


async def resend(
    client: Client, task_id: str, sink: str, *, start: int = 1
) -> tuple[int, WorkflowHandle[object, None]]:
    """Send the sink the task's events from the number `start` on, with the numbers that they have always had.

    Returns:
        How many they are, and the workflow `tasker.delivery` that sends them.

    Raises:
        UnknownSink: the task has no such sink.
        RecordError: the task's rows do not verify, or are not kept any more.
        UnknownTask: there is none of this id.
    """
    began, latest = await _known(client, task_id)
    batch = await _batch(client, began, _sink(began, sink), latest.run_id, start)
    count = batch.count + (batch.ended is not None)
    handle = await client.start_workflow(
        DELIVERY,
        Remainder(sink=_sink(began, sink), batches=(batch,) if count else ()).raw(),
        id=delivery_id(task_id, sink, "again", str(uuid.uuid4())),
        task_queue=latest.task_queue,
        static_summary=f"{sink} · once more, {count} from {start} on",
    )
    return count, handle


async def _known(client: Client, task_id: str) -> tuple[Beginning, Run]:
    """How the task began, and its last run."""
    reader = Reader(client, task_id)
    try:
        return await reader.beginning(), await reader.latest()
    except RPCError as error:
        raise Door(client, task_id).translated(error) from error


def _sink(began: Beginning, name: str) -> Sink:
    known = {each.name: each for each in began.template.sinks}
    if name not in known:
        raise UnknownSink(f"task {began.task_id!r} has no sink {name!r}; it has: {', '.join(known) or 'none'}")
    return known[name]


async def _batch(client: Client, began: Beginning, sink: Sink, last_run: str, start: int) -> Batch:
    """So many events as there are from that number on, and the end if only a sweeper could tell it."""
    told = await told_of(client, began.task_id, sink.events, contents=False)
    total = sum(fits(sink.events, row.event) for row, _ in told)
    end = await _end(client, began.task_id, last_run)
    is_told = end is not None and fits(sink.events, str(end["type"])) and start <= total + 1
    return Batch(
        task_id=began.task_id,
        template=began.template.name,
        version=began.template.version,
        template_digest=began.start.digest,
        context_digest=began.context_digest,
        sink=sink.name,
        events=sink.events,
        contents=sink.contents,
        number=start,
        count=max(total - start + 1, 0),
        ended=end if is_told else None,
    )


async def _end(client: Client, task_id: str, run_id: str) -> Mapping[str, Any] | None:
    """How the task's last run ended, if only a sweeper could tell: as a batch has it."""
    if await Reader(client, task_id).is_open(run_id):
        return None
    found = end_of_run(task_id, run_id, await closing_of(client, task_id, run_id))
    return None if found is None or (await known_of(client, task_id, run_id)).is_over else plain_end(found)
