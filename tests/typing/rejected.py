"""What users might write, and type checkers must reject: an error that is not found fails the check."""

from __future__ import annotations

from temporalio.client import Client

from tasker_temporal import (
    Retry,
    TaskerPlugin,
    TaskTemplate,
    event_of,
    failed,
    failure_of,
    received,
    result_of,
    start_task,
)
from tests.typing.accepted import (
    Cart,
    Order,
    Payment,
    captured,
    charge,
    payment,
    process_order,
    reserve,
    review,
    validate,
)


@process_order.step
async def wrong_result(payment: Payment = result_of(validate)) -> None: ...  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]


@process_order.step
def not_optional(places: str = result_of(reserve)) -> None: ...  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]


@process_order.step(after=["validate"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
async def by_name(order: Order) -> None: ...


@process_order.step(tiemout=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportUntypedFunctionDecorator]
async def unknown_option(order: Order) -> None: ...


@process_order.step(retry=5)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]
async def wrong_option(order: Order) -> None: ...


@process_order.step
async def not_the_form(payment: Payment = result_of(review)) -> None: ...  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]


@process_order.step(on=failed("charge"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
async def by_name_too(order: Order) -> None: ...


@process_order.step(on=failed(charge))
async def wrong_failure(why: str = failure_of(charge)) -> None: ...  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]


@process_order.step(on=received(captured))
async def wrong_payload(paid: Cart = event_of(captured)) -> None: ...  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]


@process_order.step
async def wrong_wait(paid: Cart = result_of(payment)) -> None: ...  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]


process_order.wait_for("no", failed(charge))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
process_order.approval("nobody")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
process_order.approval("typo", approvers=["ann"], quorrum=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
wrong_retry = Retry(atempts=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
wrong_policy = TaskTemplate("shop.x", on_failure="halt")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


wrong_sink = TaskTemplate("shop.y", sinks=["audit"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
no_handler = TaskerPlugin(sinks={"audit": "audit.jsonl"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]


async def use(client: Client, order: Order) -> None:
    await start_task(client, process_order, Cart(items=1))  # type: ignore[misc]  # pyright: ignore[reportCallIssue, reportArgumentType]
    task = await start_task(client, process_order, order)
    wrong: str = await task.result_of(charge)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    await charge(order, Payment(1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await task.cancel(actor="ann")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await task.approve(review, Cart(items=1), actor="ann", reason="no form")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await task.send_event(captured, Cart(items=1))  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    print(wrong)
