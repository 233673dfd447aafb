"""What the tests of sinks share: a sink that keeps what it gets, and what must be true of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from temporalio.client import Client

from tasker_temporal import Row, TaskerPlugin, TaskHandle, TaskTemplate
from tasker_temporal.dev import DevServer
from tasker_temporal.sinks import RowData, Sink, SinkHandler, TaskEvent


class Kept:
    """A sink that keeps what it gets. `trouble` may raise, before anything is kept."""

    def __init__(self, trouble: Callable[[Sequence[TaskEvent]], None] | None = None) -> None:
        self.events: list[TaskEvent] = []
        self.batches: list[int] = []
        self._trouble = trouble
        self._news = asyncio.Condition()

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        if self._trouble is not None:
            self._trouble(events)
        self.events += events
        self.batches.append(len(events))
        async with self._news:
            self._news.notify_all()

    async def until(self, type: str, count: int = 1) -> None:
        """Wait until so many events of this name have come."""
        await self.until_so(lambda: sum(event.type == type for event in self.events) >= count)

    async def until_so(self, is_so: Callable[[], bool]) -> None:
        """Wait until what has come makes it so."""
        async with self._news:
            await self._news.wait_for(is_so)


def once(events: Sequence[TaskEvent]) -> list[TaskEvent]:
    """As a consumer takes them: what it has had already is dropped, a gap is an error."""
    taken: list[TaskEvent] = []
    for event in events:
        if event.number <= len(taken):
            assert taken[event.number - 1] == event, "a duplicate is numbered alike, and is the same"
        else:
            assert event.number == len(taken) + 1, f"a gap before {event.number}"
            taken.append(event)
    return taken


def rows_in(events: Sequence[TaskEvent]) -> list[Row]:
    return [event.data.row for event in once(events) if isinstance(event.data, RowData)]


async def told_all(events: Sequence[TaskEvent], task: TaskHandle) -> None:
    """In order, without a gap, every row of the task, to the byte."""
    assert rows_in(events) == await task.audit()


async def connect(server: DevServer, template: TaskTemplate[Any], **sinks: SinkHandler) -> Client:
    return await server.client(plugins=[TaskerPlugin(template, sinks=sinks)])


AUDIT = Sink(name="audit")
