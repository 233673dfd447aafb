"""Graphs that run to their end: joins, attempts, deadlines, a window, a second run, and a handler that comes late."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from tasker_temporal import Limits, PermanentError, Retry, RetryableError, StepContext, TaskTemplate, result_of
from tests.patience import until_history
from tests.replay.stage import BY, NO_DELAY, SOON, Scene, Stage, nothing
from tests.shell.kit import Gate


def completed() -> Scene:
    """A diamond, one side of which is tried twice."""
    template = TaskTemplate("golden.completed", version="1.0.0")

    @template.step
    async def top(number: Any) -> int:
        return int(number)

    @template.step(retry=Retry(attempts=2, base_delay=timedelta(milliseconds=50), max_delay=timedelta(seconds=0.05)))
    async def left(ctx: StepContext, number: int = result_of(top)) -> int:
        if ctx.attempt == 1:
            raise RetryableError("not yet")
        return number + 1

    @template.step
    async def right(number: int = result_of(top)) -> int:
        return number + 2

    @template.step
    def bottom(one: int = result_of(left), two: int = result_of(right)) -> int:
        return one + two

    return Scene(template, lambda stage: stage.start(1))


def failed() -> Scene:
    """One step fails for good, another goes on, a third never begins."""
    template = TaskTemplate("golden.failed")

    @template.step(retry=NO_DELAY)
    async def breaks(ctx: StepContext) -> None:
        raise RetryableError("again") if ctx.attempt == 1 else PermanentError("never")

    template.add_step("goes_on", nothing)
    template.add_step("waits", nothing, after=[breaks])
    return Scene(template, lambda stage: stage.start())


def fan_out() -> Scene:
    """A hundred steps through a window of sixty-four."""
    template = TaskTemplate("golden.fan_out")

    @template.step
    async def split() -> int:
        return 100

    async def part(number: int = result_of(split)) -> int:
        return number

    parts = [template.add_step(f"part_{number}", part) for number in range(100)]
    template.add_step("join", nothing, after=parts)
    return Scene(template, lambda stage: stage.start())


def deadline() -> Scene:
    """It passes while the step waits for its next attempt."""
    template = TaskTemplate("golden.deadline")
    retry = Retry(attempts=5, base_delay=timedelta(hours=1), max_delay=timedelta(hours=1), jitter="none")

    @template.step(retry=retry, deadline=timedelta(milliseconds=300))
    async def late() -> None:
        raise RetryableError("not yet")

    return Scene(template, lambda stage: stage.start())


def late_outcome() -> Scene:
    """A handler that is told to stop at its deadline ends when its step has failed already."""
    stubborn, other = Gate(), Gate()
    template = TaskTemplate("golden.late_outcome")

    @template.step(deadline=timedelta(milliseconds=300), heartbeat_timeout=SOON)
    async def stays() -> str:
        try:
            await stubborn.passage()
        except asyncio.CancelledError:
            return "at last"
        return "never"

    quick = template.add_step("quick", nothing)
    template.add_step("outlives", other.passage, after=[quick])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await asyncio.gather(other.reached.wait(), until_history(task, "ACTIVITY_TASK_COMPLETED", 2))
        other.open()

    return Scene(template, play)


def missing_handler() -> Scene:
    """A release brings the handler later."""
    template, older = TaskTemplate("golden.missing_handler"), TaskTemplate("golden.missing_handler")
    template.add_step("new", nothing)
    older.add_step("old", nothing)

    async def play(stage: Stage) -> None:
        task = await stage.start()
        async with stage.working(older):
            await until_history(task, "TIMER_STARTED")

    return Scene(template, play)


def continued_as_new() -> Scene:
    """The first run drains and leaves a step that backs off, a request and a pending step to the second."""
    gate = Gate()
    template = TaskTemplate("golden.continued_as_new", limits=Limits(drain_events=12))
    slow = Retry(attempts=2, base_delay=timedelta(seconds=1), max_delay=timedelta(seconds=1), jitter="none")

    @template.step
    async def first(number: Any) -> int:
        await gate.passage()
        return int(number)

    @template.step(retry=slow)
    async def backs_off(ctx: StepContext) -> None:
        if ctx.attempt == 1:
            raise RetryableError("not yet")

    @template.step
    async def second(number: int = result_of(first)) -> int:
        return number + 1

    template.add_step("skipped", nothing, after=[first])

    async def play(stage: Stage) -> None:
        task = await stage.start(1)
        await asyncio.gather(gate.reached.wait(), until_history(task, "TIMER_STARTED"))
        await task.skip("skipped", **BY, request_id="request-1")
        gate.open()

    return Scene(template, play)


SCENES = [completed(), failed(), fan_out(), deadline(), late_outcome(), missing_handler(), continued_as_new()]
