"""kill -9 of the server, which keeps its state in a file: it comes back on the same port, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from tasker_temporal import TaskerPlugin, TaskTemplate, start_task
from tasker_temporal.dev import DevServer
from tests.chaos.kit import HastyTasks, ended_right
from tests.chaos.victim import diamond, hasty
from tests.server.conftest import replayed
from tests.shell.kit import Gate, said


@asynccontextmanager
async def at_work(client: Client) -> AsyncIterator[str]:
    """A worker that outlives the server, and the name of its queue."""
    queue = f"chaos-{uuid.uuid4()}"
    worker = hasty(client, queue)
    running = asyncio.create_task(worker.run())
    yield queue
    await worker.shutdown()
    await running


def kill(server: DevServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def test_tasks_requests_and_rows_survive_the_death_of_the_server(tmp_path: Path) -> None:
    gate = Gate()
    template = TaskTemplate("chaos.kept")
    waits = template.add_step("waits", gate.passage)

    async def nothing() -> None: ...

    template.add_step("skipped", nothing, after=[waits])
    template.add_step("last", nothing, after=[waits])
    server = DevServer(db=tmp_path / "chaos.db", ui_port=None)
    async with server:
        client = await server.client(plugins=[TaskerPlugin(template)], interceptors=[HastyTasks()])
        work = at_work(client)
        task = await start_task(client, template, None, task_queue=await work.__aenter__())
        await gate.reached.wait()
        await task.skip("skipped", actor="ann", reason="not today", request_id="once")
        rows = await task.audit()
        kill(server)
    async with server:
        assert (await task.skip("skipped", actor="ann", reason="not today", request_id="once"))["last"] == len(rows)
        gate.open()
        assert (await task.result()).counts == {"total": 3, "complete": 2, "skipped": 1}
        await work.__aexit__(None, None, None)
        found = await task.audit()
        assert found[: len(rows)] == rows
        assert said(found)[-1] == "task.completed"
        await replayed(task, template)


TASKS = 20


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_twenty_tasks_survive_several_deaths_of_the_server(tmp_path: Path) -> None:
    server = DevServer(db=tmp_path / "chaos.db", ui_port=None)
    logs = [tmp_path / f"{number}.log" for number in range(TASKS)]
    async with server:
        client = await server.client(plugins=[TaskerPlugin(diamond)], interceptors=[HastyTasks()])
        work = at_work(client)
        queue = await work.__aenter__()
        tasks = [await start_task(client, diamond, str(log), task_queue=queue) for log in logs]
        kill(server)
    for number in (0, 10):
        async with server:
            async for event in tasks[number].workflow.fetch_history_events(wait_new_event=True):
                if event.event_id >= 12:
                    break
            kill(server)
    async with server:
        await asyncio.gather(*map(ended_right, tasks))
        await work.__aexit__(None, None, None)
    for log in logs:
        print(log.name, dict(sorted(Counter(log.read_text().split()).items())))
