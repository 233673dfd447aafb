"""Whatever happens to a receiver or a worker: nothing is lost, the order is kept, and duplicates are numbered alike.

Each task continues as new on its way, and each receiver is a real HTTP server.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid

import pytest
from temporalio.client import Client

from tasker_temporal import TaskHandle, start_task
from tasker_temporal.dev import DevServer
from tests.chaos.kit import HastyTasks, victim
from tests.server.conftest import histories, replayed
from tests.sinks.kit import once, told_all
from tests.sinks.receiver import Receiver, receiving
from tests.sinks.victim import chain, hasty, plugin


async def told(receiver: Receiver) -> None:
    """Wait until the end has come; the receiver lives in threads."""
    while not any(event.type == "task.completed" for event in list(receiver.taken)):
        await asyncio.sleep(0.02)


async def connected(server: DevServer, url: str, timeout: float = 30.0) -> Client:
    return await server.client(plugins=[plugin(url, timeout)], interceptors=[HastyTasks()])


async def all_is_well(task: TaskHandle, receiver: Receiver) -> None:
    await told(receiver)
    assert len(await histories(task)) > 1, "it continued as new"
    await told_all(receiver.taken, task)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_a_receiver_that_is_down_gets_all_of_it_when_it_is_up(server: DevServer) -> None:
    port = free_port()
    client = await connected(server, f"http://127.0.0.1:{port}/hooks")
    async with hasty(client, queue := f"chaos-{uuid.uuid4()}"):
        task = await start_task(client, chain, None, task_queue=queue)
        assert (await task.result()).state == "complete"
        with receiving(port) as receiver:
            await all_is_well(task, receiver)
            assert len(once(receiver.taken)) == len(receiver.taken), "nobody took anything twice"
    await replayed(task, chain)


async def test_a_receiver_that_fails_now_and_then_gets_all_of_it(server: DevServer) -> None:
    count = iter(range(10_000))
    with receiving(refuse=lambda: next(count) % 3 != 2) as receiver:
        client = await connected(server, receiver.url)
        async with hasty(client, queue := f"chaos-{uuid.uuid4()}"):
            task = await start_task(client, chain, None, task_queue=queue)
            await all_is_well(task, receiver)
            assert any(got.answer.status == 500 for got in receiver.got)


async def test_a_receiver_that_is_too_slow_gets_some_twice_and_all_in_order(server: DevServer) -> None:
    """It takes them, but its answers come too late to be heard."""
    count, waiting = iter(range(10_000)), threading.Event()

    def be_slow() -> bool:
        if next(count) < 3:
            waiting.wait(0.8)
        return False

    with receiving(refuse=be_slow) as receiver:
        client = await connected(server, receiver.url, timeout=0.5)
        async with hasty(client, queue := f"chaos-{uuid.uuid4()}"):
            task = await start_task(client, chain, None, task_queue=queue)
            await all_is_well(task, receiver)
            assert len(receiver.taken) > len(once(receiver.taken))


@pytest.mark.parametrize("request_number", [1, 3])
async def test_a_worker_killed_between_delivery_and_acknowledgement_costs_a_duplicate(
    server: DevServer, request_number: int
) -> None:
    """The receiver has taken the batch, but the worker dies before it hears so."""
    hold = Hold(request_number)
    with receiving(refuse=hold.at_request) as receiver:
        client = await connected(server, receiver.url)
        queue = f"chaos-{uuid.uuid4()}"
        async with victim("tests.sinks.victim", client, queue, receiver.url):
            task = await start_task(client, chain, None, task_queue=queue)
            await asyncio.to_thread(hold.reached.wait)
        hold.go_on.set()
        async with hasty(client, queue):
            await all_is_well(task, receiver)
        assert len(receiver.taken) > len(once(receiver.taken))
    await replayed(task, chain)


class Hold:
    """Holds back one request's answer."""

    def __init__(self, number: int) -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._left = number

    def at_request(self) -> bool:
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            self.go_on.wait()
        return False
