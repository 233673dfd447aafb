"""A folder with a project whose tasks fail while a file is there, its worker, and the command in it."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from temporalio.client import Client

from tasker_temporal.errors import TaskFailed
from tasker_temporal.handle import TaskHandle
from tests.cli.kit import Ended, Running, write

CODE = """
import asyncio
from pathlib import Path

from pydantic import BaseModel
from tasker_temporal import PermanentError, Retry, TaskTemplate, result_of

class Payment(BaseModel):
    amount: int

def declared(name, on_error):
    template = TaskTemplate(name, task_queue="{queue}", on_error=on_error)

    @template.step
    def quote() -> int:
        return 7

    @template.step(retry=Retry(attempts=1))
    def charge(amount: int = result_of(quote)) -> Payment:
        if Path("down").exists():
            raise PermanentError("the gateway is down")
        return Payment(amount=amount)

    @template.step
    def ship(payment: Payment = result_of(charge)) -> str:
        return f"shipped for {payment.amount}"

    @template.step(after=[quote])
    async def guard() -> None:
        while Path("guarded").exists():
            await asyncio.sleep(0.02)

    return template

app = [declared("desk.held", "hold"), declared("desk.failing", "fail")]
"""

PROJECT = '[tool.tasker]\napp = "desk:app"\n'

ASKED = ("--actor", "ann", "--reason", "the gateway is back")


class Desk:
    """The folder, whose gateway is `down` or not, and the command in it."""

    def __init__(self, folder: Path, address: str, queue: str, client: Client) -> None:
        self.folder, self.address, self.queue, self.client = folder, address, queue, client
        write(folder, {"desk.py": CODE.replace("{queue}", queue), "pyproject.toml": PROJECT})

    def worker(self) -> Running:
        return Running("worker", "--app", "desk:app", folder=self.folder, TEMPORAL_ADDRESS=self.address)

    async def __call__(self, *arguments: str, **more: str) -> Ended:
        """Run the command to its end."""
        async with Running(*arguments, folder=self.folder, **{"TEMPORAL_ADDRESS": self.address, **more}) as running:
            return await running.ended(60)

    async def told(self, *arguments: str) -> Any:
        """What the command says as JSON, when all is well."""
        ended = await self(*arguments, "--json")
        assert (ended.code, ended.err) == (0, ""), ended
        return json.loads(ended.out)

    def switch(self, name: str, on: bool) -> None:
        """`down`: charges fail. `guarded`: the guard runs until it is switched off."""
        (self.folder / name).touch() if on else (self.folder / name).unlink(missing_ok=True)

    async def start(self, count: int = 1, template: str = "desk.held", prefix: str = "") -> list[TaskHandle]:
        """Start tasks, without a context and by name, as any client can."""
        prefix = prefix or f"{template}-{uuid.uuid4()}"
        ids = [f"{prefix}-{number}" for number in range(count)]
        places = asyncio.Semaphore(32)

        async def begin(task: str) -> TaskHandle:
            async with places:
                await self.client.start_workflow(template, None, id=task, task_queue=self.queue)
            return TaskHandle(self.client, task)

        return list(await asyncio.gather(*map(begin, ids)))

    async def stuck(self, count: int = 1, template: str = "desk.held", prefix: str = "") -> list[TaskHandle]:
        """Tasks whose charge has failed for good."""
        self.switch("down", True)
        tasks = await self.start(count, template, prefix)
        for task in tasks:
            async with asyncio.timeout(60):
                assert (await task.settled()).state == "error"
                if template == "desk.failing":
                    await self._closed(task)
        self.switch("down", False)
        return tasks

    async def _closed(self, task: TaskHandle) -> None:
        try:
            await task.result()
        except TaskFailed:
            return
        raise AssertionError(f"task {task.id} did not fail")
