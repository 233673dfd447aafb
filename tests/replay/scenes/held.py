"""Tasks in error that wait for people: each way in which they go on, or end."""

from __future__ import annotations

from datetime import timedelta

from tasker_temporal import PermanentError, TaskTemplate, result_of
from tests.patience import until_history
from tests.replay.stage import BY, NO_DELAY, Scene, Stage, nothing
from tests.shell.kit import Gate


def stepped_in() -> Scene:
    """A held task, with every request that a person can make of it, one after the other."""
    template = TaskTemplate("golden.stepped_in", on_error="hold")

    @template.step
    async def first() -> int:
        return 1

    @template.step(retry=NO_DELAY)
    async def gateway(number: int = result_of(first)) -> int:
        raise PermanentError("closed")

    gate = Gate()
    template.add_step("last", gate.passage, after=[gateway])
    template.add_step("later", nothing, after=[gateway])
    template.add_step("latest", nothing, after=[gateway])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        await task.change_step("gateway", attempts=2, config={"url": "spare"}, **BY)
        await task.retry_step("gateway", fresh=True, **BY)
        await until_history(task, "ACTIVITY_TASK_FAILED", 2)
        await task.settled()
        await task.retry(**BY)
        await until_history(task, "ACTIVITY_TASK_FAILED", 3)
        await task.settled()
        await task.resolve_step("later", **BY)
        await task.complete_step("latest", None, **BY)
        await task.complete_step("gateway", 7, **BY)
        await gate.reached.wait()
        await task.pause(**BY)
        await task.resume(**BY)
        await task.retry_from("latest", **BY)
        gate.open()

    return Scene(template, play)


def resolved() -> Scene:
    template = TaskTemplate("golden.resolved", on_error="hold")

    @template.step
    async def gateway() -> int:
        raise PermanentError("closed")

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        await task.resolve(**BY)

    return Scene(template, play)


def hold_ended() -> Scene:
    template = TaskTemplate("golden.hold_ended", on_error="hold", hold_for=timedelta(milliseconds=200))

    @template.step
    async def gateway() -> int:
        raise PermanentError("closed")

    return Scene(template, lambda stage: stage.start())


def listed() -> Scene:
    """Search attributes tell of a pause, a hold with its failed step, an approval, and the end of each."""
    template = TaskTemplate("golden.listed", on_error="hold")
    down = [True]

    @template.step
    async def gateway() -> int:
        if down:
            raise PermanentError("closed")
        return 1

    template.approval("sign", after=[gateway], approvers=["bob"])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        down.clear()
        await task.retry(**BY)
        await until_history(task, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", 3)
        await task.pause(**BY)
        await task.resume(**BY)
        await task.approve("sign", actor="bob", reason="it is fine")

    return Scene(template, play)


SCENES = [stepped_in(), resolved(), hold_ended(), listed()]
