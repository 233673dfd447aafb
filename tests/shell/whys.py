"""A task that waits for everything at once, and what is said of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from tasker_temporal import (
    Retry,
    RetryableError,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.pollers import pollers
from tasker_temporal.why import Explanation, Reason
from tests.patience import until_history
from tests.server.conftest import Connect, worker
from tests.shell.kit import Gate

HOUR = timedelta(hours=1)

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}


@dataclass
class Shop:
    """A task of which `pick` runs on a queue of its own, `pay` backs off, `weigh` has no worker, and `ship` waits."""

    client: Client
    template: TaskTemplate[Any]
    task: TaskHandle
    gate: Gate
    home: str

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker of its own name: the server may still know of the last one's end."""
        async with worker(self.client, task_queue=self.home, identity=f"worker-{uuid.uuid4()}"):
            while not await pollers(self.client, self.home):
                pass
            yield

    async def told(self) -> Mapping[tuple[str, str | None], Reason]:
        return by_kind(await self.task.why())


def by_kind(found: Explanation) -> Mapping[tuple[str, str | None], Reason]:
    """The reasons by kind and step."""
    reasons = {(reason.kind, reason.step): reason for reason in found.reasons}
    assert len(reasons) == len(found.reasons)
    return reasons


@asynccontextmanager
async def opened(client: Connect) -> AsyncIterator[Shop]:
    """The workflow's worker took the task, and is gone; that of `pick` still runs."""
    home, stall, lonely = (f"{name}-{uuid.uuid4()}" for name in ("home", "stall", "lonely"))
    gate, template = Gate(), TaskTemplate("why.shop")

    @template.step(task_queue=stall)
    async def pick() -> str:
        await gate.passage()
        return "picked"

    @template.step(retry=Retry(attempts=2, base_delay=HOUR, max_delay=HOUR, jitter="none"))
    async def pay() -> int:
        raise RetryableError("the bank is closed")

    @template.step(task_queue=lonely)
    async def weigh() -> int:
        return 1

    @template.step(after=[weigh])
    async def ship(picked: str = result_of(pick), paid: int = result_of(pay)) -> None: ...

    connected = await client(template)
    async with worker(connected, task_queue=stall):
        task = await start_task(connected, template, None, task_queue=home)
        shop = Shop(connected, template, task, gate, home)
        async with shop.working():
            await gate.reached.wait()
            await until_history(task, "TIMER_STARTED")
        yield shop
        gate.open()
    with suppress(RPCError):
        await task.workflow.terminate()
