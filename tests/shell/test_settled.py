"""`settled()` returns when a task is over or held in error, and asks the task itself as little as can be."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tasker_temporal import PermanentError, TaskerPlugin, TaskHandle, TaskTemplate, start_task
from tasker_temporal.attributes import STATE
from tasker_temporal.dev import DevServer
from tasker_temporal.door import Door
from tasker_temporal.errors import TaskLost, UnknownTask
from tests.server.conftest import Connect, worker
from tests.shell.kit import Gate
from tests.task_types import AUDITED

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}


def shop(gate: Gate, name: str, **options: Any) -> TaskTemplate[Any]:
    template = TaskTemplate(name, **options)

    @template.step
    async def only() -> None:
        await gate.passage()
        raise PermanentError("it broke")

    return template


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that are made."""
    names: list[str] = []
    query = Door.query

    async def counted(self: Door, name: str, *arguments: Any, **options: Any) -> Any:
        names.append(name)
        return await query(self, name, *arguments, **options)

    monkeypatch.setattr(Door, "query", counted)
    return names


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "not listed"])
async def test_it_returns_when_a_task_is_held_whether_lists_are_told_or_not(server: DevServer, listed: bool) -> None:
    gate = Gate()
    template = shop(gate, "settled.held", on_error="hold")
    connected = await server.client(plugins=[TaskerPlugin(template, search_attributes=listed)])
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        settling = asyncio.ensure_future(task.settled())
        await gate.reached.wait()
        await task.pause(**BY)
        assert not settling.done()
        await task.resume(**BY)
        gate.open()
        assert (await settling).state == "error"
        assert (await task.report()).state == "error"
        await task.resolve(**BY)
        assert (await task.settled()).state == "resolved_manually"


async def test_a_task_that_is_listed_is_asked_once_when_it_is_settled(client: Connect, asked: list[str]) -> None:
    gate = Gate()
    connected = await client(template := shop(gate, "settled.asked", on_error="hold"))
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        settling = asyncio.ensure_future(task.settled())
        await gate.reached.wait()
        while task._listed is None:
            await task.workflow.describe()
        gate.open()
        await settling
        assert asked == ["report"]
        await task.cancel(**BY)


async def test_a_task_of_a_closed_run_is_settled(client: Connect) -> None:
    gate = Gate()
    gate.open()
    connected = await client(template := shop(gate, "settled.failed"))
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        assert (await task.settled()).state == "error"


async def test_a_state_of_a_tasks_own_type_is_not_an_end(client: Connect) -> None:
    connected = await client(template := TaskTemplate("settled.audited", type=AUDITED))
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        while (found := (await task.workflow.describe()).typed_search_attributes).get(STATE) is None:
            pass
        assert found.get(STATE) == "under_audit"
        why = await task.why()
        [reason] = why.reasons
        assert (why.state, reason.kind, reason.step) == ("under_audit", "move", None)
        assert reason.sentence == "the task waits for somebody to move it to complete or error"
        assert reason.action == f"tasker move {task.id} --to STATE --reason 'WHY'"
        settling = asyncio.ensure_future(task.settled())
        await task.report()
        assert not settling.done()
        await task.move("complete", **BY)
        assert (await settling).state == "complete"


async def test_it_waits_for_a_worker_that_is_not_there_yet(client: Connect) -> None:
    connected = await client(template := TaskTemplate("settled.later"))
    queue = f"later-{uuid.uuid4()}"
    task = await start_task(connected, template, None, task_queue=queue)
    await connected.start_workflow("settled.later", None, id=(name := f"bare-{queue}"), task_queue=queue)
    settling = [asyncio.ensure_future(each.settled()) for each in (task, TaskHandle(connected, name))]
    assert (await task.report()).state == "pending"
    async with worker(connected, task_queue=queue):
        assert [report.state for report in await asyncio.gather(*settling)] == ["complete", "complete"]


async def test_a_task_that_was_ended_from_outside_is_lost(client: Connect) -> None:
    connected = await client(template := TaskTemplate("settled.gone"))
    task = await start_task(connected, template, None, task_queue="deserted")
    settling = asyncio.ensure_future(task.settled())
    await task.report()
    await task.workflow.terminate()
    with pytest.raises(TaskLost, match="was ended from outside: it was terminated"):
        await settling


async def test_a_task_that_nobody_knows_is_named(client: Connect) -> None:
    with pytest.raises(UnknownTask, match="there is no task 'nobody'"):
        await TaskHandle(await client(), "nobody").settled()
