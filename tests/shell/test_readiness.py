"""A run whose workflow task is done again is asked again, and one whose task fails by itself is not for ever."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal import TaskTemplate, readiness, start_task
from tasker_temporal.readiness import once_ready
from tests.server.conftest import Connect, worker

NOT_READY = RPCError("Workflow Task in failed state", RPCStatusCode.FAILED_PRECONDITION, b"")


class Run:
    """Answers after that many errors."""

    def __init__(self, *errors: RPCError) -> None:
        self.errors, self.asked = list(errors), 0

    async def ask(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "here"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "EVERY", 0)


async def test_what_is_done_again_is_asked_again() -> None:
    run = Run(NOT_READY, NOT_READY)
    assert await once_ready(run.ask) == "here"
    assert run.asked == 3


async def test_what_fails_again_and_again_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "READY_WITHIN", -1)
    run = Run(NOT_READY)
    with pytest.raises(RPCError, match="in failed state"):
        await once_ready(run.ask)
    assert run.asked == 1


async def test_any_other_error_is_told_at_once() -> None:
    run = Run(RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b""))
    with pytest.raises(RPCError, match="not found"):
        await once_ready(run.ask)
    assert run.asked == 1


@pytest.mark.parametrize("way", ["query", "execute_update"])
async def test_questions_and_requests_are_made_again(
    client: Connect, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = TaskTemplate("readiness.waits")
    template.approval("review", approvers=["ann"])
    connected, errors, original = await client(template), [NOT_READY], getattr(WorkflowHandle, way)

    async def unready(self: Any, *arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return await original(self, *arguments, **options)

    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        monkeypatch.setattr(WorkflowHandle, way, unready)
        await (task.report() if way == "query" else task.pause(actor="ann", reason="wait"))
        await task.workflow.terminate()
    assert errors == []
