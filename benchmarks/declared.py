"""The shapes as templates of this library, their handler the same as the hand-written workflows' activity."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from benchmarks.orders import Order, Receipt, receipt
from benchmarks.shapes import SHAPES, Shape
from tasker_temporal import TaskTemplate
from tasker_temporal.declare import DeclaredStep


async def do_step(order: Order) -> Receipt:
    """A handler that returns at once."""
    return receipt(order)


def declared(shape: Shape) -> TaskTemplate[Order]:
    """The shape as a template."""
    made = TaskTemplate(f"bench.{shape.name}", context=Order)
    steps: dict[str, DeclaredStep[..., Any, Any]] = {}
    for name, after in shape.after.items():
        steps[name] = made.add_step(name, do_step, after=[steps[one] for one in after])
    return made


TEMPLATES: Final = {name: declared(shape) for name, shape in SHAPES.items()}


async def hold(order: Order) -> int:
    """A handler that never returns, so that all that waits for it can be asked for."""
    await asyncio.Event().wait()
    return 0


def held(size: int) -> TaskTemplate[Order]:
    """A task that stays open, with so many steps that wait."""
    made = TaskTemplate("bench.held", context=Order)
    first = made.add_step("hold", hold)
    for number in range(size):
        made.add_step(f"step_{number}", do_step, after=[first])
    return made


HELD: Final = held(1000)
