"""A task that fails while the world is down, and the ways in which people ask something of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import Client

from tasker_temporal import (
    PermanentError,
    Retry,
    State,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.patience import PATIENCE
from tests.server.conftest import Connect, worker
from tests.shell.kit import Gate, temporal

BY: dict[str, Any] = {"actor": "ann", "reason": "the gateway is back"}


class Payment(BaseModel):
    amount: int


@dataclass
class World:
    """What the handlers look at."""

    down: bool = True
    calls: tuple[str, ...] = ()
    gate: Gate | None = None

    def call(self, name: str) -> None:
        self.calls += (name,)


def shop(world: World, name: str = "", **options: Any) -> TaskTemplate[Any]:
    """`charge` fails while the world is down; `ship` takes its result, and `guard` waits at the gate, if any."""
    made = TaskTemplate[Any](name or f"shop_{uuid.uuid4().hex}", **options)

    @made.step
    async def quote() -> int:
        world.call("quote")
        return 7

    @made.step(retry=Retry(attempts=1))
    async def charge(amount: int = result_of(quote)) -> Payment:
        world.call("charge")
        if world.down:
            raise PermanentError("the gateway is down")
        return Payment(amount=amount)

    @made.step
    async def ship(payment: Payment = result_of(charge)) -> str:
        world.call("ship")
        return f"shipped for {payment.amount}"

    @made.step(after=[quote])
    async def guard() -> None:
        if world.gate is not None:
            await world.gate.passage()

    return made


async def started(client: Client, template: TaskTemplate[Any], queue: str) -> TaskHandle:
    return await start_task(client, template, None, task_queue=queue)


@asynccontextmanager
async def under_way(client: Connect, template: TaskTemplate[Any]) -> AsyncIterator[TaskHandle]:
    """A task of it, with a worker."""
    connected = await client(template)
    async with worker(connected) as serving:
        yield await started(connected, template, serving.task_queue)


async def settled(task: TaskHandle, state: State = State.ERROR) -> None:
    async with asyncio.timeout(PATIENCE):
        assert (await task.settled()).state is state


async def failed(task: TaskHandle) -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(TaskFailed):
            await task.result()


Ask = Callable[[TaskHandle, str, dict[str, Any]], Awaitable[Any]]


def by_method(server: DevServer) -> Ask:
    async def ask(task: TaskHandle, name: str, request: dict[str, Any]) -> Any:
        return await getattr(task, name)(**request)

    return ask


def by_update(server: DevServer) -> Ask:
    async def ask(task: TaskHandle, name: str, request: dict[str, Any]) -> Any:
        flags = ["--workflow-id", task.id, "--name", name, "--input", json.dumps(request)]
        return await temporal(server, "workflow", "update", "execute", *flags)

    return ask


def by_signal(server: DevServer) -> Ask:
    async def ask(task: TaskHandle, name: str, request: dict[str, Any]) -> Any:
        payload = json.dumps({"request": name, **request})
        await temporal(
            server, "workflow", "signal", "--workflow-id", task.id, "--name", "transition", "--input", payload
        )

    return ask
