"""Random requests at random times into random tasks on a real server: none is lost, none makes an illegal row."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from tasker_temporal import (
    PermanentError,
    RequestRefused,
    Retry,
    State,
    StepContext,
    TaskCancelled,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    start_task,
)
from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE
from tasker_temporal.errors import NoAnswer, RequestUnanswered
from tests.server.conftest import Connect, histories, worker

SEED = int(os.environ.get("TASKER_SEED", "4"))

OF_TASK = ("pause", "resume", "retry")
OF_STEP: Mapping[str, Mapping[str, Any]] = {
    "skip": {},
    "retry_step": {"fresh": True},
    "retry_from": {},
    "resolve_step": {},
    "complete_step": {"result": "by hand"},
    "change_step": {"attempts": 2},
}


def flow(number: int, chance: random.Random) -> TaskTemplate[Any]:
    """Some steps, each of which comes after some of those before it, and fails at first, always or never."""
    template = TaskTemplate[Any](f"random.flow_{number}", on_error="hold")
    fails = {f"s{index}": chance.choice([0, 0, 1, 2, 99]) for index in range(chance.randint(2, 6))}

    async def handler(step: StepContext) -> str:
        await asyncio.sleep(0.01)
        if step.execution <= fails[step.step]:
            raise PermanentError("not yet") if fails[step.step] == 99 else RuntimeError("not yet")
        return "fine"

    declared: list[Any] = []
    for name in fails:
        after = [known for known in declared if chance.random() < 0.4]
        declared.append(template.add_step(name, handler, after=after, retry=Retry(attempts=2, jitter="none")))
    return template


def requests(template: TaskTemplate[Any], chance: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Each says by its actor which one it is. Nothing ends the task before the last of them."""
    for number in range(count):
        who = {"actor": f"person {number}", "reason": "by chance"}
        if chance.random() < 0.4:
            yield {"request": chance.choice(OF_TASK), **who}
        else:
            name = chance.choice(list(OF_STEP))
            yield {"request": name, "step": chance.choice(list(template.handlers)), **OF_STEP[name], **who}


class Stormy:
    """One task, and what was asked of it."""

    def __init__(self, task: TaskHandle, template: TaskTemplate[Any], seed: int) -> None:
        self.task, self.template, self.chance = task, template, random.Random(seed)
        self.told: list[str] = []
        self.taken: list[str] = []

    async def storm(self, count: int) -> None:
        """Ask by signal or by update, at once or after a moment."""
        for request in requests(self.template, self.chance, count):
            await asyncio.sleep(self.chance.choice([0, 0, 0.02, 0.1]))
            if (await self.task.workflow.describe()).close_time is not None:
                return
            if self.chance.random() < 0.5:
                await self._signal(request)
            else:
                await self._ask(request)

    async def _signal(self, request: Mapping[str, Any]) -> None:
        try:
            await self.task.workflow.signal("transition", request)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        else:
            self.told.append(request["actor"])

    async def _ask(self, request: Mapping[str, Any]) -> None:
        said = {name: value for name, value in request.items() if name != "request"}
        with suppress(RequestRefused):
            await self._until_answered(request["request"], {**said, "request_id": request["actor"]})
            self.taken.append(request["actor"])

    async def _until_answered(self, name: str, said: Mapping[str, Any]) -> None:
        """If an answer takes too long, the same request is made again.

        A worker without a cache drops a workflow task that waits for a local activity as soon as another one comes, and
        the server hands it out again only after ten seconds.
        """
        while True:
            with suppress(RequestUnanswered, NoAnswer):
                await getattr(self.task, name)(**said)
                return
            await asyncio.sleep(0.1)

    async def end(self) -> None:
        """Nothing is stuck: who wants it over has it over."""
        with suppress(RequestRefused):
            await self._until_answered("cancel", {"actor": "boss", "reason": "enough", "request_id": "the end"})
        with suppress(TaskFailed, TaskCancelled):
            assert (await self.task.result()).state in (State.COMPLETE, State.RESOLVED_MANUALLY)

    async def check(self) -> None:
        """The chain holds, each move is one of the tables, and each request has its row."""
        rows = await self.task.audit()
        states: dict[str, str | None] = {}
        for row in (row for row in rows if row.kind == "transition"):
            assert row.from_state == states.get(row.entity)
            table = TASK_TABLE if row.entity == "task" else STEP_TABLE
            before = None if row.from_state is None else State(row.from_state)
            assert table[before, State(str(row.to_state))] == row.event
            states[row.entity] = row.to_state
        assert [row.sort_key for row in rows] == list(range(1, len(rows) + 1))
        actors = {row.actor for row in rows}
        assert [name for name in [*self.taken, *self.told] if name not in actors] == []
        # A signal in the very moment of the end makes the server ask the worker once more, which counts as a failure.
        replayer = Replayer(workflows=[], plugins=[TaskerPlugin(self.template)])
        for history in await histories(self.task):
            await replayer.replay_workflow(history)


async def storms(client: Connect, cache: int, tasks: int, count: int) -> None:
    chance = random.Random(SEED)
    templates = [flow(number, chance) for number in range(tasks)]
    connected = await client(*templates)
    async with worker(connected, max_cached_workflows=cache) as running:

        async def live(template: TaskTemplate[Any], seed: int) -> None:
            task = await start_task(connected, template, None, task_queue=running.task_queue)
            stormy = Stormy(task, template, seed)
            await stormy.storm(count)
            await stormy.end()
            await stormy.check()

        await asyncio.gather(*(live(template, SEED + number) for number, template in enumerate(templates)))


async def test_random_requests_leave_a_whole_audit_and_no_stuck_task(client: Connect, cache: int) -> None:
    await storms(client, cache, tasks=8, count=20)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_many_random_requests_leave_a_whole_audit_and_no_stuck_task(client: Connect, cache: int) -> None:
    await storms(client, cache, tasks=100, count=60)
