"""Where golden scenes are played, and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal import Retry, TaskerPlugin, TaskHandle, TaskTemplate, start_task
from tasker_temporal.sinks import TaskEvent

SOON = timedelta(milliseconds=900)
"""A heartbeat timeout: the handler hears of its cancellation within a third of it."""

NO_DELAY = Retry(attempts=3, base_delay=timedelta(0), jitter="none")

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}


async def takes(events: Sequence[TaskEvent]) -> None: ...


async def refuses(events: Sequence[TaskEvent]) -> None:
    raise ConnectionError("nobody is there")


SINKS = {"well": takes, "down": refuses}


@dataclass
class Stage:
    """Where one scene is played: a queue of its own, and one task of a fixed id."""

    connect: Callable[..., Awaitable[Client]]
    template: TaskTemplate[Any]

    @property
    def id(self) -> str:
        return f"golden-{self.template.name.removeprefix('golden.')}"

    @asynccontextmanager
    async def working(self, template: TaskTemplate[Any] | None = None) -> AsyncIterator[None]:
        """A worker, with the scene's own template unless another is given."""
        client = await self.connect(plugins=[TaskerPlugin(template or self.template, sinks=SINKS)])
        async with Worker(client, task_queue=self.id, sticky_queue_schedule_to_start_timeout=SOON):
            yield

    async def start(self, context: Any = None) -> TaskHandle:
        client = await self.connect(plugins=[TaskerPlugin(self.template)])
        return await start_task(client, self.template, context, id=self.id, task_queue=self.id, actor="ann")

    async def start_bare(self, *arguments: Any) -> TaskHandle:
        """As Temporal's UI does it, or another language."""
        client = await self.connect(plugins=[TaskerPlugin(self.template)])
        await client.start_workflow(self.template.name, args=arguments, id=self.id, task_queue=self.id)
        return TaskHandle(client, self.id)


@dataclass
class Scene:
    """`play` brings the task of `template` so far that it ends by itself."""

    template: TaskTemplate[Any]
    play: Callable[[Stage], Awaitable[Any]]

    @property
    def name(self) -> str:
        return self.template.name.removeprefix("golden.")


async def nothing() -> None: ...
