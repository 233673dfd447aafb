"""Conditions on the context and on results decide which row of its type a task takes."""

from __future__ import annotations

from typing import Any

import pytest

from tasker_temporal.core.guards import requestable
from tasker_temporal.core.messages import Failure
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.requests import (
    Approve,
    MoveTask,
    SkipStep,
)
from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.task_types import CRITICAL, DEFAULT, Move, TaskType, type_mistakes
from tasker_temporal.core.template import Template
from tasker_temporal.core.waiting import waiting
from tests.core.doors import rule_against
from tests.core.driving import Drive, step, template
from tests.core.typed import ask, shipped
from tests.task_types import SIZED


def sized(total: int, count: bytes = b'{"lost": 0, "found": 7}', **options: Any) -> Drive:
    drive = Drive(template(step("count"), step("b"), type=SIZED, **options), context=b'{"total": %d}' % total)
    drive.start()
    drive.succeed("count", data=count)
    return drive


def test_a_row_is_taken_if_its_condition_holds_and_the_audit_says_which() -> None:
    drive = sized(1001)
    assert drive.state == "in_progress"
    drive.succeed("b")
    assert drive.state == "checking"
    assert drive.row("task.moved").metadata == {"when": "context.total > 1000 && all_steps_complete"}
    drive = sized(10)
    drive.succeed("b")
    assert (drive.closed, drive.row("task.completed").metadata) == ("complete", {})


def test_the_words_of_guards_are_true_or_false_in_a_condition() -> None:
    drive = sized(1001, on_error="hold")
    drive.fail("b", retryable=False)
    drive.ask(SkipStep, step="b")
    assert (drive.closed, drive.states["b"]) == ("complete", "skipped")


def test_no_condition_is_asked_before_every_step_is_over() -> None:
    drive = sized(1, b'{"lost": 3, "found": 7}')
    assert drive.state == "in_progress"
    drive.succeed("b")
    said = "its type 'sized' ends it in error if result.count.lost > 0"
    assert (drive.closed, drive.task.failure) == ("error", Failure("ConditionMet", said))
    assert drive.row("task.failed").metadata["when"] == "result.count.lost > 0"


def test_a_condition_that_nobody_can_tell_does_not_hold_and_the_audit_says_so() -> None:
    drive = sized(1, b'"nothing"')
    drive.succeed("b")
    assert (drive.closed, drive.row("task.completed").metadata) == ("complete", {"unclear": ["result.count.lost > 0"]})


def test_a_condition_decides_to_where_somebody_may_move_the_task() -> None:
    drive = sized(1001)
    drive.succeed("b")
    assert requestable(drive.task) == ("complete", "error")
    drive = sized(1001, b'{"lost": 0, "found": 6}')
    drive.succeed("b")
    assert rule_against(drive, ask(MoveTask, to="complete")) == (
        "no row leads from checking to 'complete' now: expected error"
    )
    later = drive.continued()
    assert requestable(later.task) == ("error",)


def test_a_result_that_conditions_read_is_kept_though_no_step_asks_for_it() -> None:
    large = b'{"lost": 0, "found": 7, "more": "%s"}' % (b"x" * 240_000)
    drive = Drive(template(step("count"), step("b"), step("c", "b"), type=SIZED), context=b'{"total": 1001}')
    drive.start()
    drive.succeed("count", data=large)
    later = drive.continued().continued()
    later.succeed("b", data=b'"%s"' % (b"y" * 200_000))
    later.succeed("c")
    assert later.continued().state == "checking"
    later.ask(MoveTask, to="complete")
    assert later.closed == "complete"


def test_a_row_to_error_before_which_no_other_could_be_taken_says_so() -> None:
    kind = TaskType(
        name="strict",
        rows=(
            Move(source="in_progress", to="complete", when="context.total > 5"),
            Move(source="in_progress", to="error"),
        ),
    )
    drive = Drive(template(step("a"), type=kind), context=b'{"total": 5}')
    drive.start()
    drive.succeed("a")
    said = "no row of its type 'strict' before the one to error could be taken"
    assert (drive.closed, drive.task.failure) == ("error", Failure("NoRowTaken", said))


@pytest.mark.parametrize(("total", "state"), [(7, "complete"), (1001, "shipping")])
def test_what_people_decide_and_a_condition_together_choose_the_row(total: int, state: str) -> None:
    drive = shipped(b'{"total": %d}' % total)
    drive.ask(MoveTask, to="pending_approval")
    drive.ask(Approve)
    assert drive.state == state
    drive = shipped(b"1")
    drive.ask(MoveTask, to="pending_approval")
    drive.ask(Approve)
    row = drive.row("task.completed")
    assert row.metadata == {"approval": "task#1", "unclear": ["approved && context.total > 1000"]}


def test_a_state_of_which_no_condition_holds_says_so() -> None:
    kind = TaskType(
        name="stuck",
        states=("odd",),
        rows=(
            Move(source="in_progress", to="odd"),
            Move(source="odd", to="complete", by="request", when="context.total > 5"),
        ),
    )
    drive = Drive(template(step("a"), type=kind), context=b'{"total": 5}')
    drive.start()
    drive.succeed("a")
    (line,) = waiting(drive.task)
    assert line.what == "somebody to cancel it: no row of its type may be taken (context.total > 5)"
    assert rule_against(drive, ask(MoveTask, to="complete")) == (
        "the task is odd: its type 'stuck' lets it be moved from there only if context.total > 5"
    )


def schemas(path: str) -> dict[str, Any]:
    known = {"context": {"total": {"type": "integer"}}, "result.a": {"found": {"type": "string"}}}
    return {"type": "object", "properties": known[path]} if path in known else {}


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("all_step_over", "undeclared reference to 'all_step_over'"),
        ("approved", "expected 'approved' on rows out of 'pending_approval' alone"),
        ("approved && true", "undeclared reference to 'approved'"),
        ("context.totl > 5", "there is no context.totl"),
        ("context.total == 'x'", "no matching overload for '_==_'"),
        ("result.a.found == 'x' && result.b.y", "undeclared reference to 'result.b"),
        ("context.total +", "it cannot be read: it ends too early"),
        ("1 + 1", "it is a number: expected true or false"),
    ],
)
def test_a_condition_that_cannot_work_is_a_mistake_of_the_type(when: str, said: str) -> None:
    kind = TaskType(name="odd", rows=(Move(source="in_progress", to="error", when=when), DEFAULT.rows[0]))
    flow = Template(name="x", steps=(step("a"),), type=kind)
    (found,) = [*mistakes(flow), *unsound(flow, schemas)]
    assert said in found
    assert "its row 'in_progress' to 'error'" in found


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((Move(source="in_progress", to="error", when="context.total > 5"),), 1),
        ((CRITICAL.rows[1].model_copy(update={"when": "approved && context.vip"}),), 1),
        ((Move(source="pending_approval", to="error", when="context.total > 5"),), 1),
        ((Move(source="pending_approval", to="error", when="context.total > 5", by="request"),), 0),
    ],
)
def test_a_row_that_is_never_taken_is_a_mistake(rows: tuple[Move, ...], said: int) -> None:
    kind = TaskType(name="odd", rows=(*CRITICAL.rows, *rows))
    assert len(type_mistakes(kind, has_approval=True)) == said
