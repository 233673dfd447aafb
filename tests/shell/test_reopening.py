"""A task whose run has failed is reopened: once, from its record, with everything that it had."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.common import Priority, RawValue

from tasker_temporal import (
    Limits,
    PermanentError,
    RequestRefused,
    State,
    TaskHandle,
    TaskTemplate,
    reopening,
    result_of,
    start_task,
)
from tasker_temporal.histories import Run
from tasker_temporal.payloads import read_raw
from tasker_temporal.reader import Reader
from tests.patience import until_row
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import Gate, history, kinds
from tests.shell.shop import (
    BY,
    Payment,
    World,
    failed,
    shop,
    started,
    under_way,
)


async def test_a_failed_task_is_retried_after_its_handler_was_fixed(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
    world.down = False
    async with worker(connected, task_queue=serving.task_queue):
        answer = await task.retry(**BY, request_id="retry-1")
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of("ship") == "shipped for 7"
        assert world.calls == ("quote", "charge", "charge", "ship")
        assert await task.retry(**BY, request_id="retry-1") == answer
    audit = await task.audit()
    assert [row.sort_key for row in audit] == list(range(1, len(audit) + 1))
    assert [row.event for row in audit if row.sort_key == answer["first"]] == ["task.retry_requested"]
    await replayed(task, template)


async def test_a_failed_task_goes_on_as_it_was_declared_though_code_and_template_changed(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)

    later = TaskTemplate[Any](template.name, version="2.0.0")

    @later.step
    async def charge(amount: int) -> Payment:
        return Payment(amount=amount * 2)

    @later.step(after=[charge])
    async def brand_new() -> None:
        raise AssertionError("it is no step of the task")

    @later.step
    async def ship(payment: Payment = result_of(charge)) -> str:
        return f"sent for {payment.amount}"

    changed = await client(later)
    async with worker(changed, task_queue=serving.task_queue):
        task = TaskHandle(changed, task.id)
        await task.retry(**BY)
        report = await task.result()
        assert (report.state, report.version, set(report.steps)) == (
            State.COMPLETE,
            "1.0.0",
            {"quote", "charge", "ship", "guard"},
        )
        assert await task.result_of("ship") == "sent for 14"
    await replayed(task, later)


async def test_of_two_reopens_at_once_one_wins_and_the_other_is_refused(client: Connect) -> None:
    world = World(gate=Gate())
    template = shop(world)
    async with under_way(client, template) as task:
        assert world.gate is not None
        world.gate.open()
        await failed(task)
        world.down = False
        found = await asyncio.gather(*(task.retry(**BY) for _ in range(2)), return_exceptions=True)
        assert sorted(isinstance(one, RequestRefused) for one in found) == [False, True]
        assert (await task.result()).state is State.COMPLETE
        assert [row.event for row in await task.audit()].count("task.retry_requested") == 1
        await replayed(task, template)


async def test_of_the_same_request_at_once_under_one_id_each_has_the_answer_that_one_has(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        world.down, world.gate = False, Gate()
        asked = (task.retry(actor=f"ann-{number}", reason="r", request_id="one") for number in range(5))
        first, *others = await asyncio.gather(*asked)
        assert others == [first] * 4
        world.gate.open()
        await task.result()
        assert [row.event for row in await task.audit()].count("task.retry_requested") == 1
        await replayed(task, template)


async def test_a_reopen_with_a_wrong_result_is_refused_and_the_task_can_be_reopened_again(client: Connect) -> None:
    world = World()
    template = shop(world)
    async with under_way(client, template) as task:
        await failed(task)
        with pytest.raises(RequestRefused, match="the result of step 'charge' is not valid"):
            await task.complete_step("charge", "much", **BY)
        assert (await task.report()).state is State.ERROR
        asked = {"request": "complete_step", "step": "charge", "result": "much", **BY}
        with pytest.raises(RequestRefused, match="the result of step 'charge' is not valid"):
            await task.plan(asked)
        planned = await TaskHandle(await client(), task.id).plan(asked)
        assert (len(planned) > 0, planned.unchecked) == (True, "the result of step 'charge'")
        await task.complete_step("charge", {"amount": 5}, **BY)
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of("ship") == "shipped for 5"
        await task.audit()
        await replayed(task, template)


@pytest.mark.parametrize("name", ["pause", "resume"])
async def test_what_is_not_legal_in_error_does_not_reopen_a_task(client: Connect, name: str) -> None:
    world = World()
    template = shop(world)
    async with under_way(client, template) as task:
        await failed(task)
        with pytest.raises(RequestRefused, match="the task is error"):
            await getattr(task, name)(**BY)
        described = await task.workflow.describe()
        assert described.close_time is not None
        await replayed(task, template)


async def test_a_hold_ends_and_the_task_can_be_reopened(client: Connect) -> None:
    world = World()
    template = shop(world, on_error="hold", hold_for=timedelta(seconds=1))
    async with under_way(client, template) as task:
        await failed(task)
        assert (await task.audit())[-1].event == "task.hold_ended"
        world.down = False
        await task.retry(**BY)
        assert (await task.result()).state is State.COMPLETE
        await replayed(task, template)


async def test_a_task_that_is_too_large_for_a_new_run_says_so(client: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    template = shop(World())
    async with under_way(client, template) as task:
        await failed(task)
        monkeypatch.setattr(reopening, "PAYLOAD_LIMIT", 100)
        with pytest.raises(RequestRefused, match=r"take \d+ bytes: at most 100 can be handed to a new run"):
            await task.retry(**BY)
        assert (await task.report()).state is State.ERROR


async def test_a_task_that_was_started_with_nothing_is_reopened_too(client: Connect) -> None:
    """As Temporal's command starts it without an input."""
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        id = f"bare-{uuid.uuid4()}"
        await connected.start_workflow(template.name, id=id, task_queue=serving.task_queue)
        task = TaskHandle(connected, id)
        await failed(task)
        [first, *_] = await task.plan({"request": "retry", **BY})
        assert first.event == "task.retry_requested"
        world.down = False
        await task.retry(**BY)
        assert (await task.result()).state is State.COMPLETE
        await task.audit()
        await replayed(task, template)


async def test_who_read_the_run_before_cannot_fork_the_chain(client: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob has read the first failed run. Before he starts the next one, Ann has, and it has failed too."""
    template = shop(World())
    connected = await client(template)
    gate = Gate()
    start = reopening._started

    async def slow_for_bob(client: Client, task_id: str, latest: Run, arguments: Sequence[Any]) -> str:
        if "bob" in json.dumps(read_raw(arguments[1])):
            await gate.passage()
        return await start(client, task_id, latest, arguments)

    monkeypatch.setattr(reopening, "_started", slow_for_bob)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        bob = asyncio.create_task(task.retry(actor="bob", reason="me too"))
        await gate.reached.wait()
        await task.retry(**BY)
        await failed(task)
        rows = await task.audit()
        gate.open()
        with pytest.raises(RequestRefused, match="somebody reopened the task at the same moment: look again"):
            await bob
        assert await task.audit() == rows
        assert [row.actor for row in rows if row.event == "task.retry_requested"] == ["ann"]
        await replayed(task, template)


class Slow:
    """Holds up the start of the run that `bob` asks for, after he has found that nobody else has reopened the task."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self._start = Gate(), reopening._started
        monkeypatch.setattr(reopening, "_started", self.started)

    async def started(self, client: Client, task_id: str, latest: Run, arguments: Sequence[Any]) -> str:
        if "bob" in json.dumps(read_raw(arguments[1])):
            await self.gate.passage()
        return await self._start(client, task_id, latest, arguments)


async def test_who_looked_before_two_runs_came_and_failed_cannot_fork_the_chain(
    client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bob has looked and is about to start; the run that is there by then was not started after the one he read."""
    template = shop(World())
    connected = await client(template)
    slow = Slow(monkeypatch)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        bob = asyncio.create_task(task.retry(actor="bob", reason="me too"))
        await slow.gate.reached.wait()
        for _ in range(3):
            await task.retry(**BY)
            await failed(task)
        rows = await task.audit()
        slow.gate.open()
        with pytest.raises(RequestRefused, match="somebody reopened the task at the same moment: look again"):
            await bob
        assert await task.audit() == rows
        assert [row.actor for row in rows if row.event == "task.retry_requested"] == ["ann"] * 3
        await task.resolve(**BY)
        assert (await task.result()).state is State.RESOLVED_MANUALLY
        # A run that takes the place of others and ends at once does not ask for its end before the server knows.
        assert "WORKFLOW_TASK_FAILED" not in kinds(await history(task))
        await replayed(task, template)


async def test_who_looked_before_a_reopened_run_went_on_as_a_new_one_cannot_fork_the_chain(
    client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that is there by then was started by no request at all."""
    template = TaskTemplate[Any](f"long_{uuid.uuid4().hex}", limits=Limits(drain_events=10))

    @template.step
    async def quote() -> None: ...

    @template.step(after=[quote])
    async def pick() -> None: ...

    @template.step(after=[pick])
    async def charge() -> None:
        raise PermanentError("the gateway is down")

    connected = await client(template)
    slow = Slow(monkeypatch)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        bob = asyncio.create_task(task.retry(actor="bob", reason="me too"))
        await slow.gate.reached.wait()
        await task.retry_from("quote", **BY)
        await failed(task)
        rows = await task.audit()
        last = (await Reader(connected, task.id).runs())[-1]
        assert await Reader(connected, task.id).request(last) is None
        slow.gate.open()
        with pytest.raises(RequestRefused, match="somebody reopened the task at the same moment: look again"):
            await bob
        assert await task.audit() == rows
        await replayed(task, template)


async def test_who_read_a_run_long_ago_cannot_fork_the_chain(client: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs came between, so the server would not know that somebody went on from the first one."""
    template = shop(World())
    connected = await client(template)
    gate = Gate()

    async def context(reader: Reader) -> RawValue:
        if asyncio.current_task() is bob:
            await gate.passage()
        return await read_context(reader)

    read_context = Reader.context
    monkeypatch.setattr(Reader, "context", context)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
        bob = asyncio.create_task(task.retry(actor="bob", reason="me too"))
        await gate.reached.wait()
        for _ in range(2):
            await task.retry(**BY)
            await failed(task)
        gate.open()
        with pytest.raises(RequestRefused, match="look again"):
            await bob
        assert [row.actor for row in await task.audit() if row.event == "task.retry_requested"] == ["ann", "ann"]


async def test_a_request_is_answered_with_its_rows_in_every_later_run(client: Connect) -> None:
    world = World()
    template = shop(world)
    async with under_way(client, template) as task:
        await failed(task)
        answer = await task.retry(**BY, request_id="first")
        await failed(task)
        world.down = False
        await task.retry(**BY, request_id="second")
        assert (await task.result()).state is State.COMPLETE
        again = await task.retry(**BY, request_id="first")
        assert again == answer
        with pytest.raises(RequestRefused, match="'first' was already used for retry of the task"):
            await task.cancel(**BY, request_id="first")
        assert again["rows"][0]["event"] == "task.retry_requested"


async def test_a_request_is_answered_with_its_rows_by_an_open_later_run(client: Connect) -> None:
    world = World()
    template = shop(world)
    async with under_way(client, template) as task:
        await failed(task)
        answer = await task.retry(**BY, request_id="first")
        await failed(task)
        with pytest.raises(RequestRefused, match="'first' was already used for retry of the task"):
            await task.skip("charge", **BY, request_id="first")
        world.gate = Gate()
        again = asyncio.create_task(task.retry_from("quote", **BY))
        await world.gate.reached.wait()
        await again
        assert await task.retry(**BY, request_id="first") == answer
        world.gate.open()
        await failed(task)


async def test_a_reopened_task_keeps_what_temporal_knows_of_it(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await start_task(
            connected,
            template,
            None,
            task_queue=serving.task_queue,
            memo={"shop": "north"},
            priority=Priority(priority_key=2),
        )
        await failed(task)
        world.down = False
        await task.retry(**BY)
        await task.result()
        described = await task.workflow.describe()
        assert (await described.memo())["shop"] == "north"
        assert described.raw_description.workflow_execution_info.priority.priority_key == 2
        assert await described.static_summary() == f"{template.name} 1.0.0"


@pytest.mark.parametrize("asked", [{"request": "retry"}, {"request": "skip", "step": "charge"}])
async def test_what_a_request_would_do_to_a_failed_task_is_told_before(client: Connect, asked: dict[str, Any]) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
    before = await task.workflow.describe()
    planned = await task.plan({**asked, **BY})
    assert (await task.workflow.describe()).run_id == before.run_id
    world.down = False
    async with worker(connected, task_queue=serving.task_queue):
        name = asked["request"]
        done = await getattr(task, name)(**{key: asked[key] for key in asked if key != "request"}, **BY)
        await task.result()
    assert [(row["sort_key"], row["event"], row["to"]) for row in done["rows"]] == [
        (row.sort_key, row.event, row.to_state) for row in planned
    ]


async def test_what_would_be_refused_of_a_task_that_is_over_is_told_before(client: Connect) -> None:
    template = shop(World(down=False))
    async with under_way(client, template) as task:
        await task.result()
    with pytest.raises(RequestRefused, match="the task is complete: only an open task takes requests"):
        await task.plan({"request": "retry", **BY})


async def test_a_small_result_is_asked_for_again_after_a_reopening(client: Connect) -> None:
    world = World()
    template = shop(world)
    async with under_way(client, template) as task:
        await failed(task)
        await task.complete_step("charge", {"amount": 3}, **BY)
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of("ship") == "shipped for 3"


async def test_a_step_that_was_renamed_since_is_done_by_its_new_handler(client: Connect) -> None:
    template = shop(World())
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)

    later = TaskTemplate[Any](template.name, version="2.0.0")

    @later.step(formerly=["charge"])
    async def pay(amount: int) -> Payment:
        return Payment(amount=amount)

    @later.step
    async def ship(payment: Payment = result_of(pay)) -> str:
        return f"shipped for {payment.amount}"

    changed = await client(later)
    async with worker(changed, task_queue=serving.task_queue):
        await TaskHandle(changed, task.id).retry(**BY)
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of("ship") == "shipped for 7"
    await replayed(task, later)


async def test_a_step_whose_handler_is_gone_is_waited_for_and_named_until_a_worker_has_it(client: Connect) -> None:
    world = World()
    template = shop(world)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await failed(task)
    world.down = False
    later = TaskTemplate[Any](template.name, version="2.0.0")
    changed = await client(later)
    async with worker(changed, task_queue=serving.task_queue):
        await task.retry(**BY)
        await until_row(task, "step.handler_missing")
        [line] = [line for line in await task.waiting() if line["step"] == "charge"]
        assert line["kind"] == "handler"
        assert f"{template.name}.charge" in line["what"]
    async with worker(connected, task_queue=serving.task_queue):
        assert (await task.result()).state is State.COMPLETE
    await replayed(task, template)
