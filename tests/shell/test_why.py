"""Why a task does not go on, as its worker tells it: a sentence for each thing, and the best next action."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tasker_temporal import (
    PermanentError,
    TaskFailed,
    TaskTemplate,
    start_task,
)
from tasker_temporal.attributes import WAITING_FOR
from tasker_temporal.dev import DevServer
from tasker_temporal.triggers import elapsed, received
from tests.patience import until_history
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import Gate, temporal
from tests.shell.whys import BY, HOUR, Shop, by_kind, opened


@pytest.fixture
async def shop(client: Connect) -> AsyncIterator[Shop]:
    async with opened(client) as found:
        yield found


async def test_a_worker_tells_each_thing_with_its_times_and_the_best_next_action(shop: Shop) -> None:
    async with shop.working():
        found = await shop.task.why()
        reasons = by_kind(found)
    assert (found.task_id, found.template, found.state, found.source) == (
        shop.task.id,
        "why.shop",
        "in_progress",
        "worker",
    )
    assert [(reason.kind, reason.step) for reason in found.reasons] == [
        ("worker", "weigh"),
        ("backoff", "pay"),
        ("execution", "pick"),
        ("dependency", "ship"),
    ]
    pay, pick = reasons["backoff", "pay"], reasons["execution", "pick"]
    assert pay.sentence == "step 'pay' waits for attempt 2 of 2, after RetryableError: the bank is closed"
    assert pay.action == f"tasker retry-step {shop.task.id} pay --reason 'WHY'"
    assert pay.since is not None
    assert pay.until is not None
    assert HOUR <= pay.until - pay.since < HOUR + timedelta(minutes=1)
    assert pick.sentence == f"step 'pick' runs on worker {shop.client.identity!r}: execution 1 of its handler"
    assert pick.until is not None
    assert pick.since is not None
    assert pick.until - pick.since == timedelta(minutes=10)
    assert reasons["dependency", "ship"].sentence.endswith("waits for these steps to be over: weigh, pick, pay")
    assert all(reason.since is not None for reason in found.reasons)


async def test_a_queue_that_no_worker_polls_is_named(shop: Shop) -> None:
    async with shop.working():
        found = (await shop.told())["worker", "weigh"]
    queue = shop.template.compiled.step("weigh").task_queue
    assert queue is not None
    assert found.sentence == f"step 'weigh' waits for a worker: none polls task queue {queue!r}"
    assert found.action == f"tasker worker --app MODULE:ATTRIBUTE --task-queue {queue}"


async def test_a_queue_that_a_later_step_will_need_is_named(client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("why.later")

    @template.step
    async def first() -> None:
        await gate.passage()

    @template.step(after=[first], task_queue="nobody-is-here")
    async def second() -> None: ...

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        found = by_kind(await task.why())["worker", None]
        assert found.sentence == "no worker polls task queue 'nobody-is-here', which step 'second' will need"
        await task.skip("second", **BY)
        assert ("worker", None) not in by_kind(await task.why())
        gate.open()
        await task.result()


async def test_a_pause_and_a_hold_say_who_must_act(client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("why.held", on_error="hold")

    @template.step
    async def first() -> None:
        await gate.passage()

    @template.step(after=[first])
    async def second() -> None:
        raise PermanentError("it broke")

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue, id=f"it's-{uuid.uuid4()}")
        await gate.reached.wait()
        await task.pause(**BY)
        found = await task.why()
        pause = by_kind(found)["pause", None]
        assert (found.state, pause.sentence) == ("paused", "the task waits for somebody to resume it")
        assert pause.action == f"tasker resume 'it'\"'\"'s-{task.id[5:]}' --reason 'WHY'"
        assert pause.since is not None
        gate.open()
        await task.resume(**BY)
        await task.settled()
        found = await task.why()
        hold, failure = (by_kind(found)[key] for key in (("hold", None), ("failure", "second")))
        assert (found.state, hold.sentence) == ("error", "the task waits for somebody to step in")
        assert hold.action is not None
        assert hold.action.startswith("tasker retry 'it")
        assert hold.until is not None
        assert failure.sentence == "step 'second' waits for somebody to act on its failure: PermanentError: it broke"
        await task.resolve(**BY)
    done = await task.why()
    assert (done.state, done.source) == ("resolved_manually", "record")
    assert done.reasons[0].sentence == "the task is over: resolved_manually, as 'ann' asked: the customer called"


async def test_a_failed_step_gets_new_attempts_by_its_action(client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("why.branches")

    @template.step
    async def slow() -> None:
        await gate.passage()

    @template.step
    async def broken() -> None:
        raise PermanentError("it broke")

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await until_history(task, "ACTIVITY_TASK_FAILED")
        found = by_kind(await task.why())["failure", "broken"]
        assert found.action == f"tasker retry-step {task.id} broken --fresh --reason 'WHY'"
        gate.open()
        with pytest.raises(TaskFailed):
            await task.result()


async def test_an_event_from_outside_says_how_anybody_can_tell_of_it(client: Connect, server: DevServer) -> None:
    template = TaskTemplate("why.outside")
    paid = template.event("bank.paid")

    @template.step
    async def book() -> None: ...

    @template.step(after=[book], on=received(paid))
    async def ship() -> None: ...

    template.wait_for("signed", received(paid), after=[book])

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        while ("event", "ship") not in (found := by_kind(await task.why())):
            pass
        for step in ("ship", "signed"):
            reason = found["event", step]
            assert reason.sentence == f"step {step!r} waits for an event from outside: received('bank.paid')"
            assert reason.since is not None
            assert reason.action == f"tasker send-event {task.id} --name bank.paid --payload JSON --reason WHY".replace(
                "WHY", "'WHY'"
            )
        assert (await task.workflow.describe()).typed_search_attributes.get(WAITING_FOR) == ["event"]
        await task.send_event("bank.paid", {})
        await task.result()
    assert (await task.workflow.describe()).typed_search_attributes.get(WAITING_FOR) is None
    await replayed(task, template)


async def test_a_time_that_is_waited_for_says_when_it_is_over(client: Connect) -> None:
    template = TaskTemplate("why.reminder")

    @template.step(on=elapsed(HOUR))
    async def remind() -> None: ...

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await until_history(task, "TIMER_STARTED")
        found = by_kind(await task.why())["time", "remind"]
        assert found.sentence == "step 'remind' waits for elapsed(1:00:00)"
        assert found.since is not None
        assert found.until is not None
        assert found.until - found.since == HOUR
        await task.workflow.terminate()


async def test_a_missing_handler_asks_for_a_worker_that_has_it(client: Connect) -> None:
    template, other = TaskTemplate("why.parted"), TaskTemplate("why.parted")

    @template.step
    async def absent() -> None: ...

    connected, without = await client(template), await client(other)
    async with worker(without) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await until_history(task, "TIMER_STARTED")
        found = by_kind(await task.why())["handler", "absent"]
        assert found.sentence == "step 'absent' waits for a worker that has the handler 'why.parted.absent'"
        assert found.action == f"tasker worker --app MODULE:ATTRIBUTE --task-queue {running.task_queue}"
    async with worker(connected, task_queue=running.task_queue):
        await task.result()


async def test_an_activity_that_temporal_itself_paused_says_how_to_unpause_it(server: DevServer, shop: Shop) -> None:
    which = ("--workflow-id", shop.task.id, "--activity-id", "weigh:1")
    await temporal(server, "activity", "pause", *which)
    async with shop.working():
        found = (await shop.told())["execution", "weigh"]
        assert found.action == f"temporal activity unpause {' '.join(which)}"
        await temporal(server, "activity", "unpause", *which)
        assert ("worker", "weigh") in await shop.told()
