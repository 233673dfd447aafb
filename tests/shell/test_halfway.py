"""Half a task is run, then its worker starts again with the template rewritten: it ends as declared at its start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from tasker_temporal import (
    Limits,
    Retry,
    RetryableError,
    StepContext,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskReport,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.patience import until_history
from tests.server.conftest import Connect, histories, replayed, worker
from tests.shell.kit import Gate, said

NAME = "halfway.order"

Rewrite = Callable[[], TaskTemplate[Any]]

NO_DELAY = Retry(attempts=3, base_delay=timedelta(0), jitter="none")


class Order(BaseModel):
    customer: str
    euros: int


class Bill(BaseModel):
    euros: int


def as_begun(gate: Gate, limits: Limits) -> TaskTemplate[Order]:
    """`price` is over and `approve` waits at the gate when the worker stops; `charge` fails once, then `ship`."""
    template = TaskTemplate(NAME, version="1", context=Order, limits=limits)

    @template.step
    async def price(order: Order) -> Bill:
        return Bill(euros=order.euros)

    @template.step(after=[price])
    async def approve() -> str:
        await gate.passage()
        return "approved"

    @template.step(retry=NO_DELAY, after=[approve])
    async def charge(ctx: StepContext, order: Order, bill: Bill = result_of(price)) -> str:
        raise AssertionError("the old code is gone")

    @template.step
    def ship(charged: str = result_of(charge)) -> str:
        raise AssertionError("the old code is gone")

    return template


async def approve() -> str:
    return "approved"


# How the template looks when the worker comes back.


def with_more_and_fewer_steps() -> TaskTemplate[Any]:
    """`price` is gone, which has run already; a step stands before all others, another after them."""
    template = TaskTemplate(NAME, version="2", context=Order)
    first = template.add_step("welcome", approve)
    template.add_step("approve", approve, after=[first])

    @template.step(after=[first])
    async def charge(ctx: StepContext, order: Order) -> str:
        return paid(ctx, order.customer, order.euros)

    ship = template.add_step("ship", shipped, after=[charge])
    template.add_step("farewell", approve, after=[ship])
    return template


def shipped() -> str:
    return "shipped"


def paid(ctx: StepContext, customer: str, euros: int) -> str:
    """Only the third attempt succeeds: so many are left only if the old retry counts."""
    if ctx.attempt < 3:
        raise RetryableError("try again")
    return f"{customer} paid {euros}"


def with_renamed_steps() -> TaskTemplate[Any]:
    template = TaskTemplate(NAME, version="2", context=Order)
    agree = template.add_step("agree", approve, formerly=["approve"])

    @template.step(formerly=["charge"], after=[agree])
    async def debit(ctx: StepContext, order: Order) -> str:
        return paid(ctx, order.customer, order.euros)

    template.add_step("send", shipped, formerly=["ship"], after=[debit])
    return template


def with_other_retries_and_timeouts() -> TaskTemplate[Any]:
    """What a step may do stands in the task, so one attempt a step and a queue that nobody serves mean nothing."""
    template = TaskTemplate(NAME, version="2", context=Order, task_queue="nobody.here", on_failure="stop")
    options: dict[str, Any] = {"retry": Retry(attempts=1), "task_queue": "nobody.here"}
    template.add_step("approve", approve, **options)

    @template.step(**options, timeout=timedelta(seconds=1), deadline=timedelta(seconds=1))
    async def charge(ctx: StepContext, order: Order) -> str:
        return paid(ctx, order.customer, order.euros)

    template.add_step("ship", shipped, after=[charge], retryable=False)
    return template


class Anyone(BaseModel):
    customer: str


class Amount(BaseModel):
    euros: float


def with_other_types() -> TaskTemplate[Any]:
    """The context and a result are now read as other models, which the old data fits."""
    template = TaskTemplate(NAME, version="2", context=Anyone)
    template.add_step("approve", approve)

    @template.step
    async def price(anyone: Anyone) -> Amount:
        return Amount(euros=0.5)

    @template.step
    async def charge(ctx: StepContext, order: Anyone, bill: Amount = result_of(price)) -> str:
        return paid(ctx, order.customer, int(bill.euros))

    template.add_step("ship", shipped, after=[charge])
    return template


def with_fewer_arguments() -> TaskTemplate[Any]:
    """`charge` takes the context only, `ship` nothing, and both are of another kind of function."""
    template = TaskTemplate(NAME, version="2", context=Order)
    template.add_step("approve", approve)

    @template.step
    def charge(order: Order, ctx: StepContext) -> str:
        return paid(ctx, order.customer, order.euros)

    @template.step
    async def ship() -> str:
        return "shipped"

    return template


def with_more_arguments() -> TaskTemplate[Any]:
    """`charge` has a new parameter with a default, which the library leaves alone."""
    template = TaskTemplate(NAME, version="2", context=Order)
    template.add_step("approve", approve)

    @template.step
    async def charge(ctx: StepContext, order: Order, currency: str = "euros") -> str:
        assert currency == "euros"
        return paid(ctx, order.customer, order.euros)

    template.add_step("ship", shipped)
    return template


REWRITES: list[Rewrite] = [
    with_more_and_fewer_steps,
    with_renamed_steps,
    with_other_retries_and_timeouts,
    with_other_types,
    with_fewer_arguments,
    with_more_arguments,
]


@dataclass
class Half:
    """The first half of a task, and a way to run the second."""

    server: DevServer
    queue: str
    task: TaskHandle

    async def go_on(self, rewritten: TaskTemplate[Any], **options: Any) -> TaskReport:
        """On a worker whose plugin, identity and cache are other ones, too."""
        plugin = TaskerPlugin(TaskTemplate("halfway.other"), rewritten, sync_handlers=1)
        connected = await self.server.client(plugins=[plugin], identity="the new release")
        async with worker(connected, task_queue=self.queue, **options):
            return await self.task.result()


Begin = Callable[..., Awaitable[Half]]


@pytest.fixture
def begin(server: DevServer, client: Connect) -> Begin:
    async def half(limits: Limits | None = None) -> Half:
        gate = Gate()
        template = as_begun(gate, limits or Limits())
        connected = await client(template)
        async with worker(connected, sticky_queue_schedule_to_start_timeout=timedelta(seconds=0.3)) as running:
            order = Order(customer="ann", euros=5)
            task = await start_task(connected, template, order, task_queue=running.task_queue)
            await gate.reached.wait()
        return Half(server, running.task_queue, task)

    return half


async def ended_as_begun(half: Half, report: TaskReport, rewritten: TaskTemplate[Any]) -> None:
    assert (report.version, report.counts) == ("1", {"total": 4, "complete": 4})
    assert list(report.steps) == ["price", "approve", "charge", "ship"]
    assert report.steps["charge"].attempt == 3
    assert await half.task.result_of("charge") == "ann paid 5"
    assert await half.task.result_of("ship") == "shipped"
    assert said(await half.task.audit())[-1] == "task.completed"
    await replayed(half.task, rewritten)


@pytest.mark.parametrize("rewrite", REWRITES)
async def test_the_task_ends_as_it_was_declared_at_its_start(begin: Begin, rewrite: Rewrite) -> None:
    half, rewritten = await begin(), rewrite()
    await ended_as_begun(half, await half.go_on(rewritten), rewritten)


@pytest.mark.parametrize("rewrite", [with_more_and_fewer_steps, with_renamed_steps])
async def test_so_it_does_if_it_goes_on_in_a_new_run(begin: Begin, rewrite: Rewrite) -> None:
    half, rewritten = await begin(Limits(drain_events=12)), rewrite()
    report = await half.go_on(rewritten, max_cached_workflows=0)
    assert len(await histories(half.task)) > 1
    await ended_as_begun(half, report, rewritten)


# What the new code cannot do for an old task, the task says.


def without_a_handler() -> TaskTemplate[Any]:
    template = TaskTemplate(NAME, version="2", context=Order)
    template.add_step("approve", approve)
    return template


async def test_a_step_whose_handler_is_gone_waits_for_it_to_come_back(begin: Begin, client: Connect) -> None:
    half = await begin()
    connected = await client(without_a_handler())
    brief = timedelta(seconds=0.3)
    async with worker(connected, task_queue=half.queue, sticky_queue_schedule_to_start_timeout=brief):
        await until_history(half.task, "TIMER_STARTED")
        waiting = {line["step"]: line for line in await half.task.waiting()}
        assert waiting["charge"]["what"] == "a worker that has the handler 'halfway.order.charge'"
    rewritten = with_renamed_steps()
    await ended_as_begun(half, await half.go_on(rewritten), rewritten)


def with_an_argument_that_is_not_sent() -> TaskTemplate[Any]:
    template = without_a_handler()

    @template.step
    async def extra() -> str:
        return ""

    @template.step
    async def charge(order: Order, more: str = result_of(extra)) -> str:
        raise AssertionError("its arguments did not come")

    return template


class Company(BaseModel):
    vat_number: str


def with_a_type_that_old_data_does_not_fit() -> TaskTemplate[Any]:
    template = TaskTemplate(NAME, version="2", context=Company)
    template.add_step("approve", approve)

    @template.step
    async def charge(order: Company) -> str:
        raise AssertionError("its arguments do not fit")

    return template


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (with_an_argument_that_is_not_sent, "its handler takes 'more', which the template that the task began with"),
        (with_a_type_that_old_data_does_not_fit, "its parameter 'order': vat_number: Field required"),
    ],
)
async def test_a_handler_that_does_not_fit_the_old_task_fails_its_step_by_name(
    begin: Begin, rewrite: Rewrite, message: str
) -> None:
    half, rewritten = await begin(), rewrite()
    with pytest.raises(TaskFailed, match=rf"step 'charge' failed: StepInputInvalid: {message}"):
        await half.go_on(rewritten)
    report = await half.task.report()
    assert (report.steps["charge"].attempt, report.steps["ship"].state) == (1, "pending")
    await replayed(half.task, rewritten)
