"""What people ask of a running task: to stop, to skip, and what is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tasker_temporal import Limits, RequestRefused, TaskHandle, TaskTemplate, result_of
from tests.patience import until_history
from tests.replay.stage import BY, SOON, Scene, Stage, nothing
from tests.shell.kit import Gate


def _stoppable(name: str, stop: Callable[[TaskHandle], Awaitable[Any]]) -> Scene:
    gate = Gate()
    template = TaskTemplate(f"golden.{name}")
    first = template.add_step("first", nothing)
    runs = template.add_step("runs", gate.passage, after=[first], heartbeat_timeout=SOON)
    template.add_step("waits", nothing, after=[runs])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await stop(task)

    return Scene(template, play)


def cancelled_by_request() -> Scene:
    return _stoppable("cancelled_by_request", lambda task: task.cancel(**BY))


def cancelled_natively() -> Scene:
    return _stoppable("cancelled_natively", lambda task: task.workflow.cancel(reason="too late"))


def skipped() -> Scene:
    """What requires the result of a skipped step is skipped, what can do without it is not."""
    gate = Gate()
    template = TaskTemplate("golden.skipped")
    runs = template.add_step("runs", gate.passage)

    @template.step(after=[runs])
    async def skipped() -> int:
        return 1

    @template.step
    async def requires(number: int = result_of(skipped)) -> int:
        return number

    @template.step(after=[runs])
    async def accepts(number: int | None = result_of(skipped)) -> str:
        return str(number)

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.skip("skipped", **BY, request_id="request-1")
        gate.open()

    return Scene(template, play)


def refused() -> Scene:
    """Signals that cannot be taken are rows, updates that cannot be taken are nothing."""
    gate = Gate()
    template = TaskTemplate("golden.refused")
    template.add_step("runs", gate.passage)

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.workflow.signal("transition", {"request": "skip", "step": "runs", **BY})
        await task.workflow.signal("transition", args=[1, 2])
        await task.workflow.signal("stranger", {"any": "thing"})
        await refused_update(task)
        gate.open()

    return Scene(template, play)


def asked_twice() -> Scene:
    """Requests come again under their ids, and others come under them, over two runs."""
    gate, later = Gate(), Gate()
    template = TaskTemplate("golden.asked_twice", limits=Limits(drain_events=40))
    runs = template.add_step("runs", gate.passage)
    goes_on = template.add_step("goes_on", later.passage, after=[runs])
    for name in ("first", "second"):
        template.add_step(name, nothing, after=[goes_on])

    async def again(task: TaskHandle) -> None:
        skip, complete = {"request": "skip", "request_id": "one"}, {"request": "complete_step", "request_id": "two"}
        for asked in (skip | {"step": "first"}, skip | {"step": "second"}):
            await task.workflow.signal("transition", {**asked, **BY})
        for result in (None, None, 7):
            await task.workflow.signal("transition", {**complete, "step": "second", "result": result, **BY})

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await again(task)
        await until_history(task, "MARKER_RECORDED")
        for number in range(8):
            await task.workflow.signal("noise", number)
        gate.open()
        await later.reached.wait()
        await again(task)
        later.open()

    return Scene(template, play)


async def refused_update(task: TaskHandle) -> None:
    try:
        await task.skip("runs", **BY, request_id="request-1")
    except RequestRefused:
        return
    raise AssertionError("it was not refused")


SCENES = [cancelled_by_request(), cancelled_natively(), skipped(), refused(), asked_twice()]
