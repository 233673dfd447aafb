"""Tasks whose events go to sinks."""

from __future__ import annotations

from datetime import timedelta

from tasker_temporal import Limits, Retry, TaskTemplate
from tasker_temporal.sinks import Sink
from tests.replay.stage import Scene, Stage, nothing


def told() -> Scene:
    """Two sinks: one takes batch after batch, over two runs; what the other never took is left to another workflow."""
    sinks = Sink(name="well", batch=5), Sink(name="down", events=("task.*",), grace=timedelta(seconds=1))
    template = TaskTemplate("golden.told", sinks=sinks, limits=Limits(drain_events=14))

    before = template.add_step("first", nothing)
    for name in ("second", "third", "fourth"):
        before = template.add_step(name, nothing, after=[before])

    async def play(stage: Stage) -> None:
        await stage.start()

    return Scene(template, play)


def heard() -> Scene:
    """A sink names events that are no rows: one takes them over two runs, what another never took is left behind."""
    events = "task.*", "step.max_retries_reached", "workflow.step_completed"
    sinks = Sink(name="well", batch=3, events=events), Sink(name="down", events=events, grace=timedelta(seconds=1))
    template = TaskTemplate("golden.heard", sinks=sinks, limits=Limits(drain_events=14))

    async def breaks() -> None:
        raise ValueError("it broke")

    before = template.add_step("first", nothing)
    for name in ("second", "third"):
        before = template.add_step(name, nothing, after=[before])
    template.add_step("breaks", breaks, retry=Retry(attempts=1), after=[before])

    async def play(stage: Stage) -> None:
        await stage.start()

    return Scene(template, play)


SCENES = [told(), heard()]
