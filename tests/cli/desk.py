"""A folder with a project whose tasks fail while a file is there, its worker, and the command in it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from temporalio.client import Client

from tasker_temporal import State
from tasker_temporal.errors import TaskFailed
from tasker_temporal.handle import TaskHandle
from tests.cli.kit import Ended, Running, write
from tests.patience import PATIENCE

T = TypeVar("T")
U = TypeVar("U")

CODE = """
import asyncio
from pathlib import Path

from pydantic import BaseModel
from tasker_temporal import Move, PermanentError, Retry, TaskTemplate, TaskType, received, result_of

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

class Review(BaseModel):
    limit: int

reviewed = TaskTemplate("desk.reviewed", task_queue="{queue}")
review = reviewed.approval("review", form=Review, approvers=["ann", "bob"], quorum=2)

@reviewed.step
def pay(review: Review = result_of(review)) -> int:
    return review.limit

audited = TaskTemplate(
    "desk.audited",
    task_queue="{queue}",
    type=TaskType(
        name="audited",
        states=("under_audit",),
        rows=(Move(source="in_progress", to="under_audit"), Move(source="under_audit", to="complete", by="request")),
    ),
)

@audited.step
def prepare() -> None: ...

told = TaskTemplate("desk.told", task_queue="{queue}")
told.wait_for("paid", received(told.event("paid")))

app = [declared("desk.held", "hold"), declared("desk.failing", "fail"), reviewed, audited, told]
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

    async def __call__(self, *arguments: str, seconds: float = PATIENCE, **more: str) -> Ended:
        """Run the command to its end."""
        async with Running(*arguments, folder=self.folder, **{"TEMPORAL_ADDRESS": self.address, **more}) as running:
            return await running.ended(seconds)

    async def told(self, *arguments: str, seconds: float = PATIENCE) -> Any:
        """What the command says as JSON, when all is well."""
        ended = await self(*arguments, "--json", seconds=seconds)
        assert (ended.code, ended.err) == (0, ""), ended
        return json.loads(ended.out)

    def switch(self, name: str, on: bool) -> None:
        """`down`: charges fail. `guarded`: the guard runs until it is switched off."""
        (self.folder / name).touch() if on else (self.folder / name).unlink(missing_ok=True)

    async def start(self, count: int = 1, template: str = "desk.held", prefix: str = "") -> list[TaskHandle]:
        """Start tasks."""
        return await some_at_a_time(partial(self._started, template), ids(count, template, prefix))

    async def _started(self, template: str, task: str) -> TaskHandle:
        """Without a context and by name, as any client can."""
        await self.client.start_workflow(template, None, id=task, task_queue=self.queue)
        return TaskHandle(self.client, task)

    async def stuck(self, count: int = 1, template: str = "desk.held", prefix: str = "") -> list[TaskHandle]:
        """Tasks whose charge has failed for good."""
        wait = self._failed if template == "desk.failing" else self._held

        async def get_stuck(name: str) -> TaskHandle:
            task = await self._started(template, name)
            await wait(task)
            return task

        self.switch("down", True)
        tasks = await some_at_a_time(get_stuck, ids(count, template, prefix))
        self.switch("down", False)
        return tasks

    async def _held(self, task: TaskHandle) -> None:
        async with asyncio.timeout(PATIENCE):
            assert (await task.settled()).state is State.ERROR

    async def _failed(self, task: TaskHandle) -> None:
        try:
            await task.result()
        except TaskFailed:
            return
        raise AssertionError(f"task {task.id} did not fail")


def ids(count: int, template: str, prefix: str) -> list[str]:
    prefix = prefix or f"{template}-{uuid.uuid4()}"
    return [f"{prefix}-{number}" for number in range(count)]


async def some_at_a_time(work: Callable[[T], Awaitable[U]], things: Iterable[T]) -> list[U]:
    """Do the work for all of them, at most so many at once as a small machine bears."""
    places = asyncio.Semaphore(32)

    async def one(thing: T) -> U:
        async with places:
            return await work(thing)

    return list(await asyncio.gather(*map(one, things)))
