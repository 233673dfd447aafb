"""What users write, and type checkers must accept."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal, assert_type

from pydantic import BaseModel
from temporalio.client import Client

from tasker_temporal import (
    Approval,
    ApprovalNotice,
    FailedStep,
    Move,
    Retry,
    Route,
    StepContext,
    TaskerPlugin,
    TaskHandle,
    TaskReport,
    TaskTemplate,
    TaskType,
    all_of,
    any_of,
    at_least,
    chosen,
    completed,
    elapsed,
    ended,
    event_of,
    failed,
    failure_of,
    received,
    result_of,
    skipped,
    start_task,
)
from tasker_temporal.sinks import JsonLines, Sink, StepMoved, TaskEvent, Webhook


class Order(BaseModel):
    id: str


class Cart(BaseModel):
    items: int


class Verdict(BaseModel):
    limit: int


@dataclass
class Payment:
    amount: int


process_order = TaskTemplate("shop.process_order", version="2.1.0", context=Order, task_queue="orders")


@process_order.step
async def validate(order: Order) -> Cart:
    return Cart(items=len(order.id))


@process_order.step(retry=Retry(attempts=5, base_delay=timedelta(seconds=2)), timeout=timedelta(seconds=30))
async def charge(order: Order, cart: Cart = result_of(validate)) -> Payment:
    return Payment(cart.items)


@process_order.step
def reserve(cart: Annotated[Cart, result_of(validate)], context: StepContext) -> int:
    context.logger.info("reserving")
    context.heartbeat(1)
    return cart.items


@process_order.step(after=[reserve, charge], description="To the door")
async def ship(order: Order, payment: Payment | None = result_of(charge), *, places: int = result_of(reserve)) -> None:
    """A parameter that accepts None takes any result of a type that it accepts."""


def audit(order: Order, prefix: str = "audit") -> str:
    return prefix + order.id


class Mailer:
    async def __call__(self, order: Order) -> bool:
        return True


audited = process_order.add_step("audit", audit, after=[ship])
mailed = process_order.add_step("mail", Mailer(), after=[audited])
again = process_order.add_step("again", functools.partial(audit, prefix="again"), after=[mailed])
untyped = TaskTemplate("shop.untyped")


def tell(notice: ApprovalNotice) -> None:
    print(notice.approval, notice.kind, notice.until)


review = process_order.approval(
    "review", after=[again], form=Verdict, approvers=["ann", "group:fraud"], deadline=timedelta(days=1), notify=tell
)
release = process_order.approval("release", after=[review], approvers=["ann"], quorum=1, not_requester=False)


@process_order.step(after=[release])
def settle(verdict: Verdict = result_of(review)) -> int:
    return verdict.limit


audited_type = TaskType(name="audited", states=("under_audit",), rows=(Move(source="in_progress", to="under_audit"),))
critical = TaskTemplate("shop.critical", type="critical", approval=Approval(approvers=("ann",)), notify=tell)
declared = TaskTemplate("shop.declared", context=Order, type=audited_type)


captured = process_order.event("payment.captured", Payment)
noted = process_order.event("note.added")
payment = process_order.wait_for("payment", received(captured, match="event.amount > 0"), deadline=timedelta(days=1))


@process_order.decision(branches=["left", "right"])
async def choose(order: Order) -> Literal["left", "right"]:
    return "left"


@process_order.decision(branches=["left", "right"], name="several")
def choose_several(order: Order) -> list[str]:
    return ["left"]


@process_order.step(on=all_of(failed(charge), any_of(chosen(choose, "left"), elapsed(timedelta(hours=1)))), when="true")
def refund(why: FailedStep = failure_of(charge), paid: Payment = result_of(payment)) -> str:
    return why.type


@process_order.step(on=at_least(1, ended(ship), skipped(refund), completed(settle), received(captured), received("x")))
def book(paid: Payment | None = event_of(captured), said: str = event_of("note.added")) -> None: ...


routed = TaskTemplate("shop.routed", context=Order, mode="sequential_only", routes=[Route(when="true", priority=1)])


async def hear(events: Sequence[TaskEvent]) -> None:
    for event in events:
        assert_type(event.number, int)
        if isinstance(event.data, StepMoved):
            assert_type(event.data.step, str)


def hear_in_a_thread(events: Sequence[TaskEvent]) -> None: ...


told = TaskTemplate("shop.told", sinks=[Sink(name="a", events=("task.*",)), Sink(name="b")])


async def use(client: Client, order: Order) -> None:
    task = await start_task(client, process_order, order)
    assert_type(task, TaskHandle)
    assert_type(await task.result(), TaskReport)
    assert_type(await task.result_of(charge), Payment)
    assert_type(await task.result_of(reserve), int)
    assert_type(await task.result_of(audited), str)
    assert_type(await task.result_of(mailed), bool)
    await start_task(client, "shop.process_order", {"id": "1"}, id="order-1", task_queue="orders")
    await start_task(client, untyped, {"anything": "goes"})
    assert_type(await charge(order, Cart(items=1)), Payment)
    assert_type(reserve(Cart(items=1), StepContext()), int)
    assert_type(await task.result_of(review), Verdict)
    assert_type(await task.result_of(release), None)
    await task.approve(review, Verdict(limit=1), actor="ann", reason="fine")
    await task.approve(release, approval="release#1", actor="ann", reason="fine")
    await task.approve("review", {"limit": 1}, actor="ann", reason="fine")
    await task.approve(actor="ann", reason="fine")
    await task.reject(review, actor="ann", reason="no")
    await task.withdraw("review", actor="ann", reason="no")
    assert_type(await task.result_of(payment), Payment)
    assert_type(await task.result_of(choose_several), list[str])
    await task.send_event(captured, Payment(1), id="p-1")
    await task.send_event("note.added", {"any": "thing"}, actor="shop", reason="a call")
    await start_task(client, routed, order, mode="high_priority", max_concurrency=2)
    await task.move("complete", actor="ann", reason="done")
    TaskerPlugin(process_order, untyped)
    TaskerPlugin(
        told, sinks={"a": hear, "b": hear_in_a_thread, "c": Webhook("https://example.com"), "d": JsonLines("d")}
    )
    await start_task(client, told, {}, sinks=[Sink(name="a")])
