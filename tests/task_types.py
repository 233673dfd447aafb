"""Types of tasks that tests of several folders declare."""

from __future__ import annotations

from tasker_temporal.core.task_types import Move, TaskType

AUDITED = TaskType(
    name="audited",
    states=("under_audit",),
    rows=(
        Move(source="in_progress", to="under_audit"),
        Move(source="under_audit", to="complete", by="request"),
        Move(source="under_audit", to="error", by="request"),
    ),
)
"""When all steps are over, somebody looks at the task and says how it ended."""

SIZED = TaskType(
    name="sized",
    states=("checking",),
    rows=(
        Move(source="in_progress", to="error", when="result.count.lost > 0"),
        Move(source="in_progress", to="checking", when="context.total > 1000 && all_steps_complete"),
        Move(source="in_progress", to="complete"),
        Move(source="checking", to="complete", by="request", when="result.count.found == 7"),
        Move(source="checking", to="error", by="request"),
    ),
)
"""Conditions on the context and on a result choose where it goes."""

SHIPPED = TaskType(
    name="shipped",
    states=("packed", "shipping"),
    rows=(
        Move(source="in_progress", to="packed"),
        Move(source="packed", to="pending_approval", by="request"),
        Move(source="pending_approval", to="shipping", when="approved && context.total > 1000"),
        Move(source="pending_approval", to="complete", when="approved"),
        Move(source="pending_approval", to="error", when="rejected"),
        Move(source="shipping", to="complete", by="request"),
    ),
)
"""It has states of its own before people decide, and after, the latter only for a large order."""
