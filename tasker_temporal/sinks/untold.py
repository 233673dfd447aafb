"""Tells the end of one run that could not tell it itself: its sinks what they miss, and telemetry, each once.

Each sink gets a `tasker.delivery` whose id is made of the run's, so it is started once, however often the run is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from tasker_temporal.core.events import Event, RunEnded
from tasker_temporal.core.outbox import Outbox, fits
from tasker_temporal.core.rows import salted
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Sink, Template
from tasker_temporal.deliveries import DELIVERY, delivery_id
from tasker_temporal.errors import RecordError
from tasker_temporal.histories import Run
from tasker_temporal.reader import Reader
from tasker_temporal.sinks.ends import closing_of, end_of_run, plain_end
from tasker_temporal.sinks.remains import known_of
from tasker_temporal.telemetry import deliveries as telemetry
from tasker_temporal.wire import Batch, Remainder

NOBODY: Final = Remainder(sink=Sink(name="-"), batches=())
"""Sends nothing. Its workflow is the mark that telemetry was told; no template can have a sink of this name."""


class _End(NamedTuple):
    """The end of one run, which could not tell it. No `event` tells of it if the task was over before."""

    task: Task
    run: Run
    event: Event[RunEnded] | None


async def tell(client: Client, id: str, run_id: str, template: Template) -> bool:
    """Start the deliveries that are due, and tell telemetry. False if nothing was due, or it was told before."""
    event = end_of_run(id, run_id, await closing_of(client, id, run_id))
    if event is None or await _goes_on(client, id, run_id):
        return False
    left = await known_of(client, id, run_id, template)
    end = _End(left.task, await Reader(client, id, run_id).latest(), None if left.is_over else event)
    remainders = [rest for box in end.task.outboxes.values() if (rest := _rest(end, box)).batches]
    told = any([await _start(client, end, rest) for rest in remainders])
    if end.event is not None and telemetry.listens() and await _start(client, end, NOBODY):
        telemetry.ended(end.task, end.event, end.run.started, await _trace(client, end))
    return told


async def _goes_on(client: Client, id: str, run_id: str) -> bool:
    """In a later run: after a reset, which ends a run in the same way, or because somebody reopened the task.

    A later task that was only given the same id is another one.
    """
    latest = await client.get_workflow_handle(id).describe()
    if latest.run_id == run_id:
        return False
    # Lists do not say with which run a chain began.
    described = await client.get_workflow_handle(id, run_id=run_id).describe()
    if latest.raw_info.first_run_id == described.raw_info.first_run_id:
        return True
    try:
        return run_id in await Reader(client, id).runs()
    except (RecordError, ValueError):
        return False


async def _trace(client: Client, end: _End) -> Mapping[str, str]:
    try:
        return await Reader(client, end.task.id).trace(end.run)
    except (RecordError, ValueError):
        return {}


def _rest(end: _End, box: Outbox) -> Remainder:
    """What the sink has not acknowledged, and then the end, if it gets it."""
    task = end.task
    box.collect(task.rows, task.said, task.announced)
    digest = salted(task.key, task.context.data)
    batches = [Batch.of(task, digest, box, number, rows) for number, rows in box.rest()]
    if end.event is not None and fits(box.sink.events, end.event.name):
        last = Batch.of(task, digest, box, box.next + box.count, 0)
        batches.append(last.model_copy(update={"ended": plain_end(end.event)}))
    batches = [batch.model_copy(update={"run_id": end.run.run_id}) for batch in batches]
    return Remainder(sink=box.sink, batches=tuple(batches))


async def _start(client: Client, end: _End, rest: Remainder) -> bool:
    """False if it was started before, by this sweep or by any."""
    try:
        await client.start_workflow(
            DELIVERY,
            rest.raw(),
            id=delivery_id(end.task.id, rest.sink.name, end.run.run_id, "ended"),
            task_queue=end.run.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"{rest.sink.name} · the end of {end.task.id}",
        )
    except WorkflowAlreadyStartedError:
        return False
    return True
