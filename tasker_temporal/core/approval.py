"""The terms of an approval: who may vote, how many must, and what happens when they do not."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from tasker_temporal.core.values import Declaration

ANYBODY = "*"
"""Stands among approvers for whoever asks."""

GROUP = "group:"
"""How an approver begins that is a group. Only a verified identity is in one."""


class Approval(Declaration):
    """What is asked of people before a step, or a task, is taken as done."""

    approvers: tuple[str, ...] = Field(min_length=1)
    """Who may vote: names of actors, `group:NAME` for those whose verified identity is in that group, `*` for all."""
    quorum: int = Field(default=1, ge=1)
    """So many votes approve. One vote against rejects at once."""
    not_requester: bool = True
    """Four eyes: who started the task may not vote."""
    deadline: timedelta | None = Field(default=None, gt=timedelta(0))
    """Of a task's own approval; a step has its own."""
    on_deadline: Literal["reject", "approve", "escalate"] = "reject"
    """What the deadline decides. `escalate` asks `escalate_to` too, and gives as long once more; then it rejects."""
    escalate_to: tuple[str, ...] = ()
    verified: bool = False
    """Only a verified identity may vote."""
    notify: bool = False
    """A handler is told when it is opened, escalated and decided."""

    def voters(self, *, escalated: bool) -> tuple[str, ...]:
        """Who may vote now."""
        return (*self.approvers, *self.escalate_to) if escalated else self.approvers


def approval_mistakes(approval: Approval, deadline: timedelta | None, form: str) -> list[str]:
    """What is wrong with the terms, in sentences that name the field."""
    found, everybody = [], {*approval.approvers, *approval.escalate_to}
    if all(is_name(one) for one in approval.approvers) and approval.quorum > len(set(approval.approvers)):
        names = len(set(approval.approvers))
        found.append(f"its quorum is {approval.quorum}: expected at most {names}, as it names so many approvers")
    if any(not one or one == GROUP for one in everybody):
        found.append("its approvers: expected names, 'group:NAME' or '*'")
    if deadline is None and approval.on_deadline != "reject":
        found.append(f"its on_deadline is {approval.on_deadline!r}: expected a deadline with it")
    if (approval.on_deadline == "escalate") != bool(approval.escalate_to):
        found.append("its escalate_to: expected it together with on_deadline='escalate', and only then")
    if approval.on_deadline == "approve" and form != "None":
        found.append("its on_deadline is 'approve': expected no form with it, as nobody would have filled it in")
    return found


def is_name(approver: str) -> bool:
    """It is one person."""
    return approver != ANYBODY and not approver.startswith(GROUP)
