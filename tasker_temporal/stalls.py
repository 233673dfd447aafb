"""Says when something holds up a worker's event loop: an `async def` handler that blocks, and knows nothing of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

LOG = logging.getLogger("tasker_temporal.worker")

EVERY: Final = 1.0
"""Seconds between two looks."""

TOLERATED: Final = 5.0
"""Seconds. Heartbeats come every ten, and a workflow task of the server's own has ten."""


class Stalls:
    """Looks again and again whether the loop comes back in time, from its making until `end`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, every: float = EVERY, tolerated: float = TOLERATED) -> None:
        self._loop, self._every, self._tolerated = loop, every, tolerated
        self._wait()

    def _wait(self) -> None:
        self._due = self._loop.time() + self._every
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        if (late := self._loop.time() - self._due) > self._tolerated:
            LOG.warning(
                "something held up this worker's event loop for %.1f s, and all its tasks with it: an async "
                "handler that blocks? A plain def runs in a thread. PYTHONASYNCIODEBUG=1 tells which one it is",
                late,
            )
        self._wait()

    def end(self) -> None:
        self._timer.cancel()
