"""A task whose steps begin by triggers."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from tasker_temporal import (
    FailedStep,
    PermanentError,
    Retry,
    Route,
    TaskTemplate,
    failure_of,
    received,
    result_of,
    triggers,
)
from tests.replay.stage import Scene, Stage
from tests.shell.kit import Gate


class Captured(BaseModel):
    order: str
    amount: int


def triggered() -> Scene:
    """A failure is handled, a branch is taken, a condition is false, time passes, and events come early and late."""
    template = TaskTemplate(
        "golden.triggered",
        routes=[Route(name="any", when="context == null", mode="high_priority", fairness_key="gold")],
    )
    captured, noted = template.event("payment.captured", Captured), template.event("note.added")
    gate = Gate()

    @template.step(retry=Retry(attempts=1))
    async def charge() -> int:
        raise PermanentError("declined")

    @template.step(on=triggers.failed(charge))
    async def refund(why: FailedStep = failure_of(charge)) -> str:
        await gate.passage()
        return why.type

    @template.decision(branches=["gold", "plain"], after=[refund])
    async def plan() -> str:
        return "gold"

    @template.step(on=triggers.chosen(plan, "gold"), when="result.plan == 'gold'")
    async def welcome() -> int:
        return 1

    @template.step(on=triggers.chosen(plan, "gold"), when="result.plan == 'plain'")
    async def never() -> None: ...

    payment = template.wait_for("payment", received(captured, match="event.order == 'o-1'"), after=[refund])
    note = template.wait_for("note", received(noted), after=[payment])

    @template.step(on=triggers.all_of(triggers.completed(note), triggers.elapsed(timedelta(milliseconds=200))))
    async def ship(paid: Captured = result_of(payment)) -> int:
        return paid.amount

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.send_event(captured, Captured(order="o-2", amount=5))
        await task.send_event(captured, Captured(order="o-1", amount=7), id="p-1")
        await task.workflow.signal("payment.captured", {"order": 7})
        await task.workflow.signal("note.added", "fragile")
        gate.open()

    return Scene(template, play)


SCENES = [triggered()]
