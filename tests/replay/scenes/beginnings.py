"""Tasks that were started without the library's client, so that a worker prepares them."""

from __future__ import annotations

from pydantic import BaseModel

from tasker_temporal import TaskTemplate
from tests.replay.stage import Scene, nothing


class Order(BaseModel):
    customer: str


def bare_start() -> Scene:
    """Started without the library's client, so that a worker prepares it."""
    template = TaskTemplate("golden.bare_start", context=Order)

    @template.step
    async def greet(order: Order) -> str:
        return f"hello {order.customer}"

    return Scene(template, lambda stage: stage.start_bare({"customer": "ann"}))


def invalid_context() -> Scene:
    template = TaskTemplate("golden.invalid_context", context=Order)
    template.add_step("never", nothing)
    return Scene(template, lambda stage: stage.start_bare({"customer": 7}))


SCENES = [bare_start(), invalid_context()]
