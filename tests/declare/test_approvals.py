"""Approvals and types of tasks as people declare them: what they compile to, and every mistake in one error."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from tasker_temporal import (
    Approval,
    ApprovalNotice,
    Move,
    RequestRefused,
    State,
    TaskTemplate,
    TaskType,
    TemplateError,
    failed,
    result_of,
)
from tasker_temporal.core.requests import Approve, Reject
from tasker_temporal.core.task_types import BATCH, CRITICAL, DEFAULT
from tasker_temporal.testing import run_task


class Verdict(BaseModel):
    limit: int


def tell(notice: ApprovalNotice) -> None:
    """Nobody."""


def mistakes(template: TaskTemplate[Any]) -> tuple[str, ...]:
    with pytest.raises(TemplateError) as error:
        template.compiled  # noqa: B018
    return error.value.mistakes


def asked(**options: Any) -> TaskTemplate[Any]:
    template = TaskTemplate("tests.asked")
    template.approval("review", **{"approvers": ["ann"], **options})
    return template


def test_an_approval_compiles_to_a_step_with_its_terms() -> None:
    template = asked(form=Verdict, quorum=1, deadline=timedelta(days=1), notify=tell, description="Is it honest?")
    step = template.compiled.step("review")
    assert (step.awaits, step.result, step.deadline) == ("approval", "Verdict", timedelta(days=1))
    assert step.approval == Approval(approvers=("ann",), notify=True)
    assert not step.runs
    assert list(template.handlers) == []


def test_an_approval_is_handed_over_and_waited_for_like_any_step() -> None:
    template = TaskTemplate("tests.order")
    review = template.approval("review", form=Verdict, approvers=["ann"])
    release = template.approval("release", after=[review], approvers=["ann"])

    @template.step(after=[release])
    async def pay(verdict: Verdict = result_of(review)) -> int:
        return verdict.limit

    assert template.compiled.dependents == {"review": ("release", "pay"), "release": ("pay",), "pay": ()}
    with pytest.raises(TypeError, match="'review' is an approval: it has no handler"):
        review()


def test_a_result_that_does_not_fit_the_form_is_a_mistake() -> None:
    template = TaskTemplate("tests.unfit")
    review = template.approval("review", approvers=["ann"])

    @template.step
    async def pay(verdict: Verdict = result_of(review)) -> None: ...  # type: ignore[assignment]

    assert mistakes(template) == (
        "step 'pay': its parameter 'verdict' expects Verdict, but the result of 'review' is None",
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"approvers": []}, "its approval.approvers is empty: expected at least 1 of them"),
        ({"approvers": "ann"}, "its approval.approvers"),
        ({"quorum": 0}, "its approval.quorum"),
        ({"quorum": 2}, "its quorum is 2: expected at most 1"),
        ({"quorrum": 2}, "it has no option 'quorrum'; did you mean 'quorum'?"),
        ({"on_deadline": "approve"}, "its on_deadline is 'approve': expected a deadline with it"),
        ({"deadline": timedelta(1), "on_deadline": "escalate"}, "its escalate_to"),
        ({"deadline": timedelta(1), "on_deadline": "panic"}, "its approval.on_deadline"),
        ({"deadline": timedelta(1), "on_deadline": "approve", "form": Verdict}, "expected no form with it"),
        ({"after": ["assess"]}, "it names 'assess': expected a declared step, not its name"),
    ],
)
def test_each_mistake_names_the_step_and_says_what_was_expected(options: Any, said: str) -> None:
    found = mistakes(asked(**options))
    assert any(mistake.startswith("step 'review': ") and said in mistake for mistake in found), found


def test_an_approval_must_not_be_called_task() -> None:
    template = TaskTemplate("tests.named")
    template.approval("task", approvers=["ann"])
    assert "mistaken for the task's own" in mistakes(template)[0]


def test_a_named_type_travels_as_data() -> None:
    terms = Approval(approvers=("ann",))
    assert TaskTemplate("tests.x").compiled.type == DEFAULT
    assert TaskTemplate("tests.x", type="batch").compiled.type == BATCH
    critical = TaskTemplate("tests.x", type="critical", approval=terms, notify=tell).compiled
    assert (critical.type, critical.approval) == (CRITICAL, Approval(approvers=("ann",), notify=True))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"type": "kritical"}, "its type is 'kritical': expected one of default, critical, batch, or a TaskType"),
        ({"type": "critical"}, "which asks people: expected approval=Approval(...) with it"),
        ({"approval": Approval(approvers=("ann",))}, "which asks nobody: expected type='critical'"),
        ({"notify": tell}, "its notify: expected approval=Approval(...) with it"),
        ({"type": "critical", "approval": Approval(approvers=("ann",), quorum=2)}, "its quorum is 2"),
        ({"type": TaskType(name="odd", rows=(Move(source="in_progress", to="odd"),))}, "to lead to a declared state"),
    ],
)
def test_a_type_that_does_not_fit_is_a_mistake(options: Any, said: str) -> None:
    found = mistakes(TaskTemplate("tests.typed", **options))
    assert any(said in mistake for mistake in found), found


# In memory.


def conditional() -> TaskTemplate[Any]:
    """Only large sums are approved by people."""
    template = TaskTemplate("tests.conditional")
    review = template.approval("review", form=Verdict, approvers=["ann"], when="context.total > 1000")

    @template.step
    async def pay(verdict: Verdict | None = result_of(review)) -> int:
        return 0 if verdict is None else verdict.limit

    @template.step(on=failed(review))
    async def apologize() -> str:
        return "sorry"

    @template.step
    async def note() -> None: ...

    return template


async def test_people_are_asked_only_if_the_condition_holds() -> None:
    run = await run_task(conditional(), {"total": 10})
    assert (run.report.state, run.report.steps["review"].state) == (State.COMPLETE, State.SKIPPED)
    approval = Approve(actor="ann", reason="fine", step="review", form={"limit": 7})
    run = await run_task(conditional(), {"total": 2000}, requests=[(5, approval)])
    assert run.result_of("pay") == 7


async def test_a_rejection_can_be_handled_like_any_failure() -> None:
    rejection = Reject(actor="ann", reason="no", step="review")
    run = await run_task(conditional(), {"total": 2000}, requests=[(5, rejection)])
    assert run.report.state is State.COMPLETE
    assert run.result_of("apologize") == "sorry"


async def test_in_memory_a_form_is_checked_and_the_notices_are_kept() -> None:
    template = asked(form=Verdict, notify=tell)
    wrong = Approve(actor="ann", reason="fine", step="review", form={"limit": "much"})
    with pytest.raises(RequestRefused, match="'review' is not valid: limit"):
        await run_task(template, requests=[(5, wrong)])
    right = wrong.model_copy(update={"form": {"limit": "7"}})
    run = await run_task(template, requests=[(5, right)], actor="sam")
    assert run.result_of("review") == {"limit": 7}
    assert [notice.kind for notice in run.notices] == ["opened", "decided"]


async def test_in_memory_who_starts_may_not_approve_and_a_refusal_can_be_kept() -> None:
    votes = [(5, Approve(actor=actor, reason="fine", step="review")) for actor in ("ann", "bob")]
    template = asked(approvers=["ann", "bob"])
    with pytest.raises(RequestRefused, match="'ann' started the task"):
        await run_task(template, requests=votes, actor="ann")
    run = await run_task(template, requests=votes, actor="ann", refusals="keep")
    assert run.report.state is State.COMPLETE
    assert len(run.refusals) == 1
