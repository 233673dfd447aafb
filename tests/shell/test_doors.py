"""Every request on a real server: by method, by Temporal's command, and by signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from temporalio.client import WorkflowUpdateFailedError

from tasker_temporal import (
    PermanentError,
    RequestRefused,
    State,
    StepContext,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import UnknownTask
from tests.patience import until_row, until_state, until_step
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import Gate
from tests.shell.shop import (
    BY,
    Ask,
    World,
    by_method,
    by_signal,
    by_update,
    settled,
    shop,
    started,
    under_way,
)

WAYS = pytest.mark.parametrize("way", [by_method, by_update, by_signal])

REQUESTS: dict[str, tuple[dict[str, Any], State]] = {
    "retry": ({}, State.COMPLETE),
    "resolve": ({}, State.RESOLVED_MANUALLY),
    "cancel": ({}, State.CANCELLED),
    "skip": ({"step": "charge"}, State.COMPLETE),
    "retry_step": ({"step": "charge", "fresh": True}, State.COMPLETE),
    "complete_step": ({"step": "charge", "result": {"amount": 3}}, State.COMPLETE),
}
"""What can be asked of a held task so that it ends, and how."""


@WAYS
@pytest.mark.parametrize("name", REQUESTS)
async def test_a_held_task_is_put_right(
    client: Connect, server: DevServer, way: Callable[[DevServer], Ask], name: str
) -> None:
    world = World()
    template = shop(world, on_error="hold")
    connected = await client(template)
    more, state = REQUESTS[name]
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        await settled(task)
        world.down = False
        await way(server)(task, name, {**more, **BY})
        await until_state(task, state)
        audit = await task.audit()
        [asked] = [row for row in audit if row.actor == "ann" and row.event != "task.cancelled"]
        assert asked.reason == "the gateway is back"
        if name == "complete_step":
            assert await task.result_of("ship") == "shipped for 3"
            assert await task.result_of("charge") == {"amount": 3}
        await replayed(task, template)


@WAYS
async def test_a_running_task_is_paused_changed_resumed_and_done_again(
    client: Connect, server: DevServer, way: Callable[[DevServer], Ask]
) -> None:
    world = World(down=False, gate=Gate())
    template = shop(world)
    connected = await client(template)
    ask = way(server)
    async with worker(connected) as serving:
        task = await started(connected, template, serving.task_queue)
        assert world.gate is not None
        await world.gate.reached.wait()
        await until_step(task, "ship", State.COMPLETE)
        await ask(task, "pause", BY)
        await until_row(task, "task.paused")
        await ask(task, "change_step", {"step": "charge", "attempts": 5, **BY})
        await ask(task, "retry_from", {"step": "charge", **BY})
        await until_row(task, "step.redo_requested")
        assert (await task.report()).steps["charge"].state is State.PENDING
        assert [line["kind"] for line in await task.waiting()][:2] == ["pause", "pause"]
        await ask(task, "resume", BY)
        await until_step(task, "ship", State.COMPLETE, execution=2)
        world.gate.open()
        assert (await task.result()).state is State.COMPLETE
        assert world.calls == ("quote", "charge", "ship", "charge", "ship")
        asked = [row.event for row in await task.audit() if row.actor == "ann"]
        assert asked == ["task.paused", "step.changed", *["step.redo_requested"] * 2, "task.resumed"]
        await replayed(task, template)


async def test_a_step_is_resolved_if_nobody_requires_its_result(client: Connect) -> None:
    world = World()
    template = shop(world, on_error="hold")
    async with under_way(client, template) as task:
        await settled(task)
        with pytest.raises(RequestRefused, match="step 'ship' cannot do without the result of step 'charge'"):
            await task.resolve_step("charge", **BY)
        await task.skip("ship", **BY)
        answer = await task.resolve_step("charge", **BY)
        assert answer["rows"][0]["event"] == "step.resolved_manually"
        assert (await task.result()).steps["charge"].state is State.RESOLVED_MANUALLY
        await replayed(task, template)


async def test_a_result_of_the_wrong_type_is_refused_and_named(client: Connect) -> None:
    world = World()
    template = shop(world, on_error="hold")
    async with under_way(client, template) as task:
        await settled(task)
        with pytest.raises(RequestRefused, match="the result of step 'charge' is not valid: amount: Input should be"):
            await task.complete_step("charge", {"amount": "much"}, **BY)
        asked = {"request": "complete_step", "step": "charge", **BY}
        with pytest.raises(RequestRefused, match="the result of step 'charge' is not valid: amount: Input should be"):
            await task.plan(asked | {"result": {"amount": "much"}})
        assert (await task.plan(asked | {"result": {"amount": 5}})).unchecked == ""
        stranger = TaskHandle(await client(), task.id)
        assert (await stranger.plan(asked | {"result": {"amount": "much"}})).unchecked == "the result of step 'charge'"
        assert (await stranger.plan({"request": "retry", **BY})).unchecked == ""
        assert "ann" not in {row.actor for row in await task.audit()}
        await task.workflow.signal("transition", {"request": "complete_step", "step": "charge", "result": "much", **BY})
        await until_row(task, "workflow.request_refused")
        refused = [row for row in await task.audit() if row.kind == "refused"]
        assert "the result of step 'charge' is not valid" in refused[0].metadata["rule"]
        await task.resolve(**BY)
        await task.result()
        await replayed(task, template)


async def test_what_is_no_request_is_refused_before_it_is_sent(client: Connect) -> None:
    template = shop(World())
    nobody = TaskHandle(await client(template), "nobody")
    for wrong, said in (
        ({"actor": "", "reason": "r"}, "actor: String should have at least 1 character"),
        ({"actor": "ann", "reason": " "}, "reason: it is blank"),
        ({"actor": "ann", "reason": "r", "request_id": ""}, "request_id: String should have at least 1"),
        ({"actor": "ann", "reason": "r", "request_id": 7}, "request_id: Input should be a valid string"),
        ({"actor": "a\ud800", "reason": "r"}, "actor: "),
    ):
        with pytest.raises(RequestRefused, match=said):
            await nobody.retry(**cast(Any, wrong))
    for nothing in (None, 5, "retry", {}, {"request": "nothing", **BY}):
        with pytest.raises(RequestRefused):
            await nobody.plan(cast(Any, nothing))
    with pytest.raises(UnknownTask):
        await nobody.retry(**BY)


async def test_a_request_that_would_end_the_run_by_its_size_is_refused(client: Connect, server: DevServer) -> None:
    """The server ends a run whose worker answers with more than 4 MiB, as it would if dependents take such a result."""
    world = World()
    template = shop(world, on_error="hold")
    async with under_way(client, template) as task:
        await settled(task)
        large = {"step": "charge", "result": "x" * 1_500_000, **BY}
        with pytest.raises(RequestRefused, match=r"the request takes 15\d{5} bytes: at most 1000000 are taken"):
            await task.complete_step("charge", large["result"], **BY)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await task.workflow.execute_update("complete_step", large)
        assert "at most 1000000 are taken" in str(refused.value.cause)
        assert "ann" not in {row.actor for row in await task.audit()}
        await task.resolve(**BY)
        await task.result()
        await replayed(task, template)


async def test_what_people_hand_over_to_several_steps_does_not_end_the_run_by_its_size(client: Connect) -> None:
    """Each request is as large as it may be; what they hand over does not fit into one answer of a worker."""
    template = TaskTemplate("doors.large", on_error="hold")

    @template.step
    async def write() -> str:
        raise PermanentError("no ink")

    for name in ("first", "second", "third"):

        @template.step(name=name)
        async def read(ctx: StepContext, letter: str = result_of(write)) -> int:
            return len(letter) + len(ctx.config["text"])

    connected = await client(template)
    async with worker(connected) as serving:
        task = await start_task(connected, template, None, task_queue=serving.task_queue)
        await settled(task)
        for name in ("first", "second", "third"):
            await task.change_step(name, config={"text": "x" * 900_000}, **BY)
        await task.complete_step("write", "x" * 900_000, **BY)
        assert (await task.result()).counts == {"total": 4, "complete": 4}
        assert await task.result_of("third") == 1_800_000
        await replayed(task, template)
