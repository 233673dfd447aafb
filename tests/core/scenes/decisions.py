"""What people decide, and tasks of types of their own."""

from __future__ import annotations

from tasker_temporal.core.messages import Failure, NotifierFailed
from tasker_temporal.core.requests import (
    Approve,
    MoveTask,
    Reject,
    RetryFrom,
    RetryStep,
    SkipStep,
    Withdraw,
)
from tasker_temporal.core.task_types import BATCH, CRITICAL
from tests.core.driving import (
    AUDITED,
    ONCE,
    Drive,
    approval,
    seconds,
    step,
    terms,
)
from tests.core.scene import scene
from tests.task_types import SHIPPED


@scene(approval("review", "ann", "bob", "cid", quorum=2), step("pay", "review"))
def approved_by_two(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", step="review", form={"limit": 7})
    drive.ask(Withdraw, actor="ann", step="review")
    drive.ask(Approve, actor="bob", step="review")
    drive.ask(Approve, actor="ann", step="review", form={"limit": 9})
    drive.finish()


@scene(step("a"), approval("review", "ann", "bob", after=["a"], quorum=2, notify=True, deadline=seconds(60)))
def approved_before_it_opened(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", step="review", form={"limit": 7})
    drive.ask(Approve, actor="bob", step="review", form={"limit": 9})
    drive.finish()


@scene(approval("review", "ann", notify=True), on_error="hold")
def rejected_and_asked_again(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.ask(Reject, actor="ann", step="review")
    drive.tell(NotifierFailed("review", "review#1", "decided", Failure("SMTPError", "no route")))
    drive.ask(RetryStep, step="review")
    drive.ask(Approve, actor="ann", step="review", approval="review#2")


@scene(
    approval(
        "review",
        "ann",
        deadline=seconds(60),
        on_deadline="escalate",
        escalate_to=("boss",),
        notify=True,
    )
)
def escalated_and_overdue(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.wait(60)
    drive.wait(60)


@scene(step("a"), type=CRITICAL, approval=terms("ann", deadline=seconds(60)))
def critical(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.succeed("a")
    drive.ask(Approve, actor="ann")


@scene(step("a", retry=ONCE), step("b", after=["a"]), type=BATCH, on_error="hold")
def batch_redone(drive: Drive) -> None:
    """The step that was skipped is done after all."""
    drive.start()
    drive.succeed("a")
    drive.fail("b", retryable=False)
    drive.ask(SkipStep, step="b")
    drive.ask(RetryFrom, step="b")
    drive.finish()


@scene(step("a"), context=b'{"total": 1001}', type=SHIPPED, approval=terms("ann", deadline=seconds(60)))
def moved_on_by_votes(drive: Drive) -> None:
    """What the deadline would decide was decided before."""
    drive.start()
    drive.succeed("a")
    drive.ask(MoveTask, to="pending_approval")
    drive.ask(Approve, actor="ann")
    drive.wait(61)
    drive.ask(MoveTask, to="complete")


@scene(step("a"), type=AUDITED)
def moved_on_request(drive: Drive) -> None:
    drive.start()
    drive.succeed("a")
    drive.ask(MoveTask, to="complete")
