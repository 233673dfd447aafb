"""Types of tasks: their machines are data, and a task takes no row that its own type does not have."""

from __future__ import annotations

from typing import Any

import pytest

from tasker_temporal.core.intake.legality import legal_requests
from tasker_temporal.core.machine import TASK_TABLE, State
from tasker_temporal.core.messages import Failure, Refused, TransitionTo
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.moves import IllegalMove
from tasker_temporal.core.repeats import name_of
from tasker_temporal.core.report import report
from tasker_temporal.core.requests import (
    Approve,
    CancelTask,
    MoveTask,
    Reject,
    RetryFrom,
    RetryTask,
    SendEvent,
    SkipStep,
    Withdraw,
)
from tasker_temporal.core.task_types import BATCH, CRITICAL, DEFAULT, Move, TaskType, type_mistakes
from tasker_temporal.core.template import Template
from tasker_temporal.core.triggers import EventTemplate
from tasker_temporal.core.waiting import waiting
from tests.core.doors import rule_against
from tests.core.driving import AUDITED, ONCE, Drive, essence, restored, seconds, step, template, terms
from tests.core.typed import ask, shipped
from tests.task_types import SHIPPED


def critical(**options: Any) -> Drive:
    """A critical task whose steps are over."""
    asked = options.pop("approval", terms("ann", "bob"))
    drive = Drive(template(step("a"), type=CRITICAL, approval=asked, **options))
    drive.start(actor="sam")
    drive.succeed("a")
    return drive


def test_the_default_type_has_the_table_of_every_task() -> None:
    assert DEFAULT.table == TASK_TABLE


def test_a_template_of_the_default_type_says_nothing_of_it() -> None:
    assert Template(name="x").model_dump(exclude_defaults=True) == {"name": "x"}
    assert template(step("a"), type=BATCH).digest != template(step("a")).digest


@pytest.mark.parametrize("kind", [CRITICAL, BATCH, AUDITED, SHIPPED])
def test_every_row_of_a_type_may_be_taken_and_no_other(kind: TaskType) -> None:
    states: list[Any] = [None, *State, *kind.states]
    approval = terms("ann") if kind.is_approved else None
    for old in states:
        for new in states[1:]:
            wish = TransitionTo(None, new, failure=Failure("Boom", "it broke"))
            table: Any = {"workflow.request_refused": [lambda event, task, wish=wish: iter([wish])]}
            drive = Drive(template(type=kind, approval=approval), subscriptions=table)
            drive.task.state = old
            if (old, new) in kind.table:
                drive.tell(Refused("go"))
                assert drive.task.state == new
                assert drive.rows[-1].event == kind.table[old, new] == drive.said[-1]
            else:
                with pytest.raises(IllegalMove):
                    drive.tell(Refused("go"))


def test_a_critical_task_whose_steps_are_over_waits_for_people() -> None:
    drive = critical()
    assert (drive.state, drive.closed) == ("pending_approval", None)
    assert drive.task.is_open
    (line,) = waiting(drive.task)
    assert report(drive.task).recommended_action == "decide_approval"
    assert (line.kind, line.step, line.what) == ("approval", None, "a vote of ann, bob")
    assert line.could == ("cancel", "approve", "reject")
    drive.ask(Approve, approval="task#1")
    assert (drive.state, drive.closed) == ("complete", "complete")


def test_a_critical_task_that_is_rejected_is_in_error_and_says_why() -> None:
    drive = critical()
    drive.ask(Reject, reason="too dear")
    assert drive.closed == "error"
    assert drive.task.failure == Failure("ApprovalRejected", "ann: too dear", retryable=False)
    error = report(drive.task).last_error
    assert error is not None
    assert (error.type, error.message) == ("ApprovalRejected", "ann: too dear")
    assert (report(drive.task).health_status, report(drive.task).recommended_action) == ("blocked", "handle_failures")
    assert drive.row("task.failed").metadata["error"]["type"] == "ApprovalRejected"
    assert "too dear" not in repr(drive.row("task.failed"))
    assert essence(restored(drive.task)) == essence(drive.task)


def test_a_rejected_task_that_is_retried_is_asked_again_under_another_id() -> None:
    drive = critical(on_error="hold")
    drive.ask(Reject)
    drive.ask(RetryTask)
    assert (drive.state, list(drive.task.ballots)) == ("pending_approval", ["task#2"])
    assert drive.task.failure is None
    assert "that is 'task#2'" in rule_against(drive, ask(Approve, approval="task#1"))
    later = drive.continued()
    later.ask(Approve, approval="task#2")
    assert later.closed == "complete"


def test_a_step_of_a_rejected_task_that_is_done_anew_leads_to_another_approval() -> None:
    drive = critical(on_error="hold")
    drive.ask(Reject)
    drive.ask(RetryFrom, step="a")
    assert drive.state == "in_progress"
    drive.succeed("a")
    assert list(drive.task.ballots) == ["task#2"]


def test_the_tasks_own_approval_has_a_deadline_and_escalates() -> None:
    drive = critical(approval=terms("ann", deadline=seconds(60), on_deadline="escalate", escalate_to=("boss",)))
    (line,) = waiting(drive.task)
    assert line.until == drive.now + seconds(60)
    assert essence(restored(drive.task)) == essence(drive.task)
    drive.wait(60)
    later = drive.continued()
    later.wait(60)
    assert later.task.failure == Failure("ApprovalOverdue", "nobody decided in time", retryable=False)
    assert later.closed == "error"
    drive = critical(approval=terms("ann", deadline=seconds(60), on_deadline="approve"))
    drive.wait(60)
    assert drive.closed == "complete"


def test_votes_on_a_task_may_come_before_its_steps_are_over() -> None:
    drive = Drive(template(step("a"), type=CRITICAL, approval=terms("ann", "bob", quorum=2)))
    drive.start(actor="sam")
    drive.ask(Approve)
    drive.ask(Withdraw)
    drive.ask(Approve, actor="bob")
    drive.ask(Approve)
    drive.succeed("a")
    assert drive.closed == "complete"
    assert [row.metadata["voters"] for row in drive.rows if "voters" in row.metadata] == []


def test_no_step_is_touched_while_people_decide_on_the_task() -> None:
    drive = critical()
    assert "the task is pending_approval, where no step runs" in rule_against(drive, ask(RetryFrom, step="a"))
    assert "is complete" in rule_against(drive, ask(SkipStep, step="a"))
    drive.ask(CancelTask)
    assert drive.closed == "cancelled"
    assert drive.task.ballots == {}


def test_a_batch_is_complete_only_if_every_step_is() -> None:
    drive = Drive(template(step("a"), type=BATCH))
    drive.start()
    drive.succeed("a")
    assert drive.closed == "complete"
    drive = Drive(template(step("a"), step("b"), type=BATCH))
    drive.start()
    drive.fail("b", retryable=False)
    drive.ask(SkipStep, step="b")
    drive.succeed("a")
    assert drive.closed == "error"
    assert drive.task.failure == Failure("StepsNotComplete", "not every step is complete: b")
    assert drive.row("task.failed").metadata["not_complete"] == ["b"]


def test_a_batch_of_which_a_step_failed_fails_as_any_task() -> None:
    drive = Drive(template(step("a", retry=ONCE), type=BATCH))
    drive.start()
    drive.fail("a")
    assert drive.row("task.failed").metadata == {"failed_steps": ["a"]}


def audited() -> Drive:
    drive = Drive(template(step("a"), type=AUDITED))
    drive.start()
    drive.succeed("a")
    return drive


def test_a_declared_type_goes_its_own_way() -> None:
    drive = audited()
    assert drive.path() == ["pending", "in_progress", "packed", "under_audit"]
    assert drive.task.is_open
    (line,) = waiting(drive.task)
    assert (line.kind, line.what, line.could) == (
        "move",
        "somebody to move it to complete or error",
        ("cancel", "move"),
    )
    assert rule_against(drive, ask(MoveTask, to="shipped")) == (
        "no row leads from under_audit to 'shipped' now: expected complete or error"
    )
    later = drive.continued()
    assert (report(later.task).state, report(later.task).recommended_action) == ("under_audit", "move_task")
    later.ask(MoveTask, to="complete")
    assert later.closed == "complete"


def test_a_task_that_is_moved_to_error_says_who_wanted_it_and_why() -> None:
    drive = audited()
    drive.ask(MoveTask, to="error", reason="the books do not add up")
    assert drive.task.failure == Failure("MovedToError", "the books do not add up", retryable=False)
    assert (drive.row("task.failed").actor, drive.closed) == ("ann", "error")


def test_a_task_is_moved_only_where_its_type_has_a_row_for_it() -> None:
    drive = Drive(template(step("a")))
    drive.start()
    assert "its type 'default' has no row out of it that is asked for" in rule_against(
        drive, ask(MoveTask, to="complete")
    )


def test_a_vote_may_come_early_in_a_state_from_which_the_task_can_come_to_its_approval() -> None:
    drive = shipped()
    assert (drive.state, legal_requests(drive.task)) == ("packed", ("cancel", "move", "approve", "reject"))
    drive.ask(Approve)
    later = drive.continued()
    later.ask(MoveTask, to="pending_approval")
    assert later.state == "shipping"


def test_a_vote_comes_too_late_where_no_row_leads_to_the_approval() -> None:
    drive = shipped()
    drive.ask(MoveTask, to="pending_approval")
    drive.ask(Approve)
    assert rule_against(drive, ask(Approve)) == (
        "the task is shipping: 'approve' is legal for one that is "
        "pending or in_progress or paused or pending_approval or packed"
    )


def test_a_deadline_that_was_met_decides_nothing_in_a_state_of_the_types_own() -> None:
    drive = shipped()
    drive.ask(MoveTask, to="pending_approval")
    assert set(drive.timers) == {"approval:task"}
    drive.ask(Approve)
    assert (drive.state, drive.timers, drive.task.timers) == ("shipping", {}, {})
    later = drive.continued()
    later.wait(100)
    later.ask(MoveTask, to="complete")
    assert later.closed == "complete"


def test_an_event_from_outside_is_noted_in_a_state_of_the_types_own() -> None:
    drive = shipped(events=[EventTemplate(name="weighed")])
    drive.ask(SendEvent, name="weighed", payload=7, id="scale-1")
    row = drive.row("external.received")
    assert (row.metadata["name"], row.metadata["taken_by"], drive.task.inbox) == ("weighed", [], {})
    assert drive.state == "packed"


def test_an_event_from_outside_is_noted_while_a_task_is_being_cancelled_and_nobody_gets_it() -> None:
    waits = step("w", awaits="event", on={"received": "weighed"})
    drive = Drive(template(step("a"), waits, events=[EventTemplate(name="weighed")]))
    drive.start()
    drive.cancel()
    assert drive.states == {"a": "in_progress", "w": "cancelled"}
    assert legal_requests(drive.task) == ("send_event",)
    drive.ask(SendEvent, name="weighed")
    assert (drive.row("external.received").metadata["taken_by"], drive.task.inbox) == ([], {})
    drive.stop("a")
    assert drive.closed == "cancelled"
    drive = Drive(template(step("a")))
    drive.start()
    drive.cancel()
    assert rule_against(drive, ask(SendEvent, name="weighed")) == "the task is being cancelled, as 'ann' asked"


def test_a_task_of_a_type_without_approval_takes_no_votes_though_its_template_has_terms() -> None:
    drive = Drive(
        template(step("a"), type=CRITICAL, approval=terms("ann"), routes=[{"when": "true", "task_type": "default"}])
    )
    drive.start(actor="sam")
    assert "the task has no approval of its own" in rule_against(drive, ask(Approve))


def test_a_task_that_waits_to_be_moved_can_be_cancelled() -> None:
    drive = audited()
    drive.ask(CancelTask)
    assert drive.closed == "cancelled"


def test_a_state_that_no_row_leaves_now_says_so() -> None:
    kind = TaskType(
        name="stuck",
        states=("odd",),
        rows=(
            Move(source="in_progress", to="odd"),
            Move(source="odd", to="complete", by="request", when="all_steps_complete"),
        ),
    )
    drive = Drive(template(step("a"), type=kind))
    drive.start()
    drive.ask(SkipStep, step="a") if drive.states["a"] == "pending" else drive.fail("a", retryable=False)
    drive = Drive(template(step("a"), step("b", after=["a"]), type=kind))
    drive.start()
    drive.ask(SkipStep, step="b")
    drive.succeed("a")
    (line,) = waiting(drive.task)
    assert (line.what, line.could) == (
        "somebody to cancel it: no row of its type may be taken (all_steps_complete)",
        ("cancel",),
    )


GO = Move(source="in_progress", to="odd")
OUT = Move(source="odd", to="complete", by="request")


@pytest.mark.parametrize(
    ("states", "rows", "approved", "said"),
    [
        (("paused",), (Move(source="in_progress", to="complete"),), False, "is the library's own"),
        (("odd",), (Move(source="in_progress", to="complete"), OUT), False, "'odd' is never reached"),
        (("",), (), False, "its state '': expected an identifier of at most 100 characters"),
        (("in\x1bspection",), (), False, "its state 'in\\x1bspection': expected an identifier"),
        (("s" * 101,), (), False, "expected an identifier of at most 100 characters as its name"),
        (("odd",), (GO,), False, "'odd' is never left"),
        (("odd",), (GO, OUT, Move(source="paused", to="complete")), False, "expected it to begin at one of"),
        (("odd",), (GO, OUT, Move(source="odd", to="pending")), False, "expected it to lead to a declared state"),
        (("odd",), (GO, OUT, Move(source="in_progress", to="error", by="request")), False, "taken by itself"),
        (("odd",), (GO, OUT, Move(source="odd", to="error", when="approved")), False, "'pending_approval' alone"),
        ((), (Move(source="in_progress", to="complete", when="all_steps_complete"),), False, "all steps are over"),
        (("odd",), (GO, OUT, Move(source="odd", to="odd")), False, "circle by themselves: odd -> odd"),
        ((), CRITICAL.rows, False, "which asks people: expected approval=Approval"),
        ((), DEFAULT.rows, True, "which asks nobody"),
        ((), CRITICAL.rows[:2], True, "and one when 'rejected'"),
    ],
)
def test_a_type_that_cannot_work_is_a_mistake(states: Any, rows: Any, approved: bool, said: str) -> None:
    found = type_mistakes(TaskType(name="odd", states=states, rows=rows), has_approval=approved)
    assert len([mistake for mistake in found if said in mistake]) == 1


@pytest.mark.parametrize("kind", [DEFAULT, BATCH, AUDITED, CRITICAL])
def test_a_type_that_works_is_none(kind: TaskType) -> None:
    assert type_mistakes(kind, has_approval=kind.is_approved) == []


# A route may choose the type.

LARGE: Any = [{"when": "context.total > 10", "task_type": "critical"}]


def routed(total: int, **options: Any) -> Drive:
    flow = template(step("a"), routes=LARGE, approval=terms("ann", "bob"), **options)
    drive = Drive(flow, context=b'{"total": %d}' % total)
    drive.start(actor="sam")
    drive.succeed("a")
    return drive


def test_a_task_that_a_route_makes_critical_waits_for_its_approval() -> None:
    drive = routed(11)
    assert drive.row("task.routed").metadata == {"rule": "1", "task_type": "critical"}
    assert drive.state == "pending_approval"
    assert [line.kind for line in waiting(drive.task)] == ["approval"]
    later = drive.continued()
    later.tell(ask(Approve))
    assert later.state == "complete"


def test_a_task_that_the_route_does_not_fit_is_of_its_templates_type() -> None:
    assert routed(10).state == "complete"


def test_a_critical_template_may_have_a_route_to_a_type_without_approval() -> None:
    flow = template(
        step("a"), type=CRITICAL, approval=terms("ann", "bob"), routes=[{"when": "true", "task_type": "batch"}]
    )
    drive = Drive(flow)
    drive.start(actor="sam")
    drive.succeed("a")
    assert drive.state == "complete"


def test_a_route_to_a_type_that_is_approved_needs_the_terms() -> None:
    bare = Template(name="x", steps=(step("a"),), routes=LARGE)
    assert mistakes(bare) == mistakes(Template(name="x", steps=(step("a"),), type=CRITICAL))
    assert len(mistakes(bare)) == 1


def test_the_refusal_of_a_used_id_names_what_the_task_was_asked() -> None:
    drive = critical(approval=terms("ann", "bob", quorum=2))
    drive.ask(Approve, actor="ann", request_id="one")
    rule = rule_against(drive, ask(MoveTask, to="complete", request_id="one"))
    assert rule.startswith("request id 'one' was already used for approve of the task by 'ann' (sort_key ")
    asked = [ask(MoveTask, to="shipped"), ask(CancelTask), ask(SendEvent, name="paid")]
    assert [name_of(request) for request in asked] == ["move to 'shipped'", "cancel of the task", "send_event 'paid'"]
