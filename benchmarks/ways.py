"""The ways to run a shape on Temporal that are compared, each with a worker process of its own.

`python -m benchmarks.ways WAY TARGET` is that worker; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.worker import Replayer, Worker

from benchmarks import handwritten
from benchmarks.declared import HELD, TEMPLATES
from benchmarks.orders import ORDER
from benchmarks.shapes import Shape
from tasker_temporal import TaskerPlugin, start_task

Start = Callable[[Client, Shape], Awaitable[WorkflowHandle[Any, Any]]]


@dataclass(frozen=True)
class Way:
    """How a shape is run.

    Attributes:
        start: Starts one run of a shape; the handle waits for its end.
        options: Those of its worker and its replayer, beside the plugins and the converter.
    """

    name: str
    title: str
    start: Start
    options: Mapping[str, Any]
    plugins: Callable[[], list[Any]] = list
    data_converter: DataConverter = DataConverter.default

    @property
    def queue(self) -> str:
        return f"bench-{self.name}"

    async def connect(self, target: str) -> Client:
        return await Client.connect(target, plugins=self.plugins(), data_converter=self.data_converter)

    def worker(self, client: Client) -> Worker:
        return Worker(client, task_queue=self.queue, **self.options)

    def replayer(self) -> Replayer:
        workflows = self.options.get("workflows", [])
        return Replayer(workflows=workflows, plugins=self.plugins(), data_converter=self.data_converter)


async def _by_library(client: Client, shape: Shape) -> WorkflowHandle[Any, Any]:
    task = await start_task(client, TEMPLATES[shape.name], ORDER, task_queue=LIBRARY.queue)
    return task.workflow


def _by_hand(name: str, title: str, classes: Mapping[str, type[Any]]) -> Way:
    async def start(client: Client, shape: Shape) -> WorkflowHandle[Any, Any]:
        run, arguments = classes[shape.name].__name__, handwritten.arguments(shape.name, ORDER)
        return await client.start_workflow(run, args=arguments, id=f"{run}-{uuid.uuid4()}", task_queue=f"bench-{name}")

    workflows = [*dict.fromkeys(classes.values()), handwritten.Held]
    options = {"workflows": workflows, "activities": [handwritten.do_step]}
    return Way(name, title, start, options, data_converter=pydantic_data_converter)


LIBRARY: Final = Way("library", "this library", _by_library, {}, lambda: [TaskerPlugin(*TEMPLATES.values(), HELD)])
SANDBOXED: Final = _by_hand("sandboxed", "by hand", handwritten.SANDBOXED)
UNSANDBOXED: Final = _by_hand("unsandboxed", "by hand, no sandbox", handwritten.UNSANDBOXED)

WAYS: Final = {way.name: way for way in (LIBRARY, SANDBOXED, UNSANDBOXED)}


async def work(way: Way, target: str) -> None:
    """Run the way's worker until standard input ends, as it does when the measuring process does."""
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
    async with way.worker(await way.connect(target)):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(work(WAYS[sys.argv[1]], sys.argv[2]))
    os._exit(0)
