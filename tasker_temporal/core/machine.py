"""The two state machines, as tables.

Rule 1: every legal move of a task or of a step is a row here, and nowhere else.
Rule 2: a row names the event that the move publishes, so no move is silent.
Rule 3: a state is the `to` of the last transition row, so the audit and the state cannot disagree.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a task or a step stands."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELLED = "cancelled"
    RESOLVED_MANUALLY = "resolved_manually"
    SKIPPED = "skipped"
    PAUSED = "paused"
    PENDING_APPROVAL = "pending_approval"


OVER: Final = frozenset({State.COMPLETE, State.SKIPPED, State.RESOLVED_MANUALLY, State.CANCELLED})
"""A step in one of these will not run again by itself."""

DONE: Final = frozenset({State.COMPLETE, State.SKIPPED, State.RESOLVED_MANUALLY})
"""A task is complete when each of its steps is in one of these."""

OPEN: Final = frozenset({State.PENDING, State.IN_PROGRESS, State.PAUSED, State.PENDING_APPROVAL})
"""A task in one of these is still moving, or will when somebody resumes or approves it."""

ENDS: Final = frozenset({State.COMPLETE, State.ERROR, State.CANCELLED, State.RESOLVED_MANUALLY})
"""A task in one of these moves only if somebody asks for it. Every other state, a task type's own too, is open."""

Table = dict[tuple[State | str | None, State | str], str]

TASK_TABLE: Final[Table] = {
    (None, State.PENDING): "task.initialize_requested",
    (State.PENDING, State.IN_PROGRESS): "task.start_requested",
    (State.PENDING, State.ERROR): "task.failed",
    (State.PENDING, State.CANCELLED): "task.cancelled",
    (State.IN_PROGRESS, State.COMPLETE): "task.completed",
    (State.IN_PROGRESS, State.ERROR): "task.failed",
    (State.IN_PROGRESS, State.CANCELLED): "task.cancelled",
    (State.IN_PROGRESS, State.PAUSED): "task.paused",
    (State.PAUSED, State.IN_PROGRESS): "task.resumed",
    (State.PAUSED, State.CANCELLED): "task.cancelled",
    (State.ERROR, State.PENDING): "task.retry_requested",
    (State.ERROR, State.RESOLVED_MANUALLY): "task.resolved_manually",
    (State.ERROR, State.CANCELLED): "task.cancelled",
}

STEP_TABLE: Final[Table] = {
    (None, State.PENDING): "step.initialize_requested",
    (State.PENDING, State.IN_PROGRESS): "step.execution_requested",
    (State.PENDING, State.SKIPPED): "step.skipped",
    (State.PENDING, State.CANCELLED): "step.cancelled",
    (State.PENDING, State.RESOLVED_MANUALLY): "step.resolved_manually",
    (State.PENDING, State.COMPLETE): "step.completed_manually",
    (State.PENDING, State.ERROR): "step.failed",
    (State.IN_PROGRESS, State.COMPLETE): "step.completed",
    (State.IN_PROGRESS, State.ERROR): "step.failed",
    (State.IN_PROGRESS, State.CANCELLED): "step.cancelled",
    (State.IN_PROGRESS, State.SKIPPED): "step.skipped",
    (State.ERROR, State.PENDING): "step.retry_requested",
    (State.ERROR, State.SKIPPED): "step.skipped",
    (State.ERROR, State.CANCELLED): "step.cancelled",
    (State.ERROR, State.RESOLVED_MANUALLY): "step.resolved_manually",
    (State.ERROR, State.COMPLETE): "step.completed_manually",
    (State.COMPLETE, State.PENDING): "step.redo_requested",
    (State.SKIPPED, State.PENDING): "step.redo_requested",
    (State.RESOLVED_MANUALLY, State.PENDING): "step.redo_requested",
}
