"""What both kinds of death share: tasks that do not wait long for the dead, and what must have come of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle

from tasker_temporal import State, TaskHandle
from tests.chaos.victim import bottom, diamond
from tests.server.conftest import replayed
from tests.shell.kit import said


class HastyTasks(Interceptor):
    """A workflow task that a killed worker had taken is given to another after a second instead of ten."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _HastyStart(next)


class _HastyStart(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.task_timeout = timedelta(seconds=1)
        return await super().start_workflow(input)


@asynccontextmanager
async def victim(module: str, client: Client, *arguments: str) -> AsyncIterator[None]:
    """The module run by a process of its own as a worker on the client's server, killed at the end of the block."""
    command = [sys.executable, "-m", module, client.service_client.config.target_host, *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2])
    try:
        yield
    finally:
        assert process.returncode is None, "it ended before it was killed"
        process.kill()
        await process.wait()


async def ended_right(task: TaskHandle) -> None:
    report = await task.result()
    assert report.state is State.COMPLETE
    assert await task.result_of(bottom) == 5
    attempts = {name: (step.attempt, step.execution) for name, step in report.steps.items()}
    assert attempts == {"top": (1, 1), "left": (1, 1), "right": (2, 2), "bottom": (1, 1)}
    assert said(await task.audit())[-1] == "task.completed"
    await replayed(task, diamond)
