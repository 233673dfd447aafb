"""Runs that failed, and were reopened."""

from __future__ import annotations

from contextlib import suppress

from tasker_temporal import PermanentError, TaskFailed, TaskTemplate
from tests.replay.stage import BY, Scene, Stage


def reopened() -> Scene:
    """The run failed, the gateway was mended, and somebody retried the task."""
    template, down = TaskTemplate("golden.reopened"), [True]

    @template.step
    async def gateway() -> int:
        if down:
            raise PermanentError("closed")
        return 1

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        with suppress(TaskFailed):
            await task.result()
        down.clear()
        await task.retry(**BY)

    return Scene(template, play)


def reopened_twice() -> Scene:
    """The second run takes the first one's place, so that nobody reopens that once more."""
    template, down = TaskTemplate("golden.reopened_twice"), [True]

    @template.step
    async def gateway() -> int:
        if down:
            raise PermanentError("closed")
        return 1

    async def play(stage: Stage) -> None:
        task = await stage.start()
        with suppress(TaskFailed):
            await task.result()
        await task.retry(**BY)
        with suppress(TaskFailed):
            await task.result()
        down.clear()
        await task.retry(**BY)

    return Scene(template, play)


SCENES = [reopened(), reopened_twice()]
