"""Handlers that a YAML file may name, beside things that it must not."""

from __future__ import annotations

import subprocess
from os import system

from pydantic import BaseModel

UNSAFE = (subprocess, system)


class Order(BaseModel):
    id: str
    total: int = 0


class Price(BaseModel):
    cents: int


def price(order: Order) -> Price:
    return Price(cents=order.total)


def charge(order: Order, price: Price) -> str:
    return f"{order.id}: {price.cents} cents"


def ship(order: Order) -> None:
    print(order.id)


def _hidden(order: Order) -> Price:
    return Price(cents=order.total)
