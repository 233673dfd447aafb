"""A task says what it waits for, whoever lives: its workers, only some of them, or none."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.service import RPCError

from tasker_temporal import (
    Limits,
    PermanentError,
    Retry,
    RetryableError,
    TaskCancelled,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.attributes import WAITING_FOR
from tasker_temporal.dev import DevServer
from tasker_temporal.driver import Driver
from tasker_temporal.errors import RecordError, UnknownTask
from tasker_temporal.pollers import pollers
from tasker_temporal.reader import Reader
from tasker_temporal.triggers import elapsed, received
from tasker_temporal.why import Explanation, Reason
from tests.patience import until_history
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import Gate, temporal

HOUR = timedelta(hours=1)

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}


@dataclass
class Shop:
    """A task of which `pick` runs on a queue of its own, `pay` backs off, `weigh` has no worker, and `ship` waits."""

    client: Client
    template: TaskTemplate[Any]
    task: TaskHandle
    gate: Gate
    home: str

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker of its own name: the server may still know of the last one's end."""
        async with worker(self.client, task_queue=self.home, identity=f"worker-{uuid.uuid4()}"):
            while not await pollers(self.client, self.home):
                pass
            yield

    async def told(self) -> Mapping[tuple[str, str | None], Reason]:
        return by_kind(await self.task.why())


def by_kind(found: Explanation) -> Mapping[tuple[str, str | None], Reason]:
    """The reasons by kind and step."""
    reasons = {(reason.kind, reason.step): reason for reason in found.reasons}
    assert len(reasons) == len(found.reasons)
    return reasons


@pytest.fixture
async def shop(client: Connect) -> AsyncIterator[Shop]:
    """The workflow's worker took the task, and is gone; that of `pick` still runs."""
    home, stall, lonely = (f"{name}-{uuid.uuid4()}" for name in ("home", "stall", "lonely"))
    gate, template = Gate(), TaskTemplate("why.shop")

    @template.step(task_queue=stall)
    async def pick() -> str:
        await gate.passage()
        return "picked"

    @template.step(retry=Retry(attempts=2, base_delay=HOUR, max_delay=HOUR, jitter="none"))
    async def pay() -> int:
        raise RetryableError("the bank is closed")

    @template.step(task_queue=lonely)
    async def weigh() -> int:
        return 1

    @template.step(after=[weigh])
    async def ship(picked: str = result_of(pick), paid: int = result_of(pay)) -> None: ...

    connected = await client(template)
    async with worker(connected, task_queue=stall):
        task = await start_task(connected, template, None, task_queue=home)
        shop = Shop(connected, template, task, gate, home)
        async with shop.working():
            await gate.reached.wait()
            await until_history(task, "TIMER_STARTED")
        yield shop
        gate.open()
    with suppress(RPCError):
        await task.workflow.terminate()


# With a worker.


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
        while len(await Reader(connected, task.id).runs()) < 2:
            pass
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


# It is over.


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
