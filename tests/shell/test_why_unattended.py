"""Why a task does not go on whose worker is gone, or fails: its history and the server tell."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasker_temporal import (
    Limits,
    PermanentError,
    Retry,
    RetryableError,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.driver import Driver
from tasker_temporal.errors import RecordError
from tasker_temporal.pollers import pollers
from tests.patience import until_history, until_row
from tests.server.conftest import Connect, worker
from tests.shell.kit import Gate
from tests.shell.whys import BY, HOUR, Shop, by_kind, opened


@pytest.fixture
async def shop(client: Connect) -> AsyncIterator[Shop]:
    async with opened(client) as found:
        yield found


# Without one.


async def test_a_task_that_no_worker_has_taken_says_so_at_once(client: Connect) -> None:
    template = TaskTemplate("why.fresh")
    connected = await client(template)
    async with worker(connected):  # It polls another queue.
        task = await start_task(connected, template, None, task_queue="deserted")
        found = await task.why()
        assert (found.state, found.source) == ("pending", "history")
        [reason] = found.reasons
        assert (reason.kind, reason.sentence) == (
            "worker",
            "the task waits for a worker: none polls task queue 'deserted', "
            "and something has come that it must take up",
        )
        assert reason.action == "tasker worker --app MODULE:ATTRIBUTE --task-queue deserted"
        assert reason.since is not None
        report = await task.report()
        assert (report.state, report.counts) == ("pending", {"total": 0})
        assert await task.waiting() == []
        await task.workflow.terminate()


async def test_a_task_without_its_template_says_what_it_waits_for(client: Connect) -> None:
    connected = await client()
    await connected.start_workflow("why.bare", None, id=(name := f"bare-{uuid.uuid4()}"), task_queue="deserted")
    task = TaskHandle(connected, name)
    found = await task.why()
    assert (found.state, [reason.kind for reason in found.reasons]) == ("pending", ["worker", "preparation"])
    assert (await task.report()).template == "why.bare"
    with pytest.raises(RecordError, match="no worker has taken it yet"):
        await task.audit()
    await task.workflow.terminate()


async def test_a_history_tells_what_its_worker_would_say(shop: Shop) -> None:
    async with shop.working():
        said = await shop.task.waiting(), await shop.task.report(), await shop.task.audit()
    assert (await shop.task.waiting(), await shop.task.report(), await shop.task.audit()) == said
    found = await shop.task.why()
    assert (found.state, found.source) == ("in_progress", "history")
    assert [(reason.kind, reason.step) for reason in found.reasons] == [
        ("worker", None),
        ("worker", "weigh"),
        ("backoff", "pay"),
        ("execution", "pick"),
        ("dependency", "ship"),
    ]
    assert found.reasons[0].sentence == f"the task waits for a worker: none polls task queue {shop.home!r}"


async def test_what_no_worker_has_taken_up_has_not_happened_to_the_task_yet(shop: Shop) -> None:
    await shop.task.workflow.signal("transition", {"request": "pause", **BY})
    shop.gate.open()
    await until_history(shop.task, "WORKFLOW_TASK_SCHEDULED", 2)
    found = await shop.task.why()
    reasons = by_kind(found)
    assert found.state == "in_progress"
    assert reasons["worker", None].sentence.endswith(", and something has come that it must take up")
    assert reasons["worker", None].since is not None
    async with shop.working():
        assert (await shop.task.why()).state == "paused"


async def test_a_run_that_goes_on_from_another_is_told_again(client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("why.long", limits=Limits(drain_events=10))

    @template.step
    async def first() -> str:
        return "a result"

    @template.step(after=[first], retry=Retry(attempts=2, base_delay=HOUR, max_delay=HOUR, jitter="none"))
    async def second() -> None:
        gate.reached.set()
        raise RetryableError("not yet")

    @template.step
    async def third(found: str = result_of(first), after: None = result_of(second)) -> None: ...

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await until_row(task, "workflow.run_continued")
        said = await task.waiting(), await task.audit()
    assert (await task.waiting(), await task.audit()) == said
    await task.workflow.terminate()


async def test_a_result_that_was_given_by_hand_is_told_again(client: Connect) -> None:
    """It stands in no activity, so that without a worker nothing else has it."""
    template = TaskTemplate("why.given", on_error="hold")

    @template.step
    async def charge() -> int:
        raise PermanentError("closed")

    template.approval("sign", after=[charge], approvers=["bob"])
    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.settled()
        await task.complete_step("charge", 7, **BY)
    assert await task.result_of(charge) == 7
    await task.workflow.terminate()


async def test_a_worker_that_has_stopped_is_not_counted(client: Connect) -> None:
    connected = await client(TaskTemplate("why.polled"))
    async with worker(connected) as running:
        task = await start_task(connected, "why.polled", None, task_queue=running.task_queue)
        await task.result()
        assert [one.identity for one in await pollers(connected, running.task_queue) or ()] == [connected.identity]
    assert await pollers(connected, running.task_queue) == []
    async with worker(connected, task_queue=running.task_queue, identity="another"):
        await (await start_task(connected, "why.polled", None, task_queue=running.task_queue)).result()
        assert [one.identity for one in await pollers(connected, running.task_queue) or ()] == ["another"]


async def test_a_delayed_start_says_when_it_begins(client: Connect) -> None:
    connected = await client(template := TaskTemplate("why.tomorrow"))
    task = await start_task(connected, template, None, task_queue="deserted", start_delay=HOUR)
    found = by_kind(await task.why())["start", None]
    assert found.sentence == "the task has not begun: it was started with a delay"
    assert found.until is not None
    assert found.until > datetime.now(UTC) + timedelta(minutes=50)
    await task.workflow.terminate()


# Its workers fail.


async def test_a_worker_without_the_template_is_told_from_one_that_is_not_there(client: Connect, shop: Shop) -> None:
    stranger = await client(TaskTemplate("why.stranger"))
    async with worker(stranger, task_queue=shop.home):
        await shop.task.workflow.signal("transition", {"request": "pause", **BY})
        await until_history(shop.task, "WORKFLOW_TASK_FAILED")
        while "tried 2 times" not in (found := (await shop.told())["workflow_task", None]).sentence:
            pass
    assert found.sentence.startswith(
        "the task waits for a worker that has its template: the worker of task queue "
        f"{shop.home!r} does not have the template 'why.shop' (tried"
    )
    assert found.action == f"tasker worker --app MODULE:ATTRIBUTE --task-queue {shop.home}"
    assert found.since is not None


async def test_a_workflow_task_that_fails_is_told_with_its_cause_from_the_bare_events(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("a bug of ours")

    with monkeypatch.context() as patched:
        patched.setattr(Driver, "feed", broken)
        async with shop.working():
            await shop.task.workflow.signal("transition", {"request": "pause", **BY})
            await until_history(shop.task, "WORKFLOW_TASK_FAILED")
            while ("workflow_task", None) not in (reasons := await shop.told()):
                pass
            found = await shop.task.why()
    failing = reasons["workflow_task", None]
    assert found.source == "events"
    assert "workflow worker unhandled failure: a bug of ours; it is tried again by itself" in failing.sentence
    assert failing.since is not None
    timer = reasons["timer", None]
    assert timer.sentence == "the task waits for a timer: pay · backoff"
    assert timer.until is not None
    assert timer.since is not None
    assert timer.until - timer.since == HOUR
    assert reasons["execution", "pick"].sentence.startswith("step 'pick' runs on worker")
    assert ("worker", "weigh") in reasons
