"""How long a test waits for what must come: far longer than it takes, on however slow a machine."""

from __future__ import annotations

import asyncio
from typing import Final

from tasker_temporal import State, TaskHandle

PATIENCE: Final = 240.0
"""Seconds. Less than a test may take in all (`timeout` of pytest), so that what did not come is named."""


async def until_step(task: TaskHandle, step: str, state: State, execution: int = 1) -> None:
    """Wait until the step is in that state, in that execution or a later one.

    A task that was started by its template's name alone has no steps before a worker has supplied them.
    """
    async with asyncio.timeout(PATIENCE):
        while True:
            found = (await task.report()).steps.get(step)
            if found is not None and found.state is state and found.execution >= execution:
                return
            await asyncio.sleep(0.02)
