"""A worker to be killed: `python -m tests.chaos.victim TARGET QUEUE`. Its template is the one that survivors run, too.

Every run of a handler leaves a line in the file that the task's context names.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal import RetryableError, StepContext, TaskerPlugin, TaskTemplate, result_of

SOON = timedelta(seconds=1)
"""A worker that is silent for so long is lost."""

WORK = 0.02
"""Seconds that a handler works, so that there is a time at which it can be killed."""

diamond = TaskTemplate("chaos.diamond", context=str)


def ran(log: str, ctx: StepContext) -> None:
    with Path(log).open("a") as lines:
        lines.write(f"{ctx.step}:{ctx.execution}\n")


@diamond.step(heartbeat_timeout=SOON)
async def top(log: str, ctx: StepContext) -> int:
    ran(log, ctx)
    await asyncio.sleep(WORK)
    return 1


@diamond.step(heartbeat_timeout=SOON)
def left(log: str, ctx: StepContext, number: int = result_of(top)) -> int:
    """In a thread."""
    ran(log, ctx)
    time.sleep(WORK)
    return number + 1


@diamond.step(heartbeat_timeout=SOON)
async def right(log: str, ctx: StepContext, number: int = result_of(top)) -> int:
    """Its first attempt fails, the second follows after a timer."""
    ran(log, ctx)
    if ctx.attempt == 1:
        raise RetryableError("not yet", retry_after=WORK)
    return number + 2


@diamond.step(heartbeat_timeout=SOON)
async def bottom(log: str, ctx: StepContext, one: int = result_of(left), two: int = result_of(right)) -> int:
    ran(log, ctx)
    return one + two


def hasty(client: Client, queue: str, **options: Any) -> Worker:
    """A worker after whose death another is asked soon."""
    return Worker(client, task_queue=queue, sticky_queue_schedule_to_start_timeout=timedelta(seconds=0.3), **options)


async def main(target: str, queue: str) -> None:
    client = await Client.connect(target, plugins=[TaskerPlugin(diamond)])
    await hasty(client, queue).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
