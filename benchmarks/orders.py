"""What every task of the benchmarks is about, and what each of its steps does: next to nothing."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel


class Order(BaseModel):
    """The context of a task, and what every step is given."""

    id: str
    customer: str
    cents: int


class Receipt(BaseModel):
    """What every step returns."""

    order: str
    cents: int


ORDER: Final = Order(id="A-1001", customer="ann@example.com", cents=1250)


def receipt(order: Order) -> Receipt:
    """The work of a step."""
    return Receipt(order=order.id, cents=order.cents)
