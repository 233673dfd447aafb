"""What the notifier of an approval is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from tasker_temporal.core.values import Frozen, Instant


class ApprovalNotice(Frozen):
    """An approval was opened, escalated or decided."""

    task_id: str
    template: str
    step: str | None
    """None for the task's own approval."""
    approval: str
    """The approval's id, as `fraud_review#1`: a vote that names it counts for this round alone."""
    kind: Literal["opened", "escalated", "decided"]
    approvers: tuple[str, ...]
    """Who may vote now."""
    quorum: int
    until: Instant | None = None
    """When the deadline passes, in UTC."""
    decision: Literal["approved", "rejected", "overdue"] | None = None
    voters: tuple[str, ...] = ()
    """Whose votes decided; nobody's if the deadline did."""


Notifier = Callable[[ApprovalNotice], Any]
"""A function, plain or async. What it returns is ignored; what it raises is tried again."""
