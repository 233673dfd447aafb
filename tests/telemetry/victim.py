"""A worker to be killed, which tells of its tasks: `python -m tests.telemetry.victim TARGET QUEUE`."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal import StepContext, TaskerPlugin, TaskTemplate, result_of
from tasker_temporal.telemetry import from_environment

killed = TaskTemplate("killed.task", context=str)

VICTIM = "VICTIM"


@killed.step
async def before(task: str) -> str:
    return task


@killed.step(heartbeat_timeout=timedelta(seconds=1))
async def during(ctx: StepContext, task: str = result_of(before)) -> str:
    """In the victim it never ends."""
    if VICTIM in os.environ:
        print("half-way", flush=True)
        await asyncio.Event().wait()
    return task


async def main(target: str, queue: str) -> None:
    telemetry = from_environment()
    client = await Client.connect(target, plugins=[TaskerPlugin(killed, telemetry=telemetry)])
    await Worker(client, task_queue=queue).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
