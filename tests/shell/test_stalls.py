"""What holds up a worker's event loop does not do so unnoticed."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from temporalio.worker import Worker

from tasker_temporal import TaskTemplate, stalls, start_task
from tasker_temporal.stalls import Stalls
from tests.server.conftest import Connect

TOLD = "something held up this worker's event loop for"


async def test_a_handler_that_blocks_is_a_line_of_the_workers_log(
    client: Connect, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalls.Stalls.__init__, "__defaults__", (0.01, 0.05))
    template = TaskTemplate("stalls.blocking", task_queue=f"stalls-{uuid.uuid4()}")

    @template.step
    async def block() -> None:
        time.sleep(0.3)

    connected = await client(template)
    async with Worker(connected, task_queue=template.compiled.task_queue or ""):
        task = await start_task(connected, template, None)
        await task.result()
    assert TOLD in caplog.text


async def test_after_its_end_nobody_looks(caplog: pytest.LogCaptureFixture) -> None:
    ended = Stalls(asyncio.get_running_loop(), every=0.01, tolerated=0.05)
    ended.end()
    time.sleep(0.2)
    await asyncio.sleep(0)
    assert TOLD not in caplog.text
