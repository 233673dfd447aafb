"""A refund that crosses two teams: support asks, finance decides, the payment provider has the last word."""

from datetime import timedelta

from pydantic import BaseModel, Field

from tasker_temporal import (
    FailedStep,
    PermanentError,
    TaskTemplate,
    any_of,
    completed,
    failed,
    failure_of,
    received,
    result_of,
    skipped,
)


class Refund(BaseModel):
    order: str
    cents: int = Field(gt=0)
    reason: str


class Purchase(BaseModel):
    order: str
    paid_cents: int
    card: str


class Verdict(BaseModel):
    """What finance fills in."""

    cents: int = Field(gt=0)
    note: str = ""


class Settled(BaseModel):
    """What the payment provider tells, perhaps days later."""

    order: str
    arrived: bool


refund = TaskTemplate("shop.refund", context=Refund, task_queue="support")
settled = refund.event("refund.settled", Settled)

PURCHASES = {"order-1": 12_000, "order-2": 900, "order-3": 60_000}


@refund.step
def find_purchase(asked: Refund) -> Purchase:
    """Support: is there such an order, and was so much paid?"""
    if asked.order not in PURCHASES:
        raise PermanentError(f"there is no order {asked.order}")
    return Purchase(order=asked.order, paid_cents=PURCHASES[asked.order], card=f"card of {asked.order}")


review = refund.approval(
    "review",
    form=Verdict,
    after=[find_purchase],
    when="context.cents > 5000",
    approvers=["fay", "finn"],
    deadline=timedelta(days=2),
    description="Finance looks at what is more than 50.",
)


@refund.step(on=any_of(completed(review), skipped(review)), task_queue="finance")
async def send_money(
    asked: Refund, purchase: Purchase = result_of(find_purchase), verdict: Verdict | None = result_of(review)
) -> str:
    """Finance: less than was asked for, if the review says so. What comes back is the provider's reference."""
    cents = min(verdict.cents if verdict else asked.cents, purchase.paid_cents)
    return f"{purchase.order}/{cents}"


arrival = refund.wait_for(
    "arrival",
    received(settled, match="event.order == context.order"),
    after=[send_money],
    deadline=timedelta(days=5),
)


@refund.step
def tell_customer(reference: str = result_of(send_money), told: Settled = result_of(arrival)) -> str:
    return f"refund {reference}: " + ("it is on your account" if told.arrived else "your bank sent it back")


@refund.step(on=failed(review))
def decline(asked: Refund, why: FailedStep = failure_of(review)) -> str:
    """Finance said no. That is handled here, so the task as a whole goes well."""
    return f"no refund of {asked.order}: {why.message}"
