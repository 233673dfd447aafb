"""How a task begins without the library's client, with a context that is not valid, or cancelled before it began."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal import ContextInvalid, State, TaskCancelled, TaskFailed, TaskHandle, TaskTemplate, start_task
from tasker_temporal.core.messages import Content, Start
from tasker_temporal.core.requests import CancelTask
from tasker_temporal.core.task import Task
from tasker_temporal.testing import Hang, MemoryDriver, assert_transitions, run_task
from tasker_temporal.testing.run import BEGIN, KEY
from tests.conformance.case import paths
from tests.conformance.stages import audited
from tests.server.conftest import Connect, worker


class Order(BaseModel):
    lines: int
    note: str = ""


order = TaskTemplate("beginnings.order", context=Order)
QUEUE = "beginnings"


@order.step
async def count(order: Order) -> int:
    return order.lines


@order.step(after=[count])
async def send(order: Order) -> None:
    """The last step."""


async def begin_bare(client: Client, *arguments: Any) -> TaskHandle:
    """As Temporal's UI, its command line, or a program in another language would."""
    handle = await client.start_workflow(order.name, args=arguments, id=str(uuid.uuid4()), task_queue=QUEUE)
    return TaskHandle(client, handle.id)


def in_memory(first: Start) -> MemoryDriver:
    """A task that takes `first`, and whose steps are never answered."""
    driver = MemoryDriver(Task("task", order.compiled, Content(b"{}"), KEY), BEGIN, first)
    assert driver.next_step() is None
    return driver


@pytest.mark.parametrize(
    ("context", "error"),
    [({"lines": "many"}, "int_parsing"), (None, "model_type"), ({"lines": 1, "note": "x" * 2_100_000}, "too_large")],
    ids=["wrong-type", "nothing", "too-large"],
)
async def test_nothing_is_started_with_a_context_that_is_not_valid(client: Connect, context: Any, error: str) -> None:
    connected, task_id = await client(order), str(uuid.uuid4())
    with pytest.raises(ContextInvalid) as on_server:
        await start_task(connected, order, context, id=task_id, task_queue=QUEUE)
    with pytest.raises(ContextInvalid) as in_memory:
        await run_task(order, context)
    told = [(problem["loc"], problem["type"]) for problem in on_server.value.problems]
    assert told == [(problem["loc"], problem["type"]) for problem in in_memory.value.problems]
    assert [kind for _, kind in told] == [error]
    with pytest.raises(RPCError) as unknown:
        await connected.get_workflow_handle(task_id).describe()
    assert unknown.value.status is RPCStatusCode.NOT_FOUND


async def test_a_bare_start_is_a_start(client: Connect) -> None:
    connected = await client(order)
    async with worker(connected, task_queue=QUEUE):
        handle = await begin_bare(connected, {"lines": 3})
        report = await handle.result()
        assert await handle.result_of(count) == 3
    assert report.state is State.COMPLETE
    audit, _ = await audited(handle, order)
    assert paths(audit) == paths((await run_task(order, Order(lines=3))).audit)


async def test_a_start_by_a_name_that_the_client_does_not_know_is_a_start(client: Connect) -> None:
    async with worker(await client(order), task_queue=QUEUE):
        handle = await start_task(await client(), order.name, {"lines": 3}, task_queue=QUEUE)
        assert (await handle.result()).state is State.COMPLETE
    await audited(handle, order)


@pytest.mark.parametrize("arguments", [[{"lines": "many"}], []], ids=["wrong-type", "nothing"])
async def test_a_bare_start_with_a_context_that_is_not_valid_ends_in_error(client: Connect, arguments: Any) -> None:
    connected = await client(order)
    async with worker(connected, task_queue=QUEUE):
        handle = await begin_bare(connected, *arguments)
        with pytest.raises(TaskFailed) as failed:
            await handle.result()
    with pytest.raises(ContextInvalid) as invalid:
        await run_task(order, *arguments)
    assert failed.value.report.problems == invalid.value.problems
    audit, _ = await audited(handle, order)
    assert paths(audit) == paths(in_memory(Start(problems=invalid.value.problems)).engine.task.rows)
    assert_transitions(audit, [("task", None, "pending"), ("task", "pending", "error")], only="task")


async def test_a_task_that_is_cancelled_before_its_first_workflow_task_starts_nothing(client: Connect) -> None:
    connected = await client(order)
    handle = await start_task(connected, order, Order(lines=3), task_queue=QUEUE)
    await handle.workflow.cancel(reason="a mistake")
    async with worker(connected, task_queue=QUEUE):
        with pytest.raises(TaskCancelled):
            await handle.result()
    audit, _ = await audited(handle, order)
    assert paths(audit) == paths(in_memory(Start(cancelled_by=("ann", "a mistake"))).engine.task.rows)
    for step in order.handlers:
        expected = [(f"step:{step}", None, "pending"), (f"step:{step}", "pending", "cancelled")]
        assert_transitions(audit, expected, only=f"step:{step}")
    assert (audit[-1].actor, audit[-1].reason) == (connected.identity, "a mistake")


async def test_a_request_that_comes_before_the_first_workflow_task_waits_for_the_beginning(client: Connect) -> None:
    connected = await client(order)
    handle = await start_task(connected, order, Order(lines=3), task_queue=QUEUE)
    request = CancelTask(actor="ann", reason="a mistake")
    await handle.workflow.signal("transition", request.model_dump(mode="json"))
    async with worker(connected, task_queue=QUEUE):
        with pytest.raises(TaskCancelled):
            await handle.result()
    audit, _ = await audited(handle, order)
    run = await run_task(order, Order(lines=3), {count: Hang()}, requests=[(timedelta(0), request)])
    assert paths(audit) == paths(run.audit)
    assert (audit[-1].actor, audit[-1].reason) == ("ann", "a mistake")
