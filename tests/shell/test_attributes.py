"""Search attributes: what they tell, what they cost, and that no worker changes what a task was started with."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import pytest
import pytest_asyncio
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer, Worker

from tasker_temporal import (
    Limits,
    PermanentError,
    Retry,
    RetryableError,
    State,
    TaskCancelled,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    start_task,
)
from tasker_temporal.attributes import FAILED_STEPS, KEYS, STATE, STEPS_NAMED, TOLD_AT_ONCE, WAITING_FOR
from tasker_temporal.cli.process import WrongUse
from tasker_temporal.cli.setup import added
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import SearchAttributesMissing
from tasker_temporal.namespace import Listing, add, missing
from tasker_temporal.reader import Reader
from tasker_temporal.triggers import failed
from tests.patience import until, until_history, until_row, until_step
from tests.server.conftest import Connect, histories, replayed, worker
from tests.shell.kit import Gate, history, kinds, lasting

HOUR = timedelta(hours=1)

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}

Told = tuple[str | None, tuple[str, ...], tuple[str, ...]]
"""The state, what is waited for, and the failed steps."""

NOTHING: Told = (None, (), ())


async def told(task: TaskHandle) -> Told:
    """What the server knows of the latest run."""
    found = (await task.workflow.describe()).typed_search_attributes
    return found.get(STATE), tuple(found.get(WAITING_FOR) or ()), tuple(found.get(FAILED_STEPS) or ())


async def upserts(task: TaskHandle) -> int:
    return sum(kinds(one.events).count("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES") for one in await histories(task))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bare(server: DevServer) -> AsyncIterator[DevServer]:
    """A server whose namespace lacks the attributes."""
    del server  # It keeps the tests on one server until they need this one.
    stock = _Stock(ui_port=None)
    async with stock:
        yield stock


class _Stock(DevServer):
    def _command(self, binary: str) -> list[str]:
        command = super()._command(binary)
        while "--search-attribute" in command:
            at = command.index("--search-attribute")
            del command[at : at + 2]
        return command


# What they cost.


async def test_a_task_that_just_completes_costs_no_event_more(client: Connect, server: DevServer) -> None:
    template = TaskTemplate("told.usual")

    @template.step(retry=Retry(attempts=2, base_delay=timedelta(0), jitter="none"))
    async def only() -> None:
        gate.append(1)
        if len(gate) == 1:
            raise RetryableError("once")

    gate: list[int] = []
    on = await client(template)
    off = await server.client(plugins=[TaskerPlugin(template, search_attributes=False)])
    async with worker(on) as running:
        tasks = []
        for connected in (on, off):
            gate.clear()
            tasks.append(await start_task(connected, template, None, task_queue=running.task_queue))
            await tasks[-1].result()
    told_one, untold = tasks
    assert kinds(lasting(await history(told_one))) == kinds(lasting(await history(untold)))
    assert (await Reader(on, told_one.id).beginning()).start.listed
    assert not (await Reader(on, untold.id).beginning()).start.listed
    assert await told(told_one) == NOTHING


async def test_a_crowd_of_failures_is_told_in_a_few_events(client: Connect) -> None:
    template = TaskTemplate("told.crowd", on_error="hold", limits=Limits(in_flight=100))

    @template.step
    async def first() -> None: ...

    async def fail() -> None:
        raise PermanentError("it broke")

    for number in range(40):
        template.add_step(f"step_{number:02}", fail, after=[first])
    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.settled()
        state, waiting, failures = await told(task)
        assert (state, waiting, len(failures)) == ("error", ("hold",), STEPS_NAMED)
        assert list(failures) == sorted({*failures} & {*template.compiled.dependents})
        assert await upserts(task) <= len(TOLD_AT_ONCE) + 1
        await task.cancel(**BY)
        with pytest.raises(TaskCancelled):
            await task.result()
    assert await told(task) == NOTHING
    await replayed(task, template)


# What they tell.


async def test_a_failure_is_told_while_others_run(client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("told.early")

    async def fail() -> None:
        raise PermanentError("it broke")

    template.add_step("broken", fail)
    template.add_step("runs", gate.passage)
    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)

        async def is_told() -> bool:
            return await told(task) == (None, (), ("broken",))

        await until(is_told)
        gate.open()
        with pytest.raises(TaskFailed):
            await task.result()


async def test_a_pause_a_hold_and_a_failure_are_told_while_they_last(client: Connect, cache: int) -> None:
    gate, template = Gate(), TaskTemplate("told.held", on_error="hold")
    broken = [True]

    @template.step
    async def first() -> None:
        await gate.passage()

    @template.step(after=[first])
    async def second() -> None:
        if broken[0]:
            raise PermanentError("it broke")

    connected = await client(template)
    async with worker(connected, max_cached_workflows=cache) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        assert await told(task) == NOTHING
        await task.pause(**BY)
        assert await told(task) == ("paused", ("pause",), ())
        await task.resume(**BY)
        assert await told(task) == NOTHING
        gate.open()
        await task.settled()
        assert await told(task) == ("error", ("hold",), ("second",))
        broken[0] = False
        await task.retry(**BY)
        await task.result()
    assert await told(task) == NOTHING
    assert await upserts(task) == 4
    await replayed(task, template)


async def test_a_run_that_ends_tells_what_its_status_does_not(client: Connect) -> None:
    template = TaskTemplate("told.ends", on_error="hold")

    @template.step
    async def only() -> None:
        raise PermanentError("it broke")

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.settled()
        await task.resolve(**BY)
        await task.result()
        assert await told(task) == ("resolved_manually", (), ("only",))
        await replayed(task, template)


async def test_a_failed_task_names_its_failed_steps_and_reopens_without_them(client: Connect) -> None:
    template = TaskTemplate("told.failed")
    broken = [True]

    @template.step
    async def only() -> None:
        if broken[0]:
            raise PermanentError("it broke")

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        assert await told(task) == ("error", (), ("only",))
        broken[0] = False
        await task.retry(**BY)
        await task.result()
    assert await told(task) == NOTHING
    await replayed(task, template)


async def test_only_a_long_backoff_is_told(client: Connect) -> None:
    template = TaskTemplate("told.backoff")

    @template.step(retry=Retry(attempts=2, base_delay=HOUR, max_delay=HOUR, jitter="none"))
    async def long() -> None:
        raise RetryableError("not yet")

    @template.step(retry=Retry(attempts=2, base_delay=timedelta(seconds=0.1), jitter="none"))
    async def short() -> None:
        raise RetryableError("not yet")

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await until_history(task, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")
        while (found := await told(task))[2] != ("short",):
            pass
        assert found == (None, ("backoff",), ("short",))
        assert await upserts(task) <= 2
        await task.workflow.terminate()


async def test_a_failure_that_is_handled_is_told_no_more(client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("told.handled")

    @template.step
    async def pay() -> None:
        raise PermanentError("no money")

    @template.step
    async def slow() -> None:
        await gate.passage()

    @template.step(after=[slow], on=failed(pay))
    async def refund() -> None: ...

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        while await told(task) != (None, (), ("pay",)):
            pass
        gate.open()
        assert (await task.result()).state == "complete"
    assert await told(task) == NOTHING
    await replayed(task, template)


async def test_a_missing_handler_is_told(client: Connect) -> None:
    template, other = TaskTemplate("told.parted"), TaskTemplate("told.parted")

    @template.step
    async def absent() -> None: ...

    connected, without = await client(template), await client(other)
    async with worker(without) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await until_history(task, "TIMER_STARTED")
        assert await told(task) == (None, ("handler",), ())
    async with worker(connected, task_queue=running.task_queue):
        await task.result()
    assert await told(task) == NOTHING
    await replayed(task, template)


async def test_they_last_over_runs_and_none_is_told_twice(client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("told.long", limits=Limits(drain_events=10))

    @template.step
    async def first() -> None:
        raise PermanentError("it broke")

    @template.step(retry=Retry(attempts=2, base_delay=HOUR, max_delay=HOUR, jitter="none"))
    async def second() -> None:
        gate.reached.set()
        raise RetryableError("not yet")

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await until_row(task, "workflow.run_continued")
        await task.report()
        assert await told(task) == (None, ("backoff",), ("first",))
        later = (await histories(task))[-1]
        assert "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" not in kinds(later.events)
        await task.cancel(**BY)
        with pytest.raises(TaskCancelled):
            await task.result()
    assert await told(task) == NOTHING
    await replayed(task, template)


MINE = SearchAttributeKey.for_keyword("CustomerTier")


async def test_what_the_user_gives_stays(server: DevServer, client: Connect) -> None:
    gate, template = Gate(), TaskTemplate("told.mine")

    @template.step
    async def only() -> None:
        await gate.passage()

    connected = await client(template)
    async with DevServer(ui_port=None, extra_args=["--search-attribute", "CustomerTier=Keyword"]) as own:
        connected = await own.client(plugins=[TaskerPlugin(template)])
        async with worker(connected) as running:
            task = await start_task(
                connected,
                template,
                None,
                task_queue=running.task_queue,
                search_attributes=TypedSearchAttributes([SearchAttributePair(MINE, "gold")]),
                memo={"note": "mine"},
            )
            await gate.reached.wait()
            await task.pause(**BY)
            found = await task.workflow.describe()
            assert found.typed_search_attributes.get(MINE) == "gold"
            assert found.typed_search_attributes.get(STATE) == "paused"
            assert await found.memo() == {"note": "mine"}
            await task.workflow.terminate()


# Decided at the start.


@pytest.mark.parametrize("first", [True, False], ids=["on, then off", "off, then on"])
async def test_a_worker_of_the_other_mind_goes_on_and_replays(server: DevServer, first: bool) -> None:
    gate, template = Gate(), TaskTemplate("told.minds")

    @template.step
    async def only() -> None:
        await gate.passage()

    minds = {
        mind: await server.client(plugins=[TaskerPlugin(template, search_attributes=mind)]) for mind in (True, False)
    }
    one, other = minds[first], minds[not first]
    async with worker(one) as running:
        task = await start_task(one, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await task.pause(**BY)
        gate.open()
        await until_step(task, "only", State.COMPLETE)
    async with worker(other, task_queue=running.task_queue):
        await TaskHandle(other, task.id).resume(**BY)
        await TaskHandle(other, task.id).result()
    assert await upserts(task) == (2 if first else 0)
    for mind in minds:
        replayer = Replayer(workflows=[], plugins=[TaskerPlugin(template, search_attributes=mind)])
        for one_run in await histories(task):
            await replayer.replay_workflow(one_run)


@pytest.mark.parametrize("mind", [True, False, "auto"])
async def test_a_task_started_without_the_library_is_decided_by_its_worker(server: DevServer, mind: Any) -> None:
    gate, template = Gate(), TaskTemplate("told.bare")

    @template.step
    async def only() -> None:
        await gate.passage()

    connected = await server.client(plugins=[TaskerPlugin(template, search_attributes=mind)])
    async with worker(connected) as running:
        name = f"bare-{uuid.uuid4()}"
        await connected.start_workflow("told.bare", None, id=name, task_queue=running.task_queue)
        task = TaskHandle(connected, name)
        await gate.reached.wait()
        await task.pause(**BY)
        assert await told(task) == (("paused", ("pause",), ()) if mind else NOTHING)
        gate.open()
        await task.resume(**BY)
        await task.result()
    for other in (True, False):
        replayer = Replayer(workflows=[], plugins=[TaskerPlugin(template, search_attributes=other)])
        await replayer.replay_workflow((await histories(task))[0])


# A namespace without them.


def lacking(gate: Gate) -> TaskTemplate[Any]:
    template = TaskTemplate("told.lacking")

    @template.step
    async def only() -> None:
        await gate.passage()

    return template


async def upserts_of_a_pause(bare: DevServer) -> int:
    """How often a task tells something that is started now, paused, and resumed."""
    gate = Gate()
    template = lacking(gate)
    connected = await bare.client(plugins=[TaskerPlugin(template)])
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await task.pause(**BY)
        gate.open()
        await task.resume(**BY)
        await task.result()
    return await upserts(task)


async def test_where_there_are_none_nothing_is_told_until_they_are_added(bare: DevServer) -> None:
    connected = await bare.client(plugins=[TaskerPlugin()])
    assert await missing(connected) == list(KEYS)
    assert await upserts_of_a_pause(bare) == 0
    template = lacking(Gate())
    insisting = await bare.client(plugins=[TaskerPlugin(template, search_attributes=True)])
    with pytest.raises(SearchAttributesMissing) as found:
        await start_task(insisting, template, None, task_queue="any")
    assert str(found.value) == (
        "namespace 'default' lacks the search attributes TaskerState, TaskerWaitingFor, TaskerFailedSteps: "
        "add them with `tasker setup`, or pass search_attributes=False"
    )
    with pytest.raises(SearchAttributesMissing):
        await Worker(insisting, task_queue="any").run()
    assert await add(connected) == list(KEYS)
    assert await add(connected) == []
    assert await missing(connected) == []
    assert await upserts_of_a_pause(bare) == 2


def denied(*_: Any, **__: Any) -> Any:
    raise RPCError("no", RPCStatusCode.PERMISSION_DENIED, b"")


async def test_whoever_may_not_ask_for_their_list_finds_out_by_a_query(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = await server.client(plugins=[TaskerPlugin()])
    monkeypatch.setattr(connected.operator_service, "list_search_attributes", denied)
    assert await missing(connected) == []
    monkeypatch.setitem(cast(dict[str, Any], KEYS), "TaskerNever", KEYS[STATE.name])
    assert await missing(connected) == list(KEYS)
    assert not await Listing().decide(connected)
    monkeypatch.setattr(connected.workflow_service, "list_workflow_executions", denied)
    assert await missing(connected) is None
    assert not await Listing().decide(connected)
    assert await Listing(True).decide(connected)


async def test_setup_says_who_can_do_what_you_may_not(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    connected = await server.client(plugins=[TaskerPlugin()])
    monkeypatch.setitem(cast(dict[str, Any], KEYS), "TaskerNever", KEYS[STATE.name])
    monkeypatch.setattr(connected.operator_service, "add_search_attributes", denied)
    with pytest.raises(WrongUse) as refused:
        await added(connected)
    assert refused.value.message.startswith(
        "search attributes cannot be added to namespace 'default', you may not (no): "
        "ask whoever runs the cluster to add TaskerState as Keyword, "
    )
