"""Workers that are lost, and workers that lack a handler."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client

from tasker_temporal import State
from tasker_temporal.testing import Fail, NoHandler, Ok
from tests.conformance import lost_worker
from tests.conformance.case import Case, Seen
from tests.conformance.plays import graph
from tests.conformance.stages import Scene
from tests.server.conftest import worker


@activity.defn
async def unrelated() -> None:
    """What a worker runs that has no handler of ours."""


@asynccontextmanager
async def without_handlers(scene: Scene, queue: str) -> AsyncIterator[None]:
    """Somebody else's worker takes what is on our queue."""
    async with worker(Client(scene.client.service_client), task_queue=queue, activities=[unrelated]):
        yield


async def deployed_later(scene: Scene) -> None:
    async with without_handlers(scene, "deployed-later"):
        await scene.until_noted("step.handler_missing")
    async with worker(scene.client, task_queue="deployed-later"):
        await scene.ended()


async def never_deployed(scene: Scene) -> None:
    async with without_handlers(scene, "never-deployed"):
        await scene.ended()


@asynccontextmanager
async def killed_worker(scene: Scene) -> AsyncIterator[None]:
    """Enters the block when a worker that was half-way through the step has been killed."""
    template = scene.case.template.name
    command = [sys.executable, "-m", lost_worker.__name__, scene.client.service_client.config.target_host, template]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == lost_worker.HALF_WAY.encode() + b"\n"
        while not await _is_half_way(scene):
            """The server hears of it with the next heartbeat."""
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
    yield


async def _is_half_way(scene: Scene) -> bool:
    pending = (await scene.handle.workflow.describe()).raw_description.pending_activities
    return any(
        lost_worker.HALF_WAY.encode() in payload.data for one in pending for payload in one.heartbeat_details.payloads
    )


async def another_takes_over(scene: Scene) -> None:
    async with killed_worker(scene), worker(scene.client, task_queue=scene.case.template.name):
        await scene.ended()


async def nobody_takes_over(scene: Scene) -> None:
    async with killed_worker(scene):
        await scene.ended()


def missed_at_least_once(seen: Seen) -> None:
    events = [row.event for row in seen.audit if row.kind == "noted"]
    assert events == ["step.handler_missing", "step.redispatched"] * (len(events) // 2)
    assert events
    assert seen.audit[-2].metadata["execution"] == 1 + len(events) // 2


CASES = [
    Case(
        name="handler-deployed-later",
        template=graph("deployed_later", {"charge": []}, task_queue="deployed-later"),
        outcomes={"charge": [NoHandler(), Ok("paid")]},
        paths={"charge": "pending in_progress complete"},
        results={"charge": "paid"},
        law=missed_at_least_once,
        scene=deployed_later,
    ),
    Case(
        name="handler-never-deployed",
        template=graph(
            "never_deployed",
            {"charge": [], "ship": ["charge"]},
            task_queue="never-deployed",
            retryable=False,
            handler_grace=timedelta(seconds=0.5),
        ),
        outcomes={"charge": [NoHandler(), NoHandler()]},
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        paths={"charge": "pending in_progress error"},
        errors={"charge": "HandlerMissing"},
        scene=never_deployed,
    ),
    Case(
        name="worker-lost",
        template=lost_worker.resumed,
        outcomes={"copy": [Ok("goes on from half-way")]},
        paths={"copy": "pending in_progress complete"},
        results={"copy": "goes on from half-way"},
        scene=another_takes_over,
    ),
    Case(
        name="worker-lost-and-not-retryable",
        template=lost_worker.once,
        outcomes={"copy": [Fail(type="WorkerLost")]},
        state=State.ERROR,
        steps={"copy": State.ERROR},
        paths={"copy": "pending in_progress error"},
        errors={"copy": "WorkerLost"},
        scene=nobody_takes_over,
    ),
]
