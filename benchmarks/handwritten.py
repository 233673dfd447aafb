"""The shapes as their user would write them by hand: each a workflow in the SDK's sandbox, and the same one without it.

Every step is the same activity, which does nothing: what is measured is what lies around it. It takes and returns the
same pydantic models as the library's handler, so its client has the SDK's converter for them, and it is tried as often.
What nobody would add who does not need it is left out: heartbeats, summaries, states, an audit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from benchmarks.orders import Order, Receipt, receipt
    from benchmarks.shapes import SHAPES

TIMEOUT = timedelta(seconds=60)
THRICE = RetryPolicy(maximum_attempts=3)


@activity.defn
async def do_step(order: Order) -> Receipt:
    """A handler that returns at once."""
    return receipt(order)


async def step(order: Order) -> int:
    done = await workflow.execute_activity(do_step, order, start_to_close_timeout=TIMEOUT, retry_policy=THRICE)
    return done.cents


async def in_turn(order: Order) -> int:
    first = await step(order)
    second = await step(order)
    third = await step(order)
    fourth = await step(order)
    return first + second + third + fourth + await step(order)


async def in_a_diamond(order: Order) -> int:
    top = await step(order)
    left, right = await asyncio.gather(step(order), step(order))
    return top + left + right + await step(order)


async def in_a_graph(order: Order) -> int:
    running: dict[str, asyncio.Task[int]] = {}

    async def run(after: Sequence[str]) -> int:
        await asyncio.gather(*(running[name] for name in after))
        return await step(order)

    for name, after in SHAPES["random-50"].after.items():
        running[name] = asyncio.create_task(run(after))
    return sum(await asyncio.gather(*running.values()))


async def at_once(order: Order, count: int) -> int:
    return sum(await asyncio.gather(*(step(order) for _ in range(count))))


@workflow.defn
class Linear:
    @workflow.run
    async def run(self, order: Order) -> int:
        return await in_turn(order)


@workflow.defn
class Diamond:
    @workflow.run
    async def run(self, order: Order) -> int:
        return await in_a_diamond(order)


@workflow.defn
class Graph:
    @workflow.run
    async def run(self, order: Order) -> int:
        return await in_a_graph(order)


@workflow.defn
class FanOut:
    @workflow.run
    async def run(self, order: Order, count: int) -> int:
        return await at_once(order, count)


@workflow.defn(sandboxed=False)
class LinearUnsandboxed:
    @workflow.run
    async def run(self, order: Order) -> int:
        return await in_turn(order)


@workflow.defn(sandboxed=False)
class DiamondUnsandboxed:
    @workflow.run
    async def run(self, order: Order) -> int:
        return await in_a_diamond(order)


@workflow.defn(sandboxed=False)
class GraphUnsandboxed:
    @workflow.run
    async def run(self, order: Order) -> int:
        return await in_a_graph(order)


@workflow.defn(sandboxed=False)
class FanOutUnsandboxed:
    @workflow.run
    async def run(self, order: Order, count: int) -> int:
        return await at_once(order, count)


@workflow.defn(sandboxed=False)
class Held:
    """Stays open, and takes requests to skip one of its steps."""

    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}

    @workflow.run
    async def run(self, order: Order) -> int:
        await workflow.wait_condition(lambda: False)
        return 0

    @workflow.update
    async def skip(self, request: dict[str, str]) -> dict[str, str]:
        self.skipped[request["step"]] = request["reason"]
        return request

    @skip.validator
    def may_skip(self, request: dict[str, str]) -> None:
        if request["step"] == "hold":
            raise ValueError("it runs")


SANDBOXED: Final[dict[str, type[Any]]] = {
    "linear-5": Linear,
    "diamond-4": Diamond,
    "random-50": Graph,
    "fan-100": FanOut,
    "fan-1000": FanOut,
}

UNSANDBOXED: Final[dict[str, type[Any]]] = {
    "linear-5": LinearUnsandboxed,
    "diamond-4": DiamondUnsandboxed,
    "random-50": GraphUnsandboxed,
    "fan-100": FanOutUnsandboxed,
    "fan-1000": FanOutUnsandboxed,
}


def arguments(shape: str, order: Order) -> list[Any]:
    """What the shape's workflow is started with."""
    return [order, len(SHAPES[shape])] if shape.startswith("fan") else [order]
