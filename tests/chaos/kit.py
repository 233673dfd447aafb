"""What both kinds of death share: tasks that do not wait long for the dead, and what must have come of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.client import Interceptor, OutboundInterceptor, StartWorkflowInput, WorkflowHandle

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


async def ended_right(task: TaskHandle) -> None:
    report = await task.result()
    assert report.state is State.COMPLETE
    assert await task.result_of(bottom) == 5
    attempts = {name: (step.attempt, step.execution) for name, step in report.steps.items()}
    assert attempts == {"top": (1, 1), "left": (1, 1), "right": (2, 2), "bottom": (1, 1)}
    assert said(await task.audit())[-1] == "task.completed"
    await replayed(task, diamond)
