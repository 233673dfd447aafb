"""Approvals, and a task that somebody moves to its end."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from tasker_temporal import Approval, ApprovalNotice, Move, PermanentError, TaskTemplate, TaskType, result_of
from tests.patience import until_history, until_row
from tests.replay.stage import BY, Scene, Stage
from tests.shell.kit import Gate


class Verdict(BaseModel):
    limit: int


def approved() -> Scene:
    """A vote comes early, one is taken back, two decide; then people approve the task itself."""
    template = TaskTemplate(
        "golden.approved", type="critical", approval=Approval(approvers=("ann", "boss")), notify=lambda told: None
    )
    gate = Gate()

    @template.step
    async def prepare() -> int:
        await gate.passage()
        return 1

    review = template.approval(
        "review",
        form=Verdict,
        after=[prepare],
        approvers=["bob", "cid", "dan"],
        quorum=2,
        deadline=timedelta(hours=1),
        notify=lambda told: None,
    )

    @template.step
    async def pay(verdict: Verdict = result_of(review)) -> int:
        return verdict.limit

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.approve(review, Verdict(limit=5), actor="bob", reason="early")
        await task.approve(review, Verdict(limit=6), actor="cid", reason="a mistake")
        await task.withdraw(review, actor="cid", reason="a mistake")
        gate.open()
        await until_history(task, "TIMER_STARTED")
        await task.approve(review, Verdict(limit=7), actor="dan", reason="fine")
        await until_row(task, "task.approval_requested")
        await task.approve(approval="task#1", actor="boss", reason="fine")

    return Scene(template, play)


def escalated() -> Scene:
    """Nobody decides in time, the notifier is broken, and the boss rejects."""
    template = TaskTemplate("golden.escalated")

    def broken(told: ApprovalNotice) -> None:
        raise PermanentError("no route to the mail server")

    review = template.approval(
        "review",
        approvers=["bob"],
        deadline=timedelta(milliseconds=300),
        on_deadline="escalate",
        escalate_to=["boss"],
        notify=broken,
    )

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await until_row(task, "approval.escalated")
        await task.reject(review, actor="boss", reason="too late")

    return Scene(template, play)


def moved() -> Scene:
    """A task of a declared type, which somebody moves to its end."""
    audited = TaskType(
        name="audited",
        states=("under_audit",),
        rows=(
            Move(source="in_progress", to="under_audit"),
            Move(source="under_audit", to="complete", by="request"),
        ),
    )
    template = TaskTemplate("golden.moved", type=audited)

    @template.step
    async def only() -> int:
        return 1

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await until_row(task, "task.moved")
        await task.move("complete", **BY)

    return Scene(template, play)


SCENES = [approved(), escalated(), moved()]
