"""A sink of your own: each task's events in a Redis stream, each once.

The number of an event is its id in the stream, and Redis takes no id that is not greater than the last. So what is sent
twice is dropped there. With REDIS_URL set it fills that server (`pip install redis`), without it a small stand-in.
"""

import asyncio
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from temporalio.worker import Worker

from tasker_temporal import TaskerPlugin, TaskTemplate, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.sinks import Sink, TaskEvent


class Redis(Protocol):
    """What is asked of `redis.asyncio.Redis`."""

    async def xadd(self, name: str, fields: dict[str, Any], id: str) -> Any: ...


class RedisStreams:
    """Fills one stream for each task: `tasks:<its id>`."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        for event in events:
            try:
                await self.redis.xadd(f"tasks:{event.task_id}", {"event": event.json_bytes()}, id=f"{event.number}-0")
            except Exception as error:
                if "equal or smaller" not in str(error):
                    raise


class StandIn:
    """Streams in memory, which refuse old ids as Redis does."""

    def __init__(self) -> None:
        self.streams: dict[str, list[tuple[str, dict[str, Any]]]] = {}

    async def xadd(self, name: str, fields: dict[str, Any], id: str) -> str:
        stream = self.streams.setdefault(name, [])
        if stream and int(stream[-1][0].split("-")[0]) >= int(id.split("-")[0]):
            raise ValueError("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        stream.append((id, fields))
        return id


greet = TaskTemplate("streams.greet", task_queue="streams", sinks=[Sink(name="redis", events=("task.*",))])


@greet.step
def hello(name: str) -> str:
    return f"hello {name}"


async def main() -> None:
    url, stand_in = os.environ.get("REDIS_URL"), StandIn()
    redis: Redis = import_module("redis.asyncio").from_url(url) if url else stand_in
    async with DevServer() as server:
        client = await server.client(plugins=[TaskerPlugin(greet, sinks={"redis": RedisStreams(redis)})])
        async with Worker(client, task_queue="streams"):
            task = await start_task(client, greet, "ann", id="greet-1")
            await task.result()
    for id, fields in stand_in.streams.get("tasks:greet-1", []):
        print(id, TaskEvent.model_validate_json(fields["event"]).type)


if __name__ == "__main__":
    asyncio.run(main())
