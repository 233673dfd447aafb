"""A worker to be killed: `python -m tests.sinks.victim TARGET QUEUE URL`. Survivors run the same template."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal import Limits, TaskerPlugin, TaskTemplate
from tasker_temporal.sinks import Sink, Webhook

STEPS = 6

HOOKS = Sink(name="hooks", batch=4, timeout=timedelta(seconds=1), grace=timedelta(seconds=2))

chain = TaskTemplate[object]("sinks.chain", sinks=[HOOKS], limits=Limits(drain_events=25))
"""Its tasks continue as new once or twice."""


async def nothing() -> None: ...


SOON = timedelta(seconds=1)
"""A worker that is silent for so long is lost."""

before = chain.add_step("step0", nothing, heartbeat_timeout=SOON)
for number in range(1, STEPS):
    before = chain.add_step(f"step{number}", nothing, after=[before], heartbeat_timeout=SOON)


def plugin(url: str, timeout: float = 30.0) -> TaskerPlugin:
    return TaskerPlugin(chain, sinks={"hooks": Webhook(url, timeout=timeout)})


def hasty(client: Client, queue: str) -> Worker:
    """A worker after whose death another is asked soon."""
    return Worker(client, task_queue=queue, sticky_queue_schedule_to_start_timeout=timedelta(seconds=0.3))


async def main(target: str, queue: str, url: str) -> None:
    client = await Client.connect(target, plugins=[plugin(url)])
    await hasty(client, queue).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
