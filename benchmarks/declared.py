"""The shapes as templates of this library, their handler the same as the hand-written workflows' activity."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from benchmarks.shapes import SHAPES, Shape
from tasker_temporal import TaskTemplate
from tasker_temporal.declare import DeclaredStep

ORDER = "A-1001"
"""What every task is started with."""


async def do_step(order: str) -> int:
    """A handler that returns at once."""
    return len(order)


def declared(shape: Shape) -> TaskTemplate[str]:
    """The shape as a template."""
    made = TaskTemplate(f"bench.{shape.name}", context=str)
    steps: dict[str, DeclaredStep[..., Any, Any]] = {}
    for name, after in shape.after.items():
        steps[name] = made.add_step(name, do_step, after=[steps[one] for one in after])
    return made


TEMPLATES: Final = {name: declared(shape) for name, shape in SHAPES.items()}


async def hold(order: str) -> int:
    """A handler that never returns, so that all that waits for it can be asked for."""
    await asyncio.Event().wait()
    return 0


def held(size: int) -> TaskTemplate[str]:
    """A task that stays open, with so many steps that wait."""
    made = TaskTemplate("bench.held", context=str)
    first = made.add_step("hold", hold)
    for number in range(size):
        made.add_step(f"step_{number}", do_step, after=[first])
    return made


HELD: Final = held(1000)
