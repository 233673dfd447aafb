"""How one task is processed, as far as it differs from its template: set by a route, or by whoever starts it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from tasker_temporal.core.values import Declaration, QueueName

Mode = Literal["concurrent", "sequential_only", "high_priority"]
"""All that can run runs; one step at a time, in declared order; or before other tasks."""


class Course(Declaration):
    """What is None is as the template, or the start, says."""

    mode: Mode | None = None
    max_concurrency: int | None = Field(default=None, ge=1)
    """Steps that run at once."""
    priority: int | None = Field(default=None, ge=1, le=5)
    """Temporal's priority key: 1 goes first, 3 is the server's own."""
    fairness_key: str | None = Field(default=None, min_length=1, max_length=64)
    """Tasks of one key share its part of the queue."""
    task_queue: QueueName | None = None
    """Where the handlers run of the steps that say nothing else."""
    task_type: Literal["default", "critical", "batch"] | None = None
    """How the task ends, if not as its template's own type says."""


AS_DECLARED: Final = Course()
"""Nobody says anything else than the template does."""


class Route(Course):
    """A rule: if `when`, an expression over `context`, holds when a task begins, the task takes this course."""

    when: str
    name: str = ""
    """For people and the audit; without one it is the rule's number, counted from 1."""
