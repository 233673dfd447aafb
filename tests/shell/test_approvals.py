"""People decide on a real server: at once, by Temporal's own command, with forms, with a notifier, as who they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.client import Client

from tasker_temporal import (
    Approval,
    ApprovalNotice,
    Identity,
    IdentityInterceptor,
    Limits,
    PermanentError,
    RequestRefused,
    State,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.core.requests import Approve, Withdraw
from tasker_temporal.core.task_types import CRITICAL
from tasker_temporal.dev import DevServer
from tasker_temporal.views import details
from tests.core.driving import Drive, approval, terms
from tests.core.driving import template as made
from tests.patience import PATIENCE, until_row
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import CommandFailed, Gate
from tests.shell.shop import by_signal, by_update

BY: dict[str, Any] = {"reason": "it looks right"}


class Verdict(BaseModel):
    limit: int


def reviewed(name: str, **options: Any) -> tuple[TaskTemplate[Any], Any]:
    """What is paid is what the review's form says."""
    mine = {key: options.pop(key) for key in ("limits", "on_error") if key in options}
    template = TaskTemplate[Any](name, **mine)
    said: Any = {"approvers": ["ann", "bob", "*"], **options}
    review = template.approval("review", form=Verdict, **said)

    @template.step
    async def pay(verdict: Verdict = result_of(review)) -> int:
        return verdict.limit

    return template, review


async def opened(client: Client, template: TaskTemplate[Any], queue: str, **options: Any) -> TaskHandle:
    task = await start_task(client, template, None, task_queue=queue, actor="sam", **options)
    await until_row(task, "approval.requested")
    return task


async def test_of_twenty_who_approve_at_once_three_decide_and_nobody_after_them(client: Connect, cache: int) -> None:
    template, review = reviewed(f"approvals.crowd_{cache}", quorum=3)
    connected = await client(template)
    async with worker(connected, max_cached_workflows=cache) as serving:
        task = await opened(connected, template, serving.task_queue)

        async def vote(number: int) -> int | None:
            try:
                await task.approve(review, Verdict(limit=number), actor=f"p{number}", **BY)
            except RequestRefused:
                return None
            return number

        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*map(vote, range(20)))
            report = await task.result()
        accepted = [number for number in answers if number is not None]
        assert (len(accepted), report.state) == (3, State.COMPLETE)
        audit = await task.audit()
        [decision] = [row for row in audit if row.event == "approval.decided"]
        votes = [row for row in audit if row.event == "approval.voted"]
        assert [row.sort_key for row in votes] == decision.metadata["votes"]
        assert {row.actor for row in votes} == {f"p{number}" for number in accepted}
        assert f"p{await task.result_of('pay')}" == votes[-1].actor
        assert (await task.result_of(review)).limit in accepted
        await replayed(task, template)


@pytest.mark.parametrize("way", [by_update, by_signal])
async def test_temporals_own_command_votes_withdraws_and_rejects(
    client: Connect, server: DevServer, way: Callable[[DevServer], Any]
) -> None:
    template, _ = reviewed(f"approvals.{way.__name__}", quorum=2)
    connected, ask = await client(template), way(server)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        about = {"step": "review", "approval": "review#1", **BY}
        await ask(task, "approve", {**about, "actor": "ann", "form": {"limit": 1}})
        await until_row(task, "approval.voted")
        await ask(task, "withdraw", {**about, "actor": "ann"})
        await until_row(task, "approval.withdrawn")
        await ask(task, "reject", {**about, "actor": "bob"})
        with pytest.raises(TaskFailed, match="ApprovalRejected: bob: it looks right"):
            await task.result()
        await replayed(task, template)


async def test_a_form_that_is_not_valid_is_refused_by_the_client_and_by_the_worker(
    client: Connect, server: DevServer
) -> None:
    template, review = reviewed("approvals.form")
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        with pytest.raises(RequestRefused, match="the form of 'review' is not valid: limit: Input should be"):
            await task.approve(review, {"limit": "much"}, actor="ann", **BY)
        assert "approve" not in str([row.event for row in await task.audit()])
        with pytest.raises(RequestRefused, match="'review' is not valid: limit: Field required"):
            await task.approve("review", {}, actor="ann", **BY)
        vote = {"request": "approve", "step": "review", "form": {}, "actor": "ann", **BY}
        with pytest.raises(RequestRefused, match="'review' is not valid: limit: Field required"):
            await task.plan(vote)
        assert (await TaskHandle(await client(), task.id).plan(vote)).unchecked == "the form of step 'review'"
        with pytest.raises(CommandFailed, match="limit: Field required"):
            await by_update(server)(task, "approve", {"step": "review", "actor": "ann", "form": {}, **BY})
        await task.approve(review, Verdict(limit=4), actor="ann", **BY)
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of(review) == Verdict(limit=4)
        await replayed(task, template)


async def test_votes_and_what_is_open_go_on_in_a_new_run(client: Connect) -> None:
    template, review = reviewed("approvals.continued", quorum=2, limits=Limits(drain_events=10))
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        await task.approve(review, Verdict(limit=1), actor="ann", **BY)
        await task.withdraw(review, actor="ann", **BY)
        await task.approve(review, Verdict(limit=2), actor="ann", **BY)
        await until_row(task, "workflow.run_continued")
        with pytest.raises(RequestRefused, match="'ann' has voted on 'review#1' already"):
            await task.approve(review, Verdict(limit=2), actor="ann", **BY)
        with pytest.raises(RequestRefused, match="'sam' started the task"):
            await task.approve(review, Verdict(limit=2), actor="sam", **BY)
        await task.approve(review, Verdict(limit=3), actor="bob", **BY)
        await task.result()
        assert await task.result_of("pay") == 3
        await replayed(task, template)


async def test_a_task_that_closed_because_it_was_rejected_is_reopened_and_asked_again(client: Connect) -> None:
    template, review = reviewed("approvals.reopened")
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        await task.reject(review, actor="ann", **BY)
        with pytest.raises(TaskFailed):
            await task.result()
        await task.retry(actor="ops", reason="they talked")
        with pytest.raises(RequestRefused, match="'review#1' is not the one that counts"):
            await task.approve(review, Verdict(limit=1), approval="review#1", actor="ann", **BY)
        await task.approve(review, Verdict(limit=1), approval="review#2", actor="ann", **BY)
        assert (await task.result()).state is State.COMPLETE
        await replayed(task, template)


async def test_a_critical_task_that_closed_because_it_was_rejected_is_asked_again(client: Connect) -> None:
    template = TaskTemplate("approvals.critical", type="critical", approval=Approval(approvers=("ann",)))
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        assert (await task.report()).state is State.PENDING_APPROVAL
        await task.reject(actor="ann", **BY)
        with pytest.raises(TaskFailed, match="ApprovalRejected: ann: it looks right"):
            await task.result()
        await task.retry(actor="ops", reason="they talked")
        await task.approve(approval="task#2", actor="ann", **BY)
        assert (await task.result()).state is State.COMPLETE
        await replayed(task, template)


def test_temporals_ui_shows_how_far_people_are() -> None:
    review = approval("review", "ann", "group:a|b", quorum=2)
    drive = Drive(made(review, type=CRITICAL, approval=terms("dora")))
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", step="review")
    assert "1 of 2 votes of ann, group:a\\|b" in details(drive.task)
    drive.ask(Withdraw, actor="ann", step="review")
    drive.tell(Approve(actor="x", reason="r", step="review").verified(Identity(actor="bob", groups=("a|b",))))
    drive.ask(Approve, actor="ann", step="review")
    assert details(drive.task).startswith("**pending_approval** · 100 % of 1 steps · healthy · 0 of 1 votes of dora")


# The notifier.


async def test_a_notifier_is_told_of_the_opening_and_of_the_decision_and_is_tried_again(
    client: Connect, cache: int
) -> None:
    told: list[ApprovalNotice] = []
    failures = [ConnectionError("no route")]

    async def tell(notice: ApprovalNotice) -> None:
        if failures:
            raise failures.pop()
        told.append(notice)

    hour = timedelta(hours=1)
    template, review = reviewed(f"approvals.notified_{cache}", notify=tell, deadline=hour)
    connected = await client(template)
    async with worker(connected, max_cached_workflows=cache) as serving:
        task = await opened(connected, template, serving.task_queue)
        async with asyncio.timeout(PATIENCE):
            while not told:
                await asyncio.sleep(0.05)
        await task.approve(review, Verdict(limit=1), approval=told[0].approval, actor="ann", **BY)
        await task.result()
        opening, decision = told
        assert (opening.kind, opening.step, opening.approval) == ("opened", "review", "review#1")
        assert opening.task_id == task.id
        assert opening.approvers == ("ann", "bob", "*")
        assert opening.until is not None
        assert (decision.kind, decision.decision, decision.voters) == ("decided", "approved", ("ann",))
        assert "approval.notification_failed" not in [row.event for row in await task.audit()]
        await replayed(task, template)


async def test_a_notifier_that_fails_for_good_is_noted_and_holds_nothing_up(client: Connect) -> None:
    def tell(notice: ApprovalNotice) -> None:
        raise PermanentError(f"nobody knows {notice.approvers[0]}")

    template, review = reviewed("approvals.mute", notify=tell)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        await until_row(task, "approval.notification_failed")
        await task.approve(review, Verdict(limit=1), actor="ann", **BY)
        assert (await task.result()).state is State.COMPLETE
        failed = [row for row in await task.audit() if row.event == "approval.notification_failed"]
        assert [row.metadata["kind"] for row in failed] == ["opened", "decided"]
        assert failed[0].metadata["error"]["type"] == "PermanentError"
        await replayed(task, template)


async def test_a_run_does_not_end_before_people_are_told_what_was_decided(client: Connect) -> None:
    told: list[str] = []

    async def tell(notice: ApprovalNotice) -> None:
        told.append(notice.kind)

    terms = Approval(approvers=("ann",))
    template = TaskTemplate("approvals.told", type="critical", approval=terms, notify=tell)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        await task.approve(actor="ann", **BY)
        assert (await task.result()).state is State.COMPLETE
        assert told == ["opened", "decided"]
        await replayed(task, template)


async def test_a_run_does_not_go_on_as_a_new_one_before_people_are_told(client: Connect) -> None:
    gate, told = Gate(), 0

    async def tell(notice: ApprovalNotice) -> None:
        nonlocal told
        await gate.passage()
        told += 1

    template, review = reviewed("approvals.patient", notify=tell, quorum=2, limits=Limits(drain_events=10))
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        await gate.reached.wait()
        await task.approve(review, Verdict(limit=1), actor="ann", **BY)
        await task.withdraw(review, actor="ann", **BY)
        await task.approve(review, Verdict(limit=2), actor="ann", **BY)
        await until_row(task, "workflow.drain_requested")
        assert "workflow.run_continued" not in [row.event for row in await task.audit()]
        gate.open()
        await until_row(task, "workflow.run_continued")
        await task.approve(review, Verdict(limit=1), actor="bob", **BY)
        assert (await task.result()).state is State.COMPLETE
        assert told == 2
        await replayed(task, template)


# Who is who.

KEY = b"only the clients of ours and the workers have it"

Asking = Callable[..., Awaitable[Any]]


async def acting(server: DevServer, template: TaskTemplate[Any], who: Identity | None, key: bytes | None) -> Client:
    """A client of a process that acts for somebody."""
    plugins, interceptors = [TaskerPlugin(template)], [IdentityInterceptor(lambda: who, key=key)]
    return await server.client(plugins=plugins, interceptors=interceptors)


ANN = Identity(actor="ann", groups=("fraud",))


async def test_an_identity_in_the_header_wins_over_what_the_request_says(client: Connect, server: DevServer) -> None:
    template, review = reviewed("approvals.known", approvers=["group:fraud"], verified=True)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        with pytest.raises(RequestRefused, match="takes votes of verified identities alone"):
            await task.approve(review, Verdict(limit=1), actor="ann", **BY)
        theirs = TaskHandle(await acting(server, template, ANN, None), task.id)
        await theirs.approve(review, Verdict(limit=1), actor="somebody else", **BY)
        await task.result()
        [vote] = [row for row in await task.audit() if row.event == "approval.voted"]
        assert (vote.actor, vote.metadata["verified"]) == ("ann", True)
        await replayed(task, template)


async def test_two_persons_who_ask_under_one_id_are_told_apart_though_all_else_is_the_same(
    client: Connect, server: DevServer
) -> None:
    template, review = reviewed("approvals.one_id", approvers=["ann", "bob"], quorum=2)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        by: dict[str, Any] = {"actor": "service", "reason": "fine", "request_id": "one"}
        ann, bob = [
            TaskHandle(await acting(server, template, Identity(actor=actor), None), task.id) for actor in ("ann", "bob")
        ]
        vote = await ann.approve(review, Verdict(limit=1), **by)
        with pytest.raises(RequestRefused, match="already used for approve of step 'review' by 'ann'"):
            await bob.approve(review, Verdict(limit=1), **by)
        await bob.approve(review, Verdict(limit=1), actor="service", reason="fine")
        await task.result()
        assert await ann.approve(review, Verdict(limit=1), **by) == vote
        with pytest.raises(RequestRefused, match="already used for approve of step 'review' by 'ann'"):
            await bob.approve(review, Verdict(limit=1), **by)
        await replayed(task, template)


async def test_nobody_claims_an_identity_in_json(client: Connect, server: DevServer) -> None:
    template, _ = reviewed("approvals.claimed", approvers=["group:fraud"], verified=True)
    connected = await client(template)
    async with worker(connected) as serving:
        task = await opened(connected, template, serving.task_queue)
        for name in ("identity", "_identity", "groups"):
            claim = {"step": "review", "actor": "ann", "form": {"limit": 1}, name: {"actor": "ann"}, **BY}
            with pytest.raises(CommandFailed):
                await by_update(server)(task, "approve", claim)
        await task.cancel(actor="sam", reason="over")


async def test_with_a_key_only_a_signed_identity_counts(server: DevServer) -> None:
    template, review = reviewed("approvals.signed", approvers=["group:fraud"], verified=True)
    keyed = await server.client(plugins=[TaskerPlugin(template, identity_key=KEY)])
    async with worker(keyed) as serving:
        task = await opened(keyed, template, serving.task_queue)
        for wrong in (None, b"another key"):
            forger = TaskHandle(await acting(server, template, ANN, wrong), task.id)
            with pytest.raises(RequestRefused, match="'ann' in its header is not signed with the workers' key"):
                await forger.approve(review, Verdict(limit=1), actor="ann", **BY)
        theirs = TaskHandle(await acting(server, template, ANN, KEY), task.id)
        await theirs.approve(review, Verdict(limit=1), actor="ann", **BY)
        assert (await task.result()).state is State.COMPLETE
        await replayed(task, template)


async def test_who_starts_a_task_is_who_the_header_says_and_may_not_approve_it(server: DevServer) -> None:
    template, review = reviewed("approvals.starter", on_error="hold")
    keyed = await server.client(plugins=[TaskerPlugin(template, identity_key=KEY)])
    theirs = await acting(server, template, ANN, KEY)
    async with worker(keyed) as serving:
        task = await opened(theirs, template, serving.task_queue)
        assert (await task.audit())[0].actor == "ann"
        with pytest.raises(RequestRefused, match="'ann' started the task"):
            await task.approve(review, Verdict(limit=1), actor="bob", **BY)
        forger = await acting(server, template, ANN, b"another key")
        forged = await start_task(forger, template, None, task_queue=serving.task_queue)
        with pytest.raises(TaskFailed, match="identity: the identity 'ann' in its header is not signed"):
            await forged.result()
        await task.workflow.signal("transition", {"request": "reject", "step": "review", "actor": "bob", **BY})
        await until_row(task, "workflow.request_refused")
        boss = TaskHandle(await acting(server, template, Identity(actor="boss"), KEY), task.id)
        await boss.workflow.signal("transition", {"request": "reject", "step": "review", "actor": "x", **BY})
        await until_row(task, "approval.decided")
        assert [row.actor for row in await task.audit() if row.event == "approval.voted"] == ["boss"]
        await boss.retry(actor="x", reason="again")
        assert [row.actor for row in await task.audit() if row.event == "task.retry_requested"] == ["boss"]
        await boss.cancel(actor="x", reason="over")
        await replayed(task, template)


async def test_a_reopened_task_knows_who_asked(server: DevServer) -> None:
    template, review = reviewed("approvals.reopened_by", approvers=["bob"])
    keyed = await server.client(plugins=[TaskerPlugin(template, identity_key=KEY)])
    async with worker(keyed) as serving:
        task = await opened(keyed, template, serving.task_queue)
        await task.reject(review, actor="bob", **BY)
        with pytest.raises(TaskFailed):
            await task.result()
        theirs = TaskHandle(await acting(server, template, ANN, KEY), task.id)
        await theirs.retry(actor="x", reason="they talked")
        assert [row.actor for row in await task.audit() if row.event == "task.retry_requested"] == ["ann"]
        await theirs.cancel(actor="x", reason="over")
        await replayed(task, template)
