"""A worker that is to be killed half-way through a step. Run as a program, it serves one of its templates."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal import StepContext, TaskerPlugin, TaskTemplate

resumed = TaskTemplate("worker_lost")
once = TaskTemplate("worker_lost_once")
HALF_WAY = "half-way"


async def copy(step: StepContext) -> str:
    """The first execution never gets further than half-way; one that takes over does."""
    if step.heartbeat_details:
        return f"goes on from {step.heartbeat_details[0]}"
    step.heartbeat(HALF_WAY)
    print(HALF_WAY, flush=True)
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


SHORT = timedelta(seconds=1.5)
resumed.add_step("copy", copy, heartbeat_timeout=SHORT, task_queue=resumed.name)
once.add_step("copy", copy, heartbeat_timeout=SHORT, task_queue=once.name, retryable=False)


async def serve(target: str, name: str) -> None:
    client = await Client.connect(target, plugins=[TaskerPlugin(resumed, once)])
    await Worker(client, task_queue=name).run()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
