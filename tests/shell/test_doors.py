"""People step into tasks on a real server: by method, by Temporal's command, by signal, and after the run failed."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import Client

from tasker_temporal import (
    PermanentError,
    RequestRefused,
    Retry,
    State,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.server.conftest import Connect, replayed, worker
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


async def settled(task: TaskHandle, state: State = State.ERROR) -> None:
    async with asyncio.timeout(30):
        assert (await task.settled()).state is state


async def failed(task: TaskHandle) -> None:
    async with asyncio.timeout(30):
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


WAYS = pytest.mark.parametrize("way", [by_method, by_update, by_signal])

REQUESTS: dict[str, tuple[dict[str, Any], State]] = {
    "retry": ({}, State.COMPLETE),
    "resolve": ({}, State.RESOLVED_MANUALLY),
    "cancel": ({}, State.CANCELLED),
    "skip": ({"step": "charge"}, State.COMPLETE),
    "retry_step": ({"step": "charge", "fresh": True}, State.COMPLETE),
    "complete_step": ({"step": "charge", "result": {"amount": 3}}, State.COMPLETE),
}
"""What can be asked of a held task so that it ends, and how."""


async def until(task: TaskHandle, event: str) -> None:
    """Wait until the audit has a row of that event."""
    async with asyncio.timeout(30):
        while event not in [row.event for row in await task.audit()]:
            await asyncio.sleep(0.05)


@WAYS
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_held_task_is_put_right(
    client: Connect, server: DevServer, way: Callable[[DevServer], Ask], name: str
) -> None:
    world = World()
    template = shop(world, on_error="hold")
    connected = await client(template)
    more, state = REQUESTS[name]
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await settled(task)
        world.down = False
        await way(server)(task, name, {**more, **BY})
        async with asyncio.timeout(30):
            while (await task.report()).state is not state:
                await asyncio.sleep(0.05)
            audit = await task.audit()
        [asked] = [row for row in audit if row.actor == "ann" and row.event != "task.cancelled"]
        assert asked.reason == "the gateway is back"
        if name == "complete_step":
            assert await task.result_of("ship") == "shipped for 3"
            assert await task.result_of("charge") == {"amount": 3}
        await replayed(task, template)


@WAYS
async def test_a_running_task_is_paused_changed_resumed_and_done_again(
    client: Connect, server: DevServer, way: Callable[[DevServer], Ask]
) -> None:
    world = World(down=False, gate=Gate())
    template = shop(world)
    connected = await client(template)
    ask = way(server)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        assert world.gate is not None
        await world.gate.reached.wait()
        async with asyncio.timeout(30):
            while (await task.report()).steps["ship"].state is not State.COMPLETE:
                await asyncio.sleep(0.05)
        await ask(task, "pause", BY)
        await until(task, "task.paused")
        await ask(task, "change_step", {"step": "charge", "attempts": 5, **BY})
        await ask(task, "retry_from", {"step": "charge", **BY})
        await until(task, "step.redo_requested")
        assert (await task.report()).steps["charge"].state is State.PENDING
        assert [line["kind"] for line in await task.waiting()][:2] == ["pause", "pause"]
        await ask(task, "resume", BY)
        async with asyncio.timeout(30):
            while (await task.report()).steps["ship"].execution < 2:
                await asyncio.sleep(0.05)
        world.gate.open()
        assert (await task.result()).state is State.COMPLETE
        assert world.calls == ("quote", "charge", "ship", "charge", "ship")
        asked = [row.event for row in await task.audit() if row.actor == "ann"]
        assert asked == ["task.paused", "step.changed", *["step.redo_requested"] * 2, "task.resumed"]
        await replayed(task, template)


async def test_a_step_is_resolved_if_nobody_requires_its_result(client: Connect) -> None:
    world = World()
    template = shop(world, on_error="hold")
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await settled(task)
        with pytest.raises(RequestRefused, match="step 'ship' cannot do without the result of step 'charge'"):
            await task.resolve_step("charge", **BY)
        await task.skip("ship", **BY)
        answer = await task.resolve_step("charge", **BY)
        assert answer["rows"][0]["event"] == "step.resolved_manually"
        assert (await task.result()).steps["charge"].state is State.RESOLVED_MANUALLY
        await replayed(task, template)


async def test_a_result_of_the_wrong_type_is_refused_and_named(client: Connect) -> None:
    world = World()
    template = shop(world, on_error="hold")
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await settled(task)
        with pytest.raises(RequestRefused, match="the result of step 'charge' is not valid: amount: Input should be"):
            await task.complete_step("charge", {"amount": "much"}, **BY)
        assert "ann" not in {row.actor for row in await task.audit()}
        await task.workflow.signal("transition", {"request": "complete_step", "step": "charge", "result": "much", **BY})
        await until(task, "workflow.request_refused")
        refused = [row for row in await task.audit() if row.kind == "refused"]
        assert "the result of step 'charge' is not valid" in refused[0].metadata["rule"]
        await task.resolve(**BY)
        await task.result()
        await replayed(task, template)


async def test_a_failed_task_is_retried_after_its_handler_was_fixed(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
    world.down = False
    async with worker(connected, task_queue=serving.task_queue):
        answer = await task.retry(**BY, request_id="retry-1")
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of("ship") == "shipped for 7"
        assert world.calls == ("quote", "charge", "charge", "ship")
        assert await task.retry(**BY, request_id="retry-1") == answer
    audit = await task.audit()
    assert [row.sort_key for row in audit] == list(range(1, len(audit) + 1))
    assert [row.event for row in audit if row.sort_key == answer["first"]] == ["task.retry_requested"]
    await replayed(task, template)


async def test_a_failed_task_goes_on_as_it_was_declared_though_code_and_template_changed(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)

    later = TaskTemplate[Any](template.name, version="2.0.0")

    @later.step
    async def charge(amount: int) -> Payment:
        return Payment(amount=amount * 2)

    @later.step(after=[charge])
    async def brand_new() -> None:
        raise AssertionError("it is no step of the task")

    @later.step
    async def ship(payment: Payment = result_of(charge)) -> str:
        return f"sent for {payment.amount}"

    changed = await client(later)
    async with worker(changed, task_queue=serving.task_queue):
        task = TaskHandle(changed, task.id)
        await task.retry(**BY)
        report = await task.result()
        assert (report.state, report.version, set(report.steps)) == (
            State.COMPLETE,
            "1.0.0",
            {"quote", "charge", "ship", "guard"},
        )
        assert await task.result_of("ship") == "sent for 14"
    await replayed(task, later)


async def test_of_two_reopens_at_once_one_wins_and_the_other_is_refused(client: Connect) -> None:
    world = World(gate=Gate())
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        assert world.gate is not None
        world.gate.open()
        await failed(task)
        world.down = False
        found = await asyncio.gather(*(task.retry(**BY) for _ in range(2)), return_exceptions=True)
        assert sorted(isinstance(one, RequestRefused) for one in found) == [False, True]
        assert (await task.result()).state is State.COMPLETE
        assert [row.event for row in await task.audit()].count("task.retry_requested") == 1
        await replayed(task, template)


async def test_a_reopen_with_a_wrong_result_is_refused_and_the_task_can_be_reopened_again(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        with pytest.raises(RequestRefused, match="the result of step 'charge' is not valid"):
            await task.complete_step("charge", "much", **BY)
        assert (await task.report()).state is State.ERROR
        await task.complete_step("charge", {"amount": 5}, **BY)
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of("ship") == "shipped for 5"
        await task.audit()
        await replayed(task, template)


@pytest.mark.parametrize("name", ["pause", "resume"])
async def test_what_is_not_legal_in_error_does_not_reopen_a_task(client: Connect, name: str) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        with pytest.raises(RequestRefused, match="the task is error"):
            await getattr(task, name)(**BY)
        described = await task.workflow.describe()
        assert described.close_time is not None
        await replayed(task, template)


async def test_a_hold_ends_and_the_task_can_be_reopened(client: Connect) -> None:
    world = World()
    template = shop(world, on_error="hold", hold_for=timedelta(seconds=1))
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        assert (await task.audit())[-1].event == "task.hold_ended"
        world.down = False
        await task.retry(**BY)
        assert (await task.result()).state is State.COMPLETE
        await replayed(task, template)
