"""One sink as one worker sees it. A sink that is down must delay only itself, so it may not hold the worker's means."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tasker_temporal.sinks.events import TaskEvent
from tasker_temporal.sinks.handlers import SinkHandler

PROBES: Final = 4
"""So many attempts at a time find out whether a sink is still down. Others come back later, and hold no place."""

LATER = timedelta(seconds=5)

THREADS: Final = 16
"""For handlers that are plain functions: threads of each sink's own."""


class Outlet:
    """The way to one sink."""

    def __init__(self, name: str, handler: SinkHandler) -> None:
        self.name, self._handler = name, handler
        self._threads = ThreadPoolExecutor(THREADS, f"tasker-sink-{name}")
        self._under_way = 0
        self._is_down = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """For one attempt.

        Raises:
            ApplicationError: the sink is down, and enough attempts are under way that would notice if it comes back.
        """
        if self._is_down and self._under_way >= PROBES:
            message = f"sink {self.name!r} was down a moment ago: {self._under_way} other attempts are under way"
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError(message, type="SinkDown", next_retry_delay=LATER, category=benign)
        self._under_way += 1
        try:
            yield
            self._is_down = False
        except BaseException:
            self._is_down = True
            raise
        finally:
            self._under_way -= 1

    async def hand(self, events: Sequence[TaskEvent]) -> None:
        """Call the handler, in a thread if it is a plain function."""
        handler = self._handler
        is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)
        if is_async:
            told = handler(events)
        else:
            told = await asyncio.get_running_loop().run_in_executor(self._threads, handler, events)
        if inspect.isawaitable(told):
            await told
