"""Types of tasks that people declare: conditions choose the row, and states of their own take what comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tasker_temporal import Approval, State, TaskTemplate
from tasker_temporal.core.requests import Approve, MoveTask, SendEvent
from tasker_temporal.testing import Ok
from tests.conformance.case import Case, Seen
from tests.conformance.cases.approvals import asked, by
from tests.conformance.plays import play
from tests.task_types import SHIPPED, SIZED


def counted(name: str) -> TaskTemplate[Any]:
    template = TaskTemplate[Any](name, type=SIZED)

    @template.step
    async def count(order: Any) -> dict[str, int]:
        return {"found": order["found"], "lost": order["lost"]}

    template.add_step("pack", play, after=[count])
    return template


def shipped(name: str) -> TaskTemplate[Any]:
    approval = Approval(approvers=("ann",), deadline=timedelta(seconds=2))
    template = TaskTemplate[Any](name, type=SHIPPED, approval=approval)
    template.event("weighed")
    template.add_step("pack", play)
    return template


def guards(*expected: str) -> Any:
    """Which conditions the task's rows name, in order."""

    def law(seen: Seen) -> None:
        rows = [row for row in seen.audit if row.entity == "task"]
        assert [row.metadata["when"] for row in rows if "when" in row.metadata] == list(expected)

    return law


def an_event_was_noted_and_nobody_took_it(seen: Seen) -> None:
    [row] = [row for row in seen.audit if row.event == "external.received"]
    assert (row.metadata["name"], row.metadata["taken_by"]) == ("weighed", [])
    guards("approved && context.total > 1000")(seen)


CASES: Sequence[Case] = [
    Case(
        name="a-condition-on-context-and-steps-chooses-the-row",
        template=counted("counted_large"),
        context={"total": 1001, "found": 7, "lost": 0},
        real=frozenset({"count"}),
        asked=asked(
            ("pack", State.COMPLETE),
            (by("ann", MoveTask, to="packed"), "expected complete or error"),
            by("ann", MoveTask, to="complete"),
        ),
        paths={"task": "pending in_progress checking complete"},
        results={"count": {"found": 7, "lost": 0}},
        law=guards("context.total > 1000 && all_steps_complete"),
    ),
    Case(
        name="no-condition-holds",
        template=counted("counted_small"),
        context={"total": 10, "found": 7, "lost": 0},
        real=frozenset({"count"}),
        paths={"task": "pending in_progress complete"},
        results={"count": {"found": 7, "lost": 0}},
        law=guards(),
    ),
    Case(
        name="a-condition-that-does-not-hold-lets-nobody-move-the-task",
        template=counted("counted_odd"),
        context={"total": 1001, "found": 6, "lost": 0},
        real=frozenset({"count"}),
        asked=asked(
            ("pack", State.COMPLETE),
            (by("ann", MoveTask, to="complete"), "no row leads from checking to 'complete' now: expected error"),
            by("ann", MoveTask, to="error"),
        ),
        state=State.ERROR,
        paths={"task": "pending in_progress checking error"},
        results={"count": {"found": 6, "lost": 0}},
    ),
    Case(
        name="a-condition-on-a-result-ends-the-task-in-error",
        template=counted("counted_nothing"),
        context={"total": 1001, "found": 0, "lost": 7},
        real=frozenset({"count"}),
        state=State.ERROR,
        paths={"task": "pending in_progress error"},
        results={"count": {"found": 0, "lost": 7}},
        law=guards("result.count.lost > 0"),
    ),
    Case(
        name="a-state-of-a-types-own-takes-events-and-early-votes",
        template=shipped("shipped_large"),
        context={"total": 1001},
        outcomes={"pack": [Ok(takes=0.1)]},
        asked=[
            *asked(
                ("pack", State.COMPLETE),
                by("outside", SendEvent, name="weighed", payload=7),
                by("ann", Approve),
                by("ann", MoveTask, to="pending_approval"),
                (by("ann", Approve), "the task is shipping: 'approve' is legal for one that is"),
                by("ann", MoveTask, to="complete"),
            ),
        ],
        paths={"task": "pending in_progress packed pending_approval shipping complete"},
        law=an_event_was_noted_and_nobody_took_it,
    ),
]
