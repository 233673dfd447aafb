"""`tasker.deliver`: the one activity by which rows reach a sink."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from temporalio import activity
from temporalio.common import RawValue

from tasker_temporal.core.outbox import fits
from tasker_temporal.deliveries import DELIVER, HEARTBEAT
from tasker_temporal.errors import PartlyTaken
from tasker_temporal.payloads import raw, read_raw
from tasker_temporal.sinks.events import TaskEvent, end_of, events_of
from tasker_temporal.sinks.handlers import SinkHandlers, translated, unknown
from tasker_temporal.sinks.outlet import Outlet
from tasker_temporal.sinks.rows import told_of
from tasker_temporal.telemetry import deliveries as telemetry
from tasker_temporal.wire import Batch

PAGE = 500
"""Events that a handler gets at once of rows that are read from the record."""


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
            return raw({"last": await Sending(call, outlet).run()})

    return tasker_deliver


class Sending:
    """One attempt to send a batch. It goes on where the attempt before it said that it stopped."""

    def __init__(self, batch: Batch, outlet: Outlet) -> None:
        self._batch, self._outlet = batch, outlet
        details = activity.info().heartbeat_details
        self._taken: int = details[0] if details else batch.number - 1

    async def run(self) -> int:
        """Send what was not taken yet. Returns the number of the last."""
        async with self._beating():
            async for page in self._pages():
                await self._send([event for event in page if event.number > self._taken])
        return self._taken

    async def _send(self, events: Sequence[TaskEvent]) -> None:
        if not events:
            return
        try:
            await self._outlet.hand(events)
        except PartlyTaken as error:
            count = min(max(error.count, 0), len(events))
            self._tell(events[:count], events[count:])
            self._note(events[count - 1].number if count else self._taken)
            raise translated(self._batch.sink, error.error) from error.error
        except Exception as error:
            self._tell((), events)
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
        self._taken = number
        activity.heartbeat(number)

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
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT.total_seconds() / 3)
            activity.heartbeat(self._taken)
