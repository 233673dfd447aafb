"""An order's way through a shop: quote it, reserve its goods, charge the card, ship it, and tell the customer.

The handlers are plain functions. The outside world is played at the end of the file, the same way each time: which
cards are declined, and how often the payment gateway stumbles, follows from the order alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import timedelta

from pydantic import BaseModel, Field

from tasker_temporal import PermanentError, Retry, RetryableError, StepContext, TaskTemplate, result_of


class Line(BaseModel):
    """So many pieces of one article, at so many cents each."""

    article: str
    quantity: int = Field(gt=0)
    cents: int = Field(ge=0)


class Order(BaseModel):
    """What a customer sent. An order that does not validate is refused before anything starts."""

    id: str
    customer: str
    email: str
    country: str = Field(min_length=2, max_length=2)
    card: str
    lines: list[Line] = Field(min_length=1)


class Quote(BaseModel):
    """What the customer pays, in cents."""

    goods: int
    postage: int

    @property
    def total(self) -> int:
        return self.goods + self.postage


class Reservation(BaseModel):
    """Goods set aside. It lapses by itself, so an order that fails later blocks no stock."""

    warehouse: str
    pieces: int
    minutes: int = 30


class Payment(BaseModel):
    """What the gateway took."""

    id: str
    cents: int


class Shipment(BaseModel):
    """A parcel on its way."""

    tracking: str
    warehouse: str


fulfill_order = TaskTemplate(
    "shop.fulfill_order",
    version="1.0.0",
    description="From an order to a parcel",
    context=Order,
    task_queue="order-fulfillment",
)


@fulfill_order.step
async def validate_order(order: Order) -> Quote:
    """Work out the price."""
    await asyncio.sleep(0.05)
    goods = sum(line.quantity * line.cents for line in order.lines)
    return Quote(goods=goods, postage=0 if goods >= FREE_POSTAGE_FROM else 490)


@fulfill_order.step(after=[validate_order])
def reserve_inventory(order: Order) -> Reservation:
    """Set the goods aside. A handler that blocks is a plain function: it runs in a thread."""
    time.sleep(0.15)
    pieces = sum(line.quantity for line in order.lines)
    return Reservation(warehouse=WAREHOUSES.get(order.country, "Rotterdam"), pieces=pieces)


@fulfill_order.step(retry=Retry(attempts=4, base_delay=timedelta(milliseconds=250)), timeout=timedelta(seconds=10))
async def charge_payment(order: Order, context: StepContext, quote: Quote = result_of(validate_order)) -> Payment:
    """Take the money once, however often it is tried: the gateway knows the payment by its idempotency key."""
    return await ask_gateway(order.card, quote.total, key=context.idempotency_key, attempt=context.attempt)


@fulfill_order.step
async def ship(
    reservation: Reservation = result_of(reserve_inventory), payment: Payment = result_of(charge_payment)
) -> Shipment:
    """Hand the parcel over. It takes both results, so it waits for both steps."""
    await asyncio.sleep(0.1)
    return Shipment(tracking=f"TRK-{payment.id.removeprefix('pay-')}", warehouse=reservation.warehouse)


@fulfill_order.step(after=[ship])
async def send_confirmation(order: Order) -> str:
    """Tell the customer, once the parcel is out: `after` orders two steps without handing over a result."""
    await asyncio.sleep(0.05)
    return f"sent to {order.email}"


FREE_POSTAGE_FROM = 5000
WAREHOUSES = {"AU": "Sydney", "CA": "Reno", "JP": "Osaka", "US": "Reno"}
STUMBLES = {"card_slow": 1, "card_busy": 2}
"""How many attempts with such a card meet a gateway that does not do its work."""


async def ask_gateway(card: str, cents: int, *, key: str, attempt: int) -> Payment:
    """A payment gateway as they are: it mostly works, sometimes does not answer, and declines some cards for good."""
    await asyncio.sleep(0.1)
    if card == "card_declined":
        raise PermanentError("card declined: insufficient funds")
    if attempt <= STUMBLES.get(card, 0):
        if card == "card_busy":
            raise RetryableError("429 Too Many Requests", retry_after="1")
        raise ConnectionError("the payment gateway did not answer")
    return Payment(id=f"pay-{hashlib.sha256(key.encode()).hexdigest()[:8]}", cents=cents)
