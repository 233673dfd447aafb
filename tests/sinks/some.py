"""Some events, without a server: those of a task that ran in memory."""

from __future__ import annotations

from tasker_temporal import TaskTemplate
from tasker_temporal.core.rows import salted
from tasker_temporal.core.template import Sink
from tasker_temporal.sinks import TaskEvent
from tasker_temporal.sinks.events import events_of
from tasker_temporal.testing import run_task
from tasker_temporal.wire import Batch

SINK = Sink(name="audit")


async def nothing() -> None: ...


async def some_batch(task_id: str = "order-1", *, sink: Sink = SINK, number: int = 1) -> Batch:
    """All rows of a task of one step."""
    template = TaskTemplate[object]("sinks.some", version="1.2.0", sinks=[sink])
    template.add_step("only", nothing)
    run = await run_task(template, {"customer": "ann"}, task_id=task_id)
    digest = salted(run.task.key, run.task.context.data)
    return Batch.of(run.task, digest, run.task.outboxes[sink.name], number, run.audit)


async def some_events(task_id: str = "order-1", *, sink: Sink = SINK, number: int = 1) -> list[TaskEvent]:
    """All events of a task of one step."""
    batch = await some_batch(task_id, sink=sink, number=number)
    return list(events_of(batch, batch.unpacked(), "default", number))
