"""People decide: who may vote and when, what votes decide, and that it is decided once."""

from __future__ import annotations

from typing import Any

import pytest

from tasker_temporal.core.approval import approval_mistakes
from tasker_temporal.core.ballots import decided
from tasker_temporal.core.inbox import KEPT_PER_NAME
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content, Failure, NotifierFailed, Notify, StopTimer, Vote
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.requests import (
    Approve,
    CancelTask,
    CompleteStep,
    Identity,
    PauseTask,
    Reject,
    ResumeTask,
    RetryFrom,
    RetryStep,
    SkipStep,
    Withdraw,
)
from tasker_temporal.core.waiting import waiting
from tasker_temporal.errors import RequestRefused
from tests.core.doors import rule_against
from tests.core.driving import Drive, approval, essence, restored, seconds, started, step, template, terms

ASKED: dict[str, Any] = {"step": "review"}


def opened(*approvers: str, **options: Any) -> Drive:
    """A task whose approval is open, and a step behind it that takes its result."""
    drive = Drive(template(approval("review", *approvers, **options), step("pay", "review?")))
    drive.start(actor="sam")
    return drive


def events(drive: Drive) -> list[str]:
    return [row.event for run in drive.runs for row in run.rows if row.event.startswith("approval.")]


def vote(actor: str, **said: Any) -> Approve:
    return Approve(actor=actor, reason="fine", **{**ASKED, **said})


def test_the_form_of_the_vote_that_makes_the_quorum_full_is_the_result() -> None:
    drive = opened("ann", "bob", "cid", quorum=2)
    drive.ask(Approve, actor="bob", form={"limit": 5}, **ASKED)
    assert drive.states["review"] == "in_progress"
    drive.ask(Approve, actor="ann", form={"limit": 7}, **ASKED)
    review = drive.task.steps["review"]
    assert review.result == Content(b'{"limit":7}')
    assert review.by_hand
    row = drive.row("step.completed", "review")
    assert row.metadata["voters"] == ["bob", "ann"]
    assert row.metadata["approval"] == "review#1"
    assert drive.ran() == ["pay"]


def test_rows_hold_no_form_but_its_size_and_its_digest() -> None:
    drive = opened("ann")
    drive.ask(Approve, actor="ann", form={"secret": "ann@example.com"}, **ASKED)
    assert "example.com" not in repr(drive.rows)
    assert drive.row("approval.voted", "review").metadata["form"] == drive.task.trace(b'{"secret":"ann@example.com"}')


def test_one_vote_against_decides_at_once_and_its_reason_is_the_failures() -> None:
    drive = opened("ann", "bob", quorum=2)
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(Reject, actor="bob", reason="too much", **ASKED)
    failure = drive.task.steps["review"].failure
    assert failure == Failure("ApprovalRejected", "bob: too much", retryable=False)
    assert drive.row("approval.decided", "review").metadata["decision"] == "rejected"
    assert (drive.state, drive.task.ballots) == ("error", {})


def test_of_any_number_of_votes_after_the_decision_none_counts() -> None:
    drive = opened(*"abcdefghij", quorum=3)
    answers = []
    for actor in "abcdefghij":
        try:
            drive.ask(Approve, actor=actor, **ASKED)
            answers.append(actor)
        except RequestRefused:
            pass
    assert answers == ["a", "b", "c"]
    assert events(drive).count("approval.decided") == 1


def test_a_vote_that_is_taken_back_does_not_count_and_may_be_given_anew() -> None:
    drive = opened("ann", "bob", quorum=2)
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(Withdraw, actor="ann", **ASKED)
    drive.ask(Approve, actor="bob", **ASKED)
    assert drive.states["review"] == "in_progress"
    drive.ask(Approve, actor="ann", **ASKED)
    assert drive.states["review"] == "complete"


def test_the_votes_of_two_persons_are_two_requests() -> None:
    drive = opened("ann", "bob", quorum=2)
    drive.apply(vote("ann", request_id="one"))
    used = "request id 'one' was already used for approve of step 'review' by 'ann'"
    assert rule_against(drive, vote("bob", request_id="one")).startswith(used)
    assert rule_against(drive, vote("eve", request_id="one").verified(Identity(actor="bob"))).startswith(used)
    assert drive.apply(Approve(actor="ann", reason="once more", request_id="one", **ASKED)) == []
    assert drive.apply(vote("eve", request_id="one").verified(Identity(actor="ann"))) == []
    assert events(drive) == ["approval.requested", "approval.voted"]


def test_a_vote_with_another_form_is_another_request_and_nobody_reads_the_form_in_the_refusal() -> None:
    drive = opened("ann", "bob", quorum=2)
    drive.apply(vote("ann", request_id="one", form={"limit": 4711}))
    said = rule_against(drive, vote("ann", request_id="one", form={"limit": 4712}))
    assert "by 'ann', which handed over something else" in said
    assert "471" not in said
    assert "471" not in repr(drive.task.answers)


SPELLED = ["Sam", " sam", "sam\u00a0", "SAM", "s\uff41m"]
"""Names of one person, as he may write himself."""


@pytest.mark.parametrize("name", SPELLED)
def test_who_started_the_task_may_not_vote_under_another_spelling(name: str) -> None:
    drive = opened("*", "*", quorum=2)
    rule = f"{name!r} started the task, as 'sam': somebody else must decide 'review#1'"
    assert rule_against(drive, vote(name)) == rule
    assert rule_against(drive, vote("ann").verified(Identity(actor=name))) == rule
    drive.apply(vote("sami"))


@pytest.mark.parametrize("name", SPELLED)
def test_nobody_votes_twice_under_two_spellings(name: str) -> None:
    drive = opened("*", quorum=2, not_requester=False)
    drive.apply(vote("sam"))
    rule = f"{name!r} has voted on 'review#1' already, as 'sam': withdraw that vote first"
    assert rule_against(drive, vote(name)) == rule
    assert (
        rule_against(drive, Withdraw(actor=name, reason="r", **ASKED))
        == f"{name!r} has no vote on 'review#1' to take back"
    )


def test_who_may_vote_is_named_letter_by_letter() -> None:
    assert "'Ann' may not vote on 'review#1': expected one of ann" in rule_against(opened("ann"), vote("Ann"))


def test_nobody_is_in_a_group_by_his_name() -> None:
    drive = opened("group:fraud", "bob")
    rule = "'group:fraud' may not vote on 'review#1': expected one of group:fraud, bob"
    assert rule_against(drive, vote("group:fraud")) == rule
    assert rule_against(drive, vote("eve").verified(Identity(actor="group:fraud"))) == rule
    drive.apply(vote("eve").verified(Identity(actor="group:fraud", groups=("fraud",))))
    assert drive.states["review"] == "complete"


def test_a_run_of_an_earlier_interpreter_compares_names_letter_by_letter() -> None:
    drive = opened("group:fraud", "*", quorum=3)
    drive.task.interpreter = 2
    for name in ("Sam", "group:fraud", "Group:Fraud"):
        drive.apply(vote(name))
    assert drive.states["review"] == "complete"


@pytest.mark.parametrize(
    ("options", "request_", "rule"),
    [
        ({}, vote("eve"), "'eve' may not vote on 'review#1': expected one of ann, bob, sam"),
        ({}, vote("sam"), "'sam' started the task: somebody else must decide 'review#1'"),
        ({}, vote("ann", approval="review#2"), "approval 'review#2' is not the one that counts: that is 'review#1'"),
        ({}, vote("ann", step="pay"), "step 'pay' is no approval: nobody votes on it"),
        ({}, vote("ann", step=None), "the task has no approval of its own: 'approve' needs the step that has one"),
        ({}, vote("ann", step="nix"), "there is no step 'nix'; there are review, pay"),
        ({"form": "None"}, vote("ann", form={}), "approval 'review#1' has no form: vote without one"),
        ({"verified": True}, vote("ann"), "takes votes of verified identities alone, and this request has none"),
        ({}, Withdraw(actor="ann", reason="r", step="review"), "nobody has voted on 'review#1'"),
        ({}, CompleteStep(actor="ann", reason="r", step="review"), "step 'review' is decided by votes"),
    ],
)
def test_what_is_refused_says_why_and_changes_nothing(options: Any, request_: Any, rule: str) -> None:
    drive = opened("ann", "bob", "sam", **options)
    assert rule in rule_against(drive, request_)


def test_one_person_has_one_vote() -> None:
    drive = opened("ann", "bob", quorum=2)
    drive.ask(Approve, actor="ann", **ASKED)
    assert rule_against(drive, vote("ann")) == "'ann' has voted on 'review#1' already: withdraw that vote first"
    assert rule_against(drive, Withdraw(actor="bob", reason="r", step="review")) == (
        "'bob' has no vote on 'review#1' to take back"
    )


def test_who_started_the_task_may_vote_if_the_terms_say_so() -> None:
    drive = opened("sam", not_requester=False)
    drive.ask(Approve, actor="sam", **ASKED)
    assert drive.states["review"] == "complete"


def test_anybody_may_vote_if_the_terms_say_so() -> None:
    drive = opened("*")
    drive.ask(Approve, actor="eve", **ASKED)
    assert drive.states["review"] == "complete"


def test_only_a_verified_identity_is_in_a_group() -> None:
    drive = opened("group:fraud", verified=True)
    assert "takes votes of verified identities" in rule_against(drive, vote("group:fraud"))
    assert "'ann' may not vote" in rule_against(drive, vote("x").verified(Identity(actor="ann", groups=("sales",))))
    drive.tell(vote("whoever").verified(Identity(actor="ann", groups=("sales", "fraud"))))
    row = drive.row("approval.voted", "review")
    assert (row.actor, row.metadata["verified"]) == ("ann", True)
    assert drive.states["review"] == "complete"


def test_early_votes_are_kept_and_counted_when_it_opens_the_oldest_first() -> None:
    drive = Drive(template(step("a"), approval("review", "ann", "bob", "cid", quorum=2, after=["a"])))
    drive.start(actor="sam")
    for actor in ("ann", "bob", "cid"):
        drive.ask(Approve, actor=actor, form=actor, **ASKED)
    assert drive.row("approval.voted", "review").metadata["early"]
    assert "already" in rule_against(drive, vote("ann"))
    drive.ask(Withdraw, actor="ann", **ASKED)
    later = drive.continued()
    later.succeed("a")
    assert later.row("step.completed", "review").metadata["voters"] == ["bob", "cid"]
    assert later.task.steps["review"].result == Content(b'"cid"')
    assert later.task.inbox == {}


def test_early_votes_that_decide_ask_nobody() -> None:
    drive = Drive(template(step("a"), approval("review", "ann", notify=True, after=["a"])))
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", **ASKED)
    drive.succeed("a")
    assert [command.kind for command in drive.commands if isinstance(command, Notify)] == ["decided"]


def test_early_votes_that_are_too_many_are_refused() -> None:
    drive = Drive(template(step("a"), approval("review", "*", quorum=500, after=["a"])))
    drive.start(actor="sam")
    for number in range(KEPT_PER_NAME):
        drive.ask(Approve, actor=f"p{number}", **ASKED)
    assert "100 are kept" in rule_against(drive, vote("one more"))


def test_early_votes_for_what_is_skipped_are_forgotten() -> None:
    drive = Drive(template(step("a"), approval("review", "ann", after=["a"])))
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(SkipStep, **ASKED)
    assert drive.task.inbox == {}


def test_an_old_vote_never_satisfies_a_later_round() -> None:
    drive = Drive(template(step("a"), approval("review", "ann", "bob", quorum=2, after=["a"]), on_error="hold"))
    drive.start(actor="sam")
    drive.succeed("a")
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(Reject, actor="bob", **ASKED)
    assert "is error: 'approve' is legal for one that is pending or in_progress" in rule_against(drive, vote("bob"))
    drive.ask(RetryStep, **ASKED)
    assert drive.task.ballots["review#2"].votes == ()
    assert "that is 'review#2'" in rule_against(drive, vote("ann", approval="review#1"))
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(Approve, actor="bob", approval="review#2", **ASKED)
    assert drive.states["review"] == "complete"
    assert [row.metadata["approval"] for row in drive.rows if row.event == "approval.requested"] == [
        "review#1",
        "review#2",
    ]


def test_what_is_done_once_more_is_decided_once_more() -> None:
    drive = opened("ann")
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(RetryFrom, **ASKED) if "pay" not in drive.running else drive.succeed("pay")
    assert drive.closed == "complete"

    drive = Drive(template(approval("review", "ann"), step("pay", "review?"), step("long")))
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", **ASKED)
    drive.succeed("pay")
    drive.ask(RetryFrom, **ASKED)
    assert list(drive.task.ballots) == ["review#2"]


def test_one_that_was_rejected_and_whose_ground_is_done_anew_is_asked_in_the_next_round() -> None:
    drive = Drive(template(step("a"), approval("review", "ann", after=["a"]), on_error="hold"))
    drive.start(actor="sam")
    drive.succeed("a")
    drive.ask(Reject, actor="ann", **ASKED)
    drive.ask(RetryFrom, step="a")
    drive.succeed("a")
    assert list(drive.task.ballots) == ["review#2"]


def test_an_overdue_approval_is_an_error_or_taken_as_given() -> None:
    drive = opened("ann", deadline=seconds(60))
    drive.wait(60)
    assert drive.task.steps["review"].failure == Failure("ApprovalOverdue", "nobody decided in time", retryable=False)
    drive = opened("ann", deadline=seconds(60), on_deadline="approve", form="None")
    drive.wait(60)
    assert drive.task.steps["review"].result == Content(b"null")
    assert drive.row("step.completed", "review").metadata["voters"] == []
    assert drive.ran() == ["pay"]


def test_an_escalated_approval_asks_more_people_once_as_long_again() -> None:
    drive = opened("ann", deadline=seconds(60), on_deadline="escalate", escalate_to=("boss",), notify=True)
    assert "'boss' may not vote" in rule_against(drive, vote("boss"))
    drive.wait(60)
    (line,) = (line for line in waiting(drive.task) if line.kind == "approval")
    assert line.until == drive.now + seconds(60)
    assert line.what == "a vote of ann, boss, escalated"
    later = drive.continued()
    assert essence(restored(later.task)) == essence(later.task)
    later.wait(59)
    later.ask(Approve, actor="boss", **ASKED)
    assert later.states["review"] == "complete"
    assert events(drive) == ["approval.requested", "approval.escalated", "approval.voted", "approval.decided"]
    notices = [(c.kind, c.approvers) for run in drive.runs for c in run.commands if isinstance(c, Notify)]
    assert notices == [("opened", ("ann",)), ("escalated", ("ann", "boss")), ("decided", ("ann", "boss"))]


def test_the_deadline_of_one_that_is_decided_is_stopped() -> None:
    drive = opened("ann", deadline=seconds(60))
    commands = drive.ask(Approve, actor="ann", **ASKED)
    assert StopTimer("deadline:review") in commands


def test_votes_count_while_the_task_is_paused_and_a_deadline_takes_effect_at_resume() -> None:
    drive = opened("ann", deadline=seconds(60))
    drive.ask(PauseTask)
    drive.ask(Approve, actor="ann", **ASKED)
    assert drive.states == {"review": "complete", "pay": "pending"}
    drive.ask(ResumeTask)
    assert drive.ran() == ["pay"]
    drive = opened("ann", deadline=seconds(60))
    drive.ask(PauseTask)
    drive.wait(61)
    assert drive.states["review"] == "in_progress"
    drive.ask(ResumeTask)
    drive.wait(0)
    assert drive.states["review"] == "error"


def test_cancelling_closes_it_without_a_decision() -> None:
    drive = opened("ann", "bob", quorum=2, deadline=seconds(60))
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(CancelTask)
    assert drive.states["review"] == "cancelled"
    assert (drive.task.ballots, drive.task.timers) == ({}, {})
    assert "approval.decided" not in events(drive)


def test_a_notifier_is_told_who_is_asked_until_when_and_what_was_decided() -> None:
    drive = opened("ann", "bob", quorum=2, deadline=seconds(60), notify=True)
    (told,) = (command for command in drive.commands if isinstance(command, Notify))
    assert told == Notify("review", "review#1", "opened", ("ann", "bob"), 2, "2026-01-01T00:01:00+00:00")
    drive.ask(Approve, actor="ann", **ASKED)
    drive.ask(Approve, actor="bob", **ASKED)
    told = [command for command in drive.commands if isinstance(command, Notify)][-1]
    assert (told.kind, told.decision, told.voters) == ("decided", "approved", ("ann", "bob"))


def test_a_notifier_that_failed_is_noted_and_holds_nothing_up() -> None:
    drive = opened("ann", notify=True)
    drive.tell(NotifierFailed("review", "review#1", "opened", Failure("SMTPError", "no route to ann@example.com")))
    row = drive.row("approval.notification_failed", "review")
    assert row.metadata["error"]["type"] == "SMTPError"
    assert "example.com" not in repr(row)
    drive.ask(Approve, actor="ann", **ASKED)
    assert drive.states["review"] == "complete"


def test_an_open_approval_says_who_is_asked_and_who_has_voted() -> None:
    drive = opened("ann", "bob", "cid", quorum=2)
    drive.ask(Approve, actor="cid", **ASKED)
    line = waiting(drive.task)[0]
    assert (line.kind, line.step, line.what) == ("approval", "review", "1 more of 2 votes of ann, bob, cid")
    assert line.could == ("approve", "reject", "withdraw")
    assert line.approval is not None
    assert (line.approval.id, line.approval.approved_by) == ("review#1", ("cid",))


def test_an_open_approval_survives_a_snapshot() -> None:
    drive = opened("ann", "bob", quorum=2)
    drive.ask(Approve, actor="ann", form={"a": 1}, **ASKED)
    assert essence(restored(drive.task)) == essence(drive.task)
    later = drive.continued()
    later.ask(Approve, actor="bob", form={"b": 2}, **ASKED)
    assert later.task.steps["review"].result == Content(b'{"b":2}')


def test_a_task_started_by_somebody_remembers_who_over_all_its_runs() -> None:
    later = opened("ann", "sam").continued()
    assert "'sam' started the task" in rule_against(later, vote("sam"))


def cast(*votes: str) -> tuple[Vote, ...]:
    return tuple(
        Vote(word.strip("-"), not word.startswith("-"), "r", Content(b"null"), n) for n, word in enumerate(votes)
    )


@pytest.mark.parametrize(
    ("votes", "quorum", "decision", "by"),
    [
        ((), 1, None, ()),
        (("ann",), 2, None, ()),
        (("ann", "bob"), 2, "approved", ("ann", "bob")),
        (("ann", "bob", "-cid"), 2, "approved", ("ann", "bob")),
        (("ann", "-cid", "bob"), 2, "rejected", ("cid",)),
    ],
)
def test_the_first_that_decides_decides(votes: Any, quorum: int, decision: str | None, by: Any) -> None:
    found = decided(cast(*votes), terms("ann", quorum=quorum))
    assert (None if found is None else found.decision) == decision
    assert tuple(vote.actor for vote in found.votes) == by if found is not None else by == ()


@pytest.mark.parametrize(
    ("approvers", "options", "deadline", "form", "said"),
    [
        (("ann",), {"quorum": 2}, None, "None", "its quorum is 2: expected at most 1"),
        (("ann", "ann"), {"quorum": 2}, None, "None", "its quorum is 2: expected at most 1"),
        (("",), {}, None, "None", "expected names, 'group:NAME' or '*'"),
        (("group:",), {}, None, "None", "expected names, 'group:NAME' or '*'"),
        (("ann",), {"on_deadline": "approve"}, None, "None", "expected a deadline with it"),
        (("ann",), {"on_deadline": "escalate"}, 1, "None", "its escalate_to"),
        (("ann",), {"escalate_to": ("boss",)}, 1, "None", "its escalate_to"),
        (("ann",), {"on_deadline": "approve"}, 1, "Form", "expected no form with it"),
    ],
)
def test_terms_that_cannot_be_kept_are_mistakes(
    approvers: Any, options: Any, deadline: int | None, form: str, said: str
) -> None:
    period = None if deadline is None else seconds(deadline)
    assert [said in mistake for mistake in approval_mistakes(terms(*approvers, **options), period, form)] == [True]


def test_terms_that_can_be_kept_are_none() -> None:
    assert approval_mistakes(terms("ann", "group:x", quorum=9), None, "Form") == []
    assert approval_mistakes(terms("ann", on_deadline="escalate", escalate_to=("b",)), seconds(1), "Form") == []


def test_an_approval_that_does_not_fit_its_step_is_a_mistake() -> None:
    made = template(step("a"))
    for wrong, said in [
        (step("a", awaits="approval"), "expected the terms of one with it"),
        (step("a", approval=terms("ann")), "expected the terms of one with it"),
        (step("a", awaits="approval", approval=terms("ann", deadline=seconds(1))), "expected the step's"),
        (step("task", awaits="approval", approval=terms("ann")), "would be mistaken for the task's own"),
    ]:
        (mistake,) = mistakes(made.model_copy(update={"steps": (wrong,)}))
        assert said in mistake


def test_a_step_whose_state_nobody_votes_on_is_not_open() -> None:
    drive = started(approval("review", "ann"))
    assert drive.task.steps["review"].state is State.IN_PROGRESS
    assert drive.task.parked == 1


@pytest.mark.parametrize(
    ("approvers", "options", "but"),
    [
        (("ann", "sam"), {}, "ann, sam but sam, who started the task"),
        (("group:legal",), {}, "group:legal but sam, who started the task"),
        (("*",), {}, "* but sam, who started the task"),
        (("ann",), {}, "ann"),
        (("ann", "sam"), {"not_requester": False}, "ann, sam"),
    ],
)
def test_who_started_the_task_is_told_that_he_may_not_vote(
    approvers: tuple[str, ...], options: dict[str, Any], but: str
) -> None:
    drive = Drive(template(approval("review", *approvers, **options)))
    drive.start(actor="sam")
    (line,) = waiting(drive.task)
    assert line.what == f"a vote of {but}"
    assert line.approval is not None
    assert line.approval.requester == (None if options else "sam")
    assert (line.approval.form, line.approval.verified) == ("Form", False)


def test_who_started_the_task_is_not_named_if_nobody_said_who() -> None:
    drive = started(approval("review", "*"))
    (line,) = waiting(drive.task)
    assert line.what == "a vote of *"
    assert line.approval is not None
    assert line.approval.requester is None
