"""Why a task is over."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio import workflow

from tasker_temporal import (
    Retry,
    RetryableError,
    TaskCancelled,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    start_task,
)
from tasker_temporal.errors import UnknownTask
from tests.patience import until_history
from tests.server.conftest import Connect, replayed, worker
from tests.shell.whys import BY, Shop, opened


@pytest.fixture
async def shop(client: Connect) -> AsyncIterator[Shop]:
    async with opened(client) as found:
        yield found


async def test_a_task_that_is_over_says_so_in_one_sentence(client: Connect) -> None:
    template = TaskTemplate("why.done")

    @template.step
    async def only() -> None: ...

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        report = await task.result()
    found = await task.why()
    [reason] = found.reasons
    assert (found.state, found.source) == ("complete", "record")
    assert (reason.kind, reason.sentence, reason.action) == ("over", "the task is over: complete (1 complete)", None)
    assert reason.since is not None
    assert reason.since == report.ended_at


async def test_a_failed_task_says_which_steps_failed_why_and_how_it_goes_on(client: Connect) -> None:
    template = TaskTemplate("why.failed")

    @template.step
    async def good() -> None: ...

    @template.step(after=[good], retry=Retry(attempts=2, base_delay=timedelta(0), jitter="none"))
    async def bad() -> None:
        raise RetryableError("the bank is closed")

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
    found = await task.why()
    end, step = found.reasons
    assert found.state == "error"
    assert end.sentence.startswith("the task is over, because it failed (1 complete, 1 error); ")
    assert end.action == f"tasker retry {task.id} --reason 'WHY'"
    assert step.sentence == "step 'bad' failed for good after 2 attempts: RetryableError: the bank is closed"
    assert step.since is not None


async def test_a_context_that_is_not_valid_is_the_reason(client: Connect) -> None:
    template = TaskTemplate("why.strict", context=int)
    connected = await client(template)
    async with worker(connected) as running:
        name = f"strict-{uuid.uuid4()}"
        await connected.start_workflow("why.strict", "seven", id=name, task_queue=running.task_queue)
        with pytest.raises(TaskFailed):
            await TaskHandle(connected, name).result()
    [found] = (await TaskHandle(connected, name).why()).reasons
    assert found.sentence.startswith("the task is over, because its context is not valid: the whole: Input should be")
    assert found.action == "tasker start why.strict --context JSON"


async def test_a_cancelled_task_names_its_author(shop: Shop) -> None:
    shop.gate.open()
    async with shop.working():
        await shop.task.cancel(**BY)
        with pytest.raises(TaskCancelled):
            await shop.task.result()
    found = await shop.task.why()
    assert (found.state, found.source) == ("cancelled", "record")
    assert found.reasons[0].sentence == "the task is over: cancelled, as 'ann' asked: the customer called"


async def test_a_terminated_task_names_who_did_it(client: Connect) -> None:
    connected = await client(template := TaskTemplate("why.gone"))
    task = await start_task(connected, template, None, task_queue="deserted")
    await task.workflow.terminate(reason="by mistake")
    found = await task.why()
    assert (found.state, found.source) == ("terminated", "server")
    assert found.reasons[0].sentence == (
        "the task was ended from outside, and could not write its end: "
        f"{connected.identity!r} terminated it: by mistake"
    )


async def test_a_task_that_nobody_knows_is_named(client: Connect) -> None:
    with pytest.raises(UnknownTask, match="there is no task 'nobody'"):
        await TaskHandle(await client(), "nobody").why()


async def test_telling_a_run_again_leaves_no_trace_in_it(shop: Shop) -> None:
    before = [event async for event in shop.task.workflow.fetch_history_events()]
    await shop.task.why()
    assert [event async for event in shop.task.workflow.fetch_history_events()] == before
    await replayed(shop.task, shop.template)


@workflow.defn(name="why.theirs", sandboxed=False)
class Theirs:
    """A workflow of the user's own."""

    @workflow.run
    async def run(self, seconds: int, word: str) -> str:
        await workflow.sleep(seconds)
        return word


async def test_a_workflow_that_is_no_task_is_told_as_far_as_it_can_be(client: Connect) -> None:
    connected = await client()
    names = [f"theirs-{uuid.uuid4()}" for _ in range(3)]
    async with worker(connected, workflows=[Theirs]) as running:
        queue = running.task_queue
        await connected.execute_workflow("why.theirs", args=[0, "done"], id=names[0], task_queue=queue)
        open_one = await connected.start_workflow("why.theirs", args=[3600, "later"], id=names[1], task_queue=queue)
        await until_history(TaskHandle(connected, open_one.id), "TIMER_STARTED")
        asked = await TaskHandle(connected, names[1]).why()
    await connected.start_workflow("why.theirs", args=[1, "never"], id=names[2], task_queue="deserted")
    done, untaken = [await TaskHandle(connected, name).why() for name in (names[0], names[2])]
    assert (done.state, done.reasons[0].sentence[:31]) == ("closed", "the task is over: completed (ru")
    assert (asked.source, untaken.source) == ("events", "events")
    assert asked.reasons[-1].sentence == "the task waits for a timer"
    assert untaken.reasons[0].sentence.endswith(f"; workflow {names[2]!r} is no task of this library")
    for name in names[1:]:
        await connected.get_workflow_handle(name).terminate()
