"""Sends a task's rows to its sinks, beside the task: a sink that is down delays nobody but itself.

A batch is one activity `tasker.deliver`, which Temporal tries until the sink has taken it. Each sink has one on its way
at a time, so that its order is kept. What is left when the task is over is handed to workflows of their own,
`tasker.delivery`, which nobody waits for.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from tasker_temporal.core.announcements import Entry
from tasker_temporal.core.outbox import Outbox
from tasker_temporal.core.rows import salted
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Sink
from tasker_temporal.driver import Driver
from tasker_temporal.wire import Batch, Remainder

DELIVER: Final = "tasker.deliver"
DELIVERY: Final = "tasker.delivery"

FOR_EVER = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))

HEARTBEAT = timedelta(seconds=30)
"""A worker that says nothing for so long, while it sends, counts as lost."""

LEAVING = timedelta(seconds=1)
"""How long a run that is to continue as new waits for a batch that is on its way: else the next run sends it again."""

READING = timedelta(minutes=10)
"""How much longer it may take if the rows have to be read first."""


ID_LIMIT: Final = 1000
"""Bytes that the id of a workflow may have on a server as it comes."""


HAND_OVERS: Final = 10
"""So often, at most, the same run is reset while what it handed over is still being sent."""


def delivery_id(task_id: str, sink: str, *which: str) -> str:
    """The id of a `tasker.delivery`. The server would refuse one that is too long: then the task's is cut in it."""
    rest = "/".join(["", "sink", sink, *which])
    if len(f"{task_id}{rest}".encode()) > ID_LIMIT:
        cut = f"~{hashlib.sha256(task_id.encode()).hexdigest()[:16]}"
        begin = task_id.encode()[: ID_LIMIT - len(f"{cut}{rest}".encode())]
        task_id = f"{begin.decode(errors='ignore')}{cut}"
    return f"{task_id}{rest}"


def how_to_send(sink: Sink, batch: Batch) -> dict[str, Any]:
    """The options of the activity that sends the batch."""
    return {
        "args": [batch.raw()],
        "result_type": RawValue,
        "task_queue": sink.task_queue,
        "start_to_close_timeout": sink.timeout if batch.rows else sink.timeout + READING,
        "heartbeat_timeout": HEARTBEAT,
        "retry_policy": FOR_EVER,
        "summary": f"{sink.name} · {batch.count} from {batch.number} on",
    }


class Deliveries:
    """What is on its way from one run of a task to its sinks."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._sent: dict[str, workflow.ActivityHandle[RawValue]] = {}
        self._handed_over: dict[str, int] = {}
        self._is_ticking = self._is_leaving = self._is_ending = False

    @property
    def _task(self) -> Task:
        return self._driver.task

    @cached_property
    def _context_digest(self) -> str:
        return salted(self._task.key, self._task.context.data)

    def watch(self) -> None:
        """Rows may have been written: send what makes a full batch, and see to it that the rest is sent in time."""
        self._task.collect()
        for box in self._task.outboxes.values():
            if self._is_full(box):
                self._send(box)
        self._task.said.clear()
        self._wind_up()

    def _is_full(self, box: Outbox) -> bool:
        """What an earlier run left is late already."""
        carried = box.rows and box.rows[0].sort_key <= self._task.before[0]
        return bool(carried) or box.backlog > 0 or len(box.rows) >= box.sink.batch

    @property
    def is_over(self) -> bool:
        """Every row was acknowledged, or handed over."""
        self._task.collect()
        return not any(self._is_left(box) for box in self._task.outboxes.values())

    def _is_left(self, box: Outbox) -> bool:
        return box.told + box.count > max(box.told, self._handed_over.get(box.sink.name, 0))

    async def finish(self) -> None:
        """The task is over: send all that is left, wait for it for a while, and hand over what was not taken."""
        self._is_ending, self._is_leaving = True, False
        self._task.collect()
        for box in self._task.outboxes.values():
            if box.sink.name in self._sent:
                self._hurry(box, box.sink.grace)
            elif self._is_left(box):
                self._send(box)
        await workflow.wait_condition(lambda: not self._sent)
        for box in self._task.outboxes.values():
            if self._is_left(box):
                await self._hand_over(box)
        self._is_ending = False

    async def leave(self) -> None:
        """The run is to continue as new: send nothing more, and wait a moment for what is on its way."""
        self._is_leaving = True
        for name in list(self._sent):
            self._hurry(self._task.outboxes[name], LEAVING)
        await workflow.wait_condition(lambda: not self._sent)

    def _send(self, box: Outbox) -> None:
        """A task that is over does not wait for a sink for ever."""
        name = box.sink.name
        if name in self._sent or self._is_leaving or not box.count:
            return
        batch = self._batch(box, box.next, box.batch())
        box.sent_at = workflow.now()
        handle = workflow.start_activity(
            DELIVER,
            **how_to_send(box.sink, batch),
            activity_id=f"sink:{name}:{batch.number}",
            schedule_to_close_timeout=box.sink.grace if self._is_ending else None,
            cancellation_type=workflow.ActivityCancellationType.ABANDON,
        )
        self._sent[name] = handle
        handle.add_done_callback(partial(self._heard, box, batch.count))

    def _heard(self, box: Outbox, count: int, handle: asyncio.Task[RawValue]) -> None:
        try:
            self._settled(box, count, handle)
        except Exception as error:
            self._driver.broken = error

    def _settled(self, box: Outbox, count: int, handle: asyncio.Task[RawValue]) -> None:
        """A handle that left the worker's cache is cancelled itself, or ends with no `Exception`."""
        del self._sent[box.sink.name]
        box.sent_at = None
        if handle.cancelled() or not isinstance(handle.exception(), Exception | None):
            return
        if handle.exception() is None:
            box.acknowledge(count)
            if self._is_ending or self._is_full(box):
                self._send(box)
        self._wind_up()

    def _hurry(self, box: Outbox, patience: timedelta) -> None:
        self._driver.go(self._give_up(box.sink.name, patience), f"sink {box.sink.name}: grace")

    async def _give_up(self, name: str, patience: timedelta) -> None:
        """Wait no longer for the batch that is on its way now. It is sent again, with the same numbers."""
        handle = self._sent[name]
        await workflow.sleep(patience, summary=f"{name} · grace of the batch on its way")
        handle.cancel()

    def _wind_up(self) -> None:
        """Start the clock, unless it runs or there is nothing to be sent in time. One clock serves all sinks."""
        idle = [box for box in self._task.outboxes.values() if box.count and box.sink.name not in self._sent]
        waiting = [box.sink.within for box in idle if box.sink.within is not None]
        if waiting and not self._is_ticking and self._driver.closed is None:
            self._is_ticking = True
            self._driver.go(self._tick(min(waiting)), "sinks")

    async def _tick(self, delay: timedelta) -> None:
        await workflow.sleep(delay, summary="sinks · send what waits")
        self._is_ticking = False
        for box in self._task.outboxes.values():
            if box.sink.within is not None:
                self._send(box)
        self._wind_up()

    async def _hand_over(self, box: Outbox) -> None:
        """To a workflow that goes on alone. Rows that are too many for its input are read from the written record."""
        batches = [self._batch(box, number, rows) for number, rows in box.rest()]
        sink, first, last = box.sink, box.next, box.told + box.count
        call = Remainder(sink=sink, batches=tuple(batches))
        # A run that was reset repeats its commands, ids included. What the run before it still sends may be other rows.
        original = workflow.info().original_execution_run_id
        for run_id in (original, *(f"{original}.{number}" for number in range(2, HAND_OVERS + 1))):
            with suppress(WorkflowAlreadyStartedError):
                await workflow.start_child_workflow(
                    DELIVERY,
                    call.raw(),
                    id=delivery_id(self._task.id, sink.name, run_id, f"{first}-{last}"),
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                    static_summary=f"{sink.name} · {first} to {last}",
                )
                break
        self._handed_over[sink.name] = last

    def _batch(self, box: Outbox, number: int, rows: int | list[Entry]) -> Batch:
        batch = Batch.of(self._task, self._context_digest, box, number, rows)
        return batch if batch.rows else batch.model_copy(update={"run_id": workflow.info().run_id})
