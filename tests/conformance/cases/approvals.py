"""People decide steps and tasks: who may vote, what votes decide, and what becomes of the task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from tasker_temporal import Approval, State, TaskTemplate, result_of
from tasker_temporal.core.requests import (
    Approve,
    Ask,
    CancelTask,
    CompleteStep,
    MoveTask,
    PauseTask,
    Reject,
    ResolveStep,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
    SkipStep,
    Withdraw,
)
from tasker_temporal.testing import Ok
from tests.conformance.case import Asked, Case, Seen
from tests.conformance.plays import play
from tests.task_types import AUDITED

Open = ("review", State.IN_PROGRESS)


class Verdict(BaseModel):
    limit: int
    note: str = ""


def by(actor: str, kind: type[Ask], **said: Any) -> Ask:
    return kind(actor=actor, reason=f"{actor} says so", **said)


def approve(actor: str, step: str | None = "review", **said: Any) -> Ask:
    return by(actor, Approve, step=step, **said)


def reject(actor: str, step: str | None = "review", **said: Any) -> Ask:
    return by(actor, Reject, step=step, **said)


def asked(when: tuple[str, State], *requests: Ask | tuple[Ask, str], after: float = 5) -> list[Asked]:
    """One after the other; one with a text is refused, and the text says why."""
    found = []
    for number, request in enumerate(requests):
        plain, refused = request if isinstance(request, tuple) else (request, "")
        found.append(Asked(after=after + number, when=when, request=plain, refused=refused))
    return found


def reviewed(name: str, *approvers: str, **options: Any) -> TaskTemplate[Any]:
    """A step `prepare`, an approval of it, and a step behind that. What is no option of an approval is the task's."""
    mine = {key: options.pop(key) for key in ("on_error", "type", "approval") if key in options}
    template = TaskTemplate[Any](name, **mine)
    prepare = template.add_step("prepare", play)
    review: Any = template.approval("review", after=[prepare], approvers=approvers, **options)
    template.add_step("pay", play, after=[review])
    return template


def paid(name: str, **options: Any) -> TaskTemplate[Any]:
    """What is paid is what the approvers wrote into the form."""
    template = TaskTemplate[Any](name, **options)
    review = template.approval("review", form=Verdict, approvers=["ann", "bob", "cid"], quorum=2)

    @template.step
    async def pay(verdict: Verdict = result_of(review)) -> int:
        return verdict.limit

    return template


def plain_task(name: str, **options: Any) -> TaskTemplate[Any]:
    template = TaskTemplate[Any](name, **options)
    prepare = template.add_step("prepare", play)
    template.add_step("pay", play, after=[prepare])
    return template


def decided_by(decision: str, *voters: str, step: str | None = "review") -> Any:
    """There is exactly one decision, by the votes of these people, and it is the cause of what became of it."""

    def law(seen: Seen) -> None:
        entity = "task" if step is None else f"step:{step}"
        [row] = [row for row in seen.audit if row.event == "approval.decided"]
        votes = {row.sort_key: row for row in seen.audit if row.event == "approval.voted"}
        assert row.entity == entity
        assert row.metadata["decision"] == decision
        assert [votes[key].actor for key in row.metadata["votes"]] == list(voters)
        assert [known.entity for known in seen.audit if known.cause == row.sort_key] == [entity]

    return law


def noted(*events: str) -> Any:
    def law(seen: Seen) -> None:
        assert [row.event for row in seen.audit if row.event.startswith("approval.")] == list(events)

    return law


def error_of_task(kind: str) -> Any:
    def law(seen: Seen) -> None:
        assert seen.report.last_error is not None
        assert seen.report.last_error.type == kind

    return law


async def boss_decides(played: Any) -> None:
    """The boss may not vote before it is escalated."""
    await played.until(*Open)
    await played.until_noted("approval.escalated")
    await played.handle.approve("review", actor="boss", reason="boss says so")


SHORT = timedelta(seconds=0.3)

CASES: Sequence[Case] = [
    Case(
        name="two-of-three-approve",
        template=paid("two_of_three"),
        real=frozenset({"pay"}),
        asked=asked(
            Open,
            approve("ann", form={"limit": 7}),
            (approve("ann", form={"limit": 8}), "has voted on 'review#1' already"),
            (approve("eve", form={"limit": 9}), "'eve' may not vote on 'review#1': expected one of ann, bob, cid"),
            by("ann", Withdraw, step="review"),
            (by("ann", Withdraw, step="review"), "nobody has voted on 'review#1'"),
            approve("bob", form={"limit": 5}),
            (by("cid", Withdraw, step="review"), "'cid' has no vote on 'review#1' to take back"),
            approve("ann", form={"limit": 6}),
        ),
        paths={"review": "pending in_progress complete"},
        results={"pay": 6, "review": {"limit": 6, "note": ""}},
        law=decided_by("approved", "bob", "ann"),
    ),
    Case(
        name="rejected",
        template=reviewed("rejected", "ann", "bob", quorum=2),
        asked=asked(Open, approve("ann"), reject("bob")),
        state=State.ERROR,
        steps={"review": State.ERROR, "pay": State.PENDING},
        errors={"review": "ApprovalRejected"},
        law=decided_by("rejected", "bob"),
    ),
    Case(
        name="votes-that-come-early",
        template=reviewed("early", "ann", "bob", "cid", quorum=2),
        outcomes={"prepare": [Ok(takes=20)]},
        asked=asked(
            ("prepare", State.IN_PROGRESS),
            approve("ann"),
            (approve("ann"), "has voted on 'review#1' already"),
            approve("bob"),
            by("ann", Withdraw, step="review"),
            approve("cid"),
        ),
        paths={"review": "pending in_progress complete"},
        law=decided_by("approved", "bob", "cid"),
    ),
    Case(
        name="an-early-vote-against",
        template=reviewed("early_against", "ann", "bob", quorum=2),
        outcomes={"prepare": [Ok(takes=20)]},
        asked=asked(("prepare", State.IN_PROGRESS), approve("ann"), reject("bob")),
        state=State.ERROR,
        steps={"review": State.ERROR, "pay": State.PENDING},
        law=decided_by("rejected", "bob"),
    ),
    Case(
        name="what-is-refused-of-an-open-approval",
        template=reviewed("refusals", "ann", "sam"),
        actor="sam",
        asked=asked(
            Open,
            (approve("sam"), "'sam' started the task: somebody else must decide 'review#1'"),
            (approve("ann", approval="review#2"), "'review#2' is not the one that counts: that is 'review#1'"),
            (approve("ann", form={"limit": 1}), "approval 'review#1' has no form"),
            (approve("ann", step="pay"), "step 'pay' is no approval: nobody votes on it"),
            (approve("ann", step=None), "the task has no approval of its own"),
            (by("ann", CompleteStep, step="review", result=None), "step 'review' is decided by votes"),
            (by("ann", SkipStep, step="review"), "step 'review' is in_progress"),
            (by("ann", ResolveStep, step="review"), "step 'review' is in_progress"),
            (by("ann", RetryFrom, step="prepare"), "what depends on step 'prepare' runs"),
            (by("ann", MoveTask, to="complete"), "has no row out of it that is asked for"),
            approve("ann", approval="review#1"),
        ),
        law=decided_by("approved", "ann"),
    ),
    Case(
        name="an-approval-that-only-the-verified-decide",
        template=reviewed("verified_alone", "ann", "group:fraud", verified=True),
        asked=asked(
            Open, (approve("ann"), "takes votes of verified identities alone"), CancelTask(actor="ann", reason="stuck")
        ),
        state=State.CANCELLED,
        steps={"review": State.CANCELLED, "pay": State.CANCELLED},
    ),
    Case(
        name="rejected-and-asked-again",
        template=reviewed("asked_again", "ann", on_error="hold"),
        asked=[
            *asked(Open, reject("ann")),
            *asked(
                ("review", State.ERROR),
                (approve("ann"), "step 'review' is error: 'approve' is legal for one that is pending or in_progress"),
                by("ops", RetryStep, step="review"),
                after=7,
            ),
            *asked(
                Open,
                (approve("ann", approval="review#1"), "'review#1' is not the one that counts: that is 'review#2'"),
                approve("ann", approval="review#2"),
                after=10,
            ),
        ],
        paths={
            "task": "pending in_progress error pending in_progress complete",
            "review": "pending in_progress error pending in_progress complete",
        },
    ),
    Case(
        name="an-operator-overrides-a-rejection",
        template=paid("overridden", on_error="hold"),
        real=frozenset({"pay"}),
        asked=[
            *asked(Open, reject("cid")),
            *asked(
                ("review", State.ERROR),
                (by("ops", CompleteStep, step="review", result={"limit": "much"}), "'review' is not valid: limit"),
                by("ops", CompleteStep, step="review", result={"limit": 3}),
                after=7,
            ),
        ],
        paths={"review": "pending in_progress error complete"},
        results={"pay": 3},
    ),
    Case(
        name="a-vote-while-the-task-is-paused",
        template=reviewed("paused", "ann"),
        asked=[
            *asked(Open, by("ops", PauseTask), approve("ann")),
            *asked(("review", State.COMPLETE), by("ops", ResumeTask), after=7),
        ],
        paths={"task": "pending in_progress paused in_progress complete", "pay": "pending in_progress complete"},
        law=decided_by("approved", "ann"),
    ),
    Case(
        name="nobody-decides-in-time",
        template=reviewed("overdue", "ann", deadline=SHORT),
        state=State.ERROR,
        steps={"review": State.ERROR, "pay": State.PENDING},
        errors={"review": "ApprovalOverdue"},
        law=decided_by("overdue"),
    ),
    Case(
        name="silence-is-consent",
        template=reviewed("consent", "ann", deadline=SHORT, on_deadline="approve"),
        law=decided_by("approved"),
    ),
    Case(
        name="escalated-to-the-boss",
        template=reviewed(
            "escalated", "ann", deadline=timedelta(seconds=10), on_deadline="escalate", escalate_to=["boss"]
        ),
        asked=asked(Open, approve("boss"), after=15),
        scene=boss_decides,
        law=decided_by("approved", "boss"),
    ),
    Case(
        name="nobody-decides-after-the-escalation",
        template=reviewed("twice_overdue", "ann", deadline=SHORT, on_deadline="escalate", escalate_to=["boss"]),
        state=State.ERROR,
        steps={"review": State.ERROR, "pay": State.PENDING},
        errors={"review": "ApprovalOverdue"},
        law=noted("approval.requested", "approval.escalated", "approval.decided"),
    ),
    Case(
        name="a-critical-task-is-approved",
        template=plain_task("critical_ok", type="critical", approval=Approval(approvers=("ann", "bob"), quorum=2)),
        asked=asked(("pay", State.COMPLETE), approve("ann", None), approve("bob", None, approval="task#1")),
        paths={"task": "pending in_progress pending_approval complete"},
        law=decided_by("approved", "ann", "bob", step=None),
    ),
    Case(
        name="a-critical-task-is-rejected-and-asked-again",
        template=plain_task("critical_no", type="critical", approval=Approval(approvers=("ann",)), on_error="hold"),
        asked=asked(
            ("pay", State.COMPLETE),
            (by("ann", RetryFrom, step="pay"), "the task is pending_approval, where no step runs"),
            reject("ann", None),
            by("ops", RetryTask),
            (approve("ann", None, approval="task#1"), "that is 'task#2'"),
            approve("ann", None),
        ),
        paths={"task": "pending in_progress pending_approval error pending in_progress pending_approval complete"},
    ),
    Case(
        name="nobody-approves-a-critical-task-in-time",
        template=plain_task("critical_late", type="critical", approval=Approval(approvers=("ann",), deadline=SHORT)),
        state=State.ERROR,
        paths={"task": "pending in_progress pending_approval error"},
        law=error_of_task("ApprovalOverdue"),
    ),
    Case(
        name="a-batch-that-is-whole",
        template=plain_task("batch_whole", type="batch"),
        paths={"task": "pending in_progress complete"},
    ),
    Case(
        name="a-batch-with-a-step-that-was-skipped",
        template=plain_task("batch_skipped", type="batch"),
        outcomes={"prepare": [Ok(takes=20)]},
        asked=asked(("prepare", State.IN_PROGRESS), by("ops", SkipStep, step="pay")),
        state=State.ERROR,
        steps={"pay": State.SKIPPED},
        law=error_of_task("StepsNotComplete"),
    ),
    Case(
        name="a-task-of-a-declared-type",
        template=plain_task("declared_type", type=AUDITED),
        asked=asked(
            ("pay", State.COMPLETE),
            (by("ann", MoveTask, to="shipped"), "expected complete or error"),
            by("ann", MoveTask, to="complete"),
        ),
        paths={"task": "pending in_progress under_audit complete"},
    ),
]
