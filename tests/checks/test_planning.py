"""A plan is what happens: its history has as many events as the real one, and its times follow from what is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import Client
from temporalio.worker import Worker

from examples.order_fulfillment.template import fulfill_order
from tasker_temporal import State, StepContext, TaskerPlugin, TaskTemplate, received, result_of, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.handle import TaskHandle
from tasker_temporal.planning import Condition, Expected, Plan, Wave, plan
from tasker_temporal.yaml import read_template
from tests.cli.kit import ROOT
from tests.patience import until_step
from tests.server.conftest import server

__all__ = ["server"]

clients: list[Client] = []
"""The client with which a handler looks at its own task."""

chain = TaskTemplate("plans.chain", task_queue="plans")


@chain.step
async def one(order: dict[str, str]) -> str:
    return order["id"] * 100


@chain.step
async def two(of: str = result_of(one)) -> str:
    return of


@chain.step
async def three(of: str = result_of(two), again: str = result_of(one)) -> str:
    return of + again


@chain.step(after=[three])
async def four() -> None: ...


diamond = TaskTemplate("plans.diamond", task_queue="plans")


@diamond.step
async def source() -> int:
    return 1


@diamond.step
async def left(of: int = result_of(source)) -> int:
    return of


@diamond.step
async def right(context: StepContext, of: int = result_of(source)) -> int:
    """It ends when the task knows that the other one has."""
    task = TaskHandle(clients[0], context.task_id)
    await until_step(task, "left", State.COMPLETE)
    return of


@diamond.step
async def join(a: int = result_of(left), b: int = result_of(right)) -> int:
    return a + b


hurried = TaskTemplate("plans.hurried", task_queue="plans", context=dict[str, str])


@hurried.step(deadline=timedelta(hours=1))
async def first(order: dict[str, str]) -> None: ...


@hurried.step(deadline=timedelta(hours=1), after=[first])
async def second() -> None: ...


class Captured(BaseModel):
    cents: int


waiting = TaskTemplate("plans.waiting", task_queue="plans")
captured = waiting.event("payment.captured", Captured)


@waiting.step
async def bill() -> int:
    return 7


payment = waiting.wait_for("payment", received(captured, match="event.cents > 0"), after=[bill])


@waiting.step
async def thank(paid: Captured = result_of(payment)) -> int:
    return paid.cents


signed = TaskTemplate("plans.signed", task_queue="plans")
sign = signed.approval("sign", approvers=["ann"])

NOTHING = Expected(bytes=4)
NUMBER = Expected(result=1)
SHAPES: dict[str, tuple[TaskTemplate[Any], Any, dict[str, Expected]]] = {
    "chain": (
        chain,
        {"id": "x"},
        {"one": Expected(bytes=102), "two": Expected(bytes=102), "three": Expected(bytes=202), "four": NOTHING},
    ),
    "diamond": (
        diamond,
        None,
        dict.fromkeys(["source", "left", "join"], NUMBER) | {"right": Expected(timedelta(seconds=2), 1)},
    ),
    "an event from outside": (
        waiting,
        None,
        {"bill": NUMBER, "payment": Expected(result={"cents": 5}), "thank": NUMBER},
    ),
    "people": (signed, None, {}),
    "timers": (hurried, {"id": "x"}, {"first": NOTHING, "second": NOTHING}),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_planned_history_is_the_real_one(shape: str, server: DevServer) -> None:
    template, context, expected = SHAPES[shape]
    planned = plan(template, context, expected)
    client = await server.client(plugins=[TaskerPlugin(template)])
    clients[:] = [client]
    async with Worker(client, task_queue="plans"):
        task = await start_task(client, template, context)
        if template is waiting:
            await until_step(task, "payment", State.IN_PROGRESS)
            await task.send_event(captured, Captured(cents=5))
        if template is signed:
            await until_step(task, "sign", State.IN_PROGRESS)
            await task.approve(sign, actor="ann", reason="seen")
        await task.result()
    run = client.get_workflow_handle(task.id)
    history, description = await run.fetch_history(), await run.describe()
    size = description.raw_description.workflow_execution_info.history_size_bytes
    assert planned.events == len(history.events)
    assert planned.bytes == pytest.approx(size, rel=0.2)


def test_steps_begin_as_what_they_wait_for_ends() -> None:
    made = plan(fulfill_order, None, {"reserve_inventory": Expected(timedelta(seconds=5))})
    assert made.waves == (
        Wave(0, ("validate_order",)),
        Wave(1, ("reserve_inventory", "charge_payment")),
        Wave(6, ("ship",)),
        Wave(7, ("send_confirmation",)),
    )
    assert made.critical_path == ("validate_order", "reserve_inventory", "ship", "send_confirmation")
    assert (made.takes, made.state) == (8, "complete")


def test_ends_at_one_moment_may_meet_in_one_workflow_task_or_not() -> None:
    made: Plan = plan(fulfill_order)
    assert made.events_at_most - made.events == 3
    apart = plan(fulfill_order, None, {"charge_payment": Expected(timedelta(seconds=2))})
    assert apart.events == apart.events_at_most == made.events_at_most


def test_the_window_holds_steps_back() -> None:
    order = (ROOT / "examples/order_fulfillment/order.yaml").read_text()
    assert plan(read_template(order)).takes == 4
    assert plan(read_template(f"{order}max_concurrency: 1\n")).takes == 5


FLOW = """\
name: plans.flow
type: critical
approval: {approvers: ["group:chiefs"], quorum: 2}
events: {paid: }
steps:
  size: {branches: [small, large], result: str}
  few: {on: {chosen: size, branch: small}}
  many: {on: {chosen: size, branch: large}}
  gift: {when: context.total > 100}
  dear: {when: result.size == 'large', after: size}
  sign: {awaits: approval, approval: {approvers: ann}, after: gift}
  pay: {awaits: event, on: {received: paid, match: event.cents > 5}}
  late: {on: {all_of: [{completed: size}, {elapsed: 1h}]}}
"""


def ran(made: Plan) -> set[str]:
    return {step.name for step in made.steps if step.begins is not None}


def test_what_nobody_told_is_assumed_and_said() -> None:
    made = plan(read_template(FLOW), {"total": 500})
    assert ran(made) == {"size", "few", "gift", "dear", "sign", "pay", "late"}
    assert made.state == "complete"
    assert set(made.assumptions) == {
        "the condition of dear is true, as nothing is told of size",
        "size chooses small",
        "sign is approved 1s after it is asked for",
        "event paid comes 1s after pay waits for it",
        "the task is approved 1s after that is asked for",
    }
    assert made.takes == 3603


def test_conditions_are_evaluated_on_the_context_and_on_the_results_that_are_told() -> None:
    made = plan(read_template(FLOW), {"total": 5}, {"size": Expected(result="large")})
    assert made.conditions == (
        Condition("gift", "context.total > 100", False),
        Condition("dear", "result.size == 'large'", True),
    )
    assert ran(made) == {"size", "many", "dear", "pay", "late"}


def test_a_condition_that_cannot_be_evaluated_says_why() -> None:
    made = plan(read_template(FLOW), {})
    assert made.conditions[0].holds is None
    assert "total" in made.conditions[0].error
    assert made.state == "error"


def test_without_a_context_the_conditions_on_it_are_taken_to_be_true() -> None:
    made = plan(read_template(FLOW))
    assert made.conditions[0] == Condition("gift", "context.total > 100", None)
    assert "the condition of gift is true, as nothing is told of context" in made.assumptions
    assert made.state == "complete"


def test_an_event_that_comes_after_the_end_is_told_and_the_plan_stands() -> None:
    flow = """\
name: plans.late
events: {paid: }
steps:
  pay: {awaits: event, on: {received: paid}, deadline: 5m}
  check: {retry: {attempts: 1}}
"""
    made = plan(read_template(flow), {}, {"pay": Expected(takes=timedelta(hours=1))})
    assert (made.state, made.takes) == ("error", 300)
    assert "event paid came too late, and was refused" in made.assumptions


def test_what_is_not_counted_is_said() -> None:
    order = (ROOT / "examples/order_fulfillment/order.yaml").read_text()
    made = plan(read_template(f"{order}sinks: {{ledger: }}\nlimits: {{drain_events: 10}}\n"))
    assert made.assumptions == (
        "what is sent to sinks (ledger) is not counted",
        "the events are those of all runs together, as the task continues as new",
    )


def test_what_is_expected_of_a_step_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing can be expected of shop: the template has charge_payment"):
        plan(fulfill_order, None, {"shop": Expected()})
