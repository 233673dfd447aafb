"""`tasker.deliver`: the one activity by which rows reach a sink."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from temporalio import activity
from temporalio.common import RawValue

from tasker_temporal.core.outbox import fits
from tasker_temporal.deliveries import DELIVER, HEARTBEAT
from tasker_temporal.errors import PartlyTaken
from tasker_temporal.payloads import raw, read_raw
from tasker_temporal.sinks.events import TaskEvent, end_of, events_of
from tasker_temporal.sinks.handlers import SinkHandlers, slow, translated, unknown
from tasker_temporal.sinks.outlet import Outlet
from tasker_temporal.sinks.rows import told_of
from tasker_temporal.telemetry import deliveries as telemetry
from tasker_temporal.wire import Batch

PAGE = 500
"""Events that a handler gets at once of rows that are read from the record."""

ENOUGH: Final = 0.5
"""After this part of its time an attempt hands over nothing more, and the next goes on where it stopped."""

LAST: Final = 0.9
"""After this part of its time it gives up, before Temporal does so and never hears how far it came."""


def deliver_activity(handlers: SinkHandlers) -> Callable[..., Any]:
    """The activity, for a worker that has these sinks by name."""

    outlets = {name: Outlet(name, handler) for name, handler in handlers.items()}

    @activity.defn(name=DELIVER)
    async def tasker_deliver(batch: RawValue) -> RawValue:
        call = Batch.model_validate(read_raw(batch))
        if call.sink not in handlers:
            raise unknown(call.sink, handlers)
        outlet = outlets[call.sink]
        async with outlet.open():
            sending = Sending(call, outlet)
            await sending.run()
        if sending.is_interrupted:
            raise slow(call.sink, f"it has {sending.taken}, and the rest follows")
        return raw({"last": sending.taken})

    return tasker_deliver


def _time_of(info: activity.Info) -> timedelta:
    """How long the attempt may take: the last one before a task that is over gives up has less than the others."""
    left = [info.start_to_close_timeout or HEARTBEAT]
    if info.schedule_to_close_timeout:
        left.append(info.schedule_to_close_timeout - (info.started_time - info.scheduled_time))
    return max(min(left), timedelta(0))


class Sending:
    """One attempt to send a batch. It goes on where the attempt before it said that it stopped.

    Of as many events as that one had in hand when its time was over, it hands over half at once: so a sink that is
    slow gets on, however many there are.

    Attributes:
        taken: The number of the last that the sink has.
        is_interrupted: There are more, but half of the time is over.
    """

    def __init__(self, batch: Batch, outlet: Outlet) -> None:
        self._batch, self._outlet = batch, outlet
        info = activity.info()
        details = [*info.heartbeat_details, *(batch.number - 1, 0)[len(info.heartbeat_details) :]]
        self.taken, self._in_hand = int(details[0]), 0
        self._most = max(details[1] // 2, 1) if details[1] else PAGE * PAGE
        self._time = _time_of(info).total_seconds()
        self._begun = asyncio.get_running_loop().time()
        self.is_interrupted = self._has_sent = False

    async def run(self) -> None:
        """Send what was not taken yet."""
        async with self._beating():
            async for page in self._pages():
                left = [event for event in page if event.number > self.taken]
                for start in range(0, len(left), self._most):
                    if self._is_late():
                        self.is_interrupted = True
                        return
                    await self._send(left[start : start + self._most])

    def _is_late(self) -> bool:
        """An attempt that has handed over nothing yet must, whatever time it took to read the rows."""
        return self._has_sent and asyncio.get_running_loop().time() > self._begun + self._time * ENOUGH

    async def _send(self, events: Sequence[TaskEvent]) -> None:
        self._has_sent, self._in_hand = True, len(events)
        self._beat()
        clock = asyncio.timeout_at(self._begun + self._time * LAST)
        try:
            async with clock:
                await self._outlet.hand(events)
        except PartlyTaken as error:
            count = min(max(error.count, 0), len(events))
            self._tell(events[:count], events[count:])
            self._note(events[count - 1].number if count else self.taken)
            raise translated(self._batch.sink, error.error) from error.error
        except Exception as error:
            self._tell((), events)
            if clock.expired():
                raise slow(self._batch.sink, f"it did not take {len(events)} events in time") from error
            self._note(self.taken)
            raise translated(self._batch.sink, error) from error
        self._tell(events, ())
        self._note(events[-1].number)

    def _tell(self, taken: Sequence[TaskEvent], left: Sequence[TaskEvent]) -> None:
        """Telemetry, if it listens."""
        template, sink = self._batch.template, self._batch.sink
        if taken:
            lag = (datetime.now(UTC) - taken[0].time).total_seconds()
            telemetry.delivered(template, sink, len(taken), lag)
        if left:
            telemetry.failed(template, sink, len(left))

    def _note(self, number: int) -> None:
        self.taken, self._in_hand = number, 0
        self._beat()

    def _beat(self) -> None:
        activity.heartbeat(self.taken, self._in_hand)

    async def _pages(self) -> AsyncIterator[list[TaskEvent]]:
        batch, namespace = self._batch, activity.info().namespace or ""
        if batch.rows:
            yield list(events_of(batch, batch.unpacked(), namespace, batch.number))
        elif batch.count:
            client, last = activity.client(), batch.run_id
            told = await told_of(client, batch.task_id, batch.events, contents=batch.contents, last_run=last)
            wanted = ((row, content) for row, content in told if fits(batch.events, row.event))
            chosen = islice(wanted, batch.number - 1, batch.number - 1 + batch.count)
            number = batch.number
            while page := list(events_of(batch, islice(chosen, PAGE), namespace, number)):
                yield page
                number += len(page)
        if batch.ended is not None:
            yield [end_of(batch, namespace, batch.number + batch.count)]

    @asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        """Say that the worker lives, also while the sink takes its time."""
        beating = asyncio.create_task(self._keep_beating())
        try:
            yield
        finally:
            beating.cancel()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT.total_seconds() / 3)
            self._beat()
