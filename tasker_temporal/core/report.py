"""Where a task stands, for people and programs: states, counts, times and errors, and no results.

The rules of `execution_status`, `recommended_action` and `health_status` are those of Tasker's
`get_task_execution_context`, first match wins, with three additions: a skipped step counts as completed, a task that is
over needs no action unless it failed, and one that waits for people says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from tasker_temporal.core import timers
from tasker_temporal.core.machine import DONE, State
from tasker_temporal.core.messages import Failure
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.template import Frozen
from tasker_temporal.core.values import Instant


class ErrorReport(Frozen):
    """The last failure of a step. `type` is the exception's class name."""

    type: str
    message: str


class StepReport(Frozen):
    """One step. Times are UTC; `attempt` and `execution` count from 1, and are 0 before the first."""

    state: State
    attempt: int = 0
    execution: int = 0
    started_at: Instant | None = None
    ended_at: Instant | None = None
    next_attempt_at: Instant | None = None
    last_error: ErrorReport | None = None
    by_hand: bool = False
    """Its result came from no handler: somebody gave it, or an event brought it."""
    handled_by: str | None = None
    """The step that runs because this one failed; the failure holds up nothing any more."""
    waits_for: tuple[str, ...] = ()
    """The dependencies that are not over."""


class TaskReport(Frozen):
    """One task. `counts` has the number of steps in each state that occurs, and `total`."""

    task_id: str
    template: str
    version: str
    state: State | str = Field(union_mode="left_to_right")
    """One of the library's own, or of the task's type."""
    started_at: Instant | None
    ended_at: Instant | None
    counts: dict[str, int]
    completion_percentage: float
    execution_status: str
    recommended_action: str
    health_status: str
    cancelling: bool = False
    problems: tuple[dict[str, Any], ...] = ()
    """The context's validation errors: `loc`, `type`, `msg`."""
    last_error: ErrorReport | None = None
    """Why the task failed, if no step did."""
    steps: Mapping[str, StepReport] = Field(default_factory=dict)
    """In declared order."""


ACTIONS = {
    "has_ready_steps": "execute_ready_steps",
    "processing": "wait_for_completion",
    "blocked_by_failures": "handle_failures",
    "all_complete": "finalize_task",
    "waiting_for_dependencies": "wait_for_dependencies",
}


def report(task: Task, *, steps: bool = True) -> TaskReport:
    """The task's report; without `steps` it is as small for a large task as for a small one."""
    status = execution_status(task)
    return TaskReport(
        task_id=task.id,
        template=task.template.name,
        version=task.template.version,
        state=task.state or State.PENDING,
        started_at=task.started_at,
        ended_at=task.ended_at,
        counts={"total": len(task.steps)} | {str(state): n for state, n in task.counts.items() if n},
        completion_percentage=completion_percentage(task),
        execution_status=status,
        recommended_action=_action(task, status),
        health_status=health_status(task),
        cancelling=task.cancelling is not None and task.is_open,
        problems=tuple(dict(problem) for problem in task.problems),
        last_error=_error(task.failure),
        steps={name: step_report(task, step) for name, step in task.steps.items()} if steps else {},
    )


def _action(task: Task, status: str) -> str:
    if task.state in (State.COMPLETE, State.CANCELLED):
        return "none"
    if task.state is State.PENDING_APPROVAL:
        return "decide_approval"
    return "move_task" if task.state in task.type.states else ACTIONS[status]


def step_report(task: Task, step: Step) -> StepReport:
    """One step's line of the report."""
    timer = task.timers.get(timers.backoff(step.name, step.execution))
    return StepReport(
        state=step.state or State.PENDING,
        attempt=step.attempt,
        execution=step.execution,
        started_at=step.started_at,
        ended_at=step.ended_at,
        next_attempt_at=None if timer is None else timer.due,
        last_error=_error(step.failure),
        by_hand=step.by_hand,
        handled_by=step.handled,
        waits_for=waits_for(task, step) if step.state is State.PENDING else (),
    )


def _error(failure: Failure | None) -> ErrorReport | None:
    return None if failure is None else ErrorReport(type=failure.type, message=failure.message)


def waits_for(task: Task, step: Step) -> tuple[str, ...]:
    """The steps that decide whether it runs, and are not over."""
    return tuple(name for name in step.template.needs if not task.steps[name].is_over)


def completion_percentage(task: Task) -> float:
    """Steps that are complete, skipped or resolved, of all, in percent to two decimals; 100 without steps."""
    done = sum(task.counts[state] for state in DONE) + task.handled
    return round(100 * done / len(task.steps), 2) if task.steps else 100.0


def ready_count(task: Task) -> int:
    """The steps that could start now, if the window had room."""
    return len({name for name in task.viable if task.steps[name].viable}) if task.is_open else 0


def execution_status(task: Task) -> str:
    """The first that fits: ready steps, running steps, failures that nobody retries, all done, or waiting."""
    if ready_count(task):
        return "has_ready_steps"
    if task.counts[State.IN_PROGRESS]:
        return "processing"
    if task.exhausted or task.state is State.ERROR:
        return "blocked_by_failures"
    return "all_complete" if task.all_done else "waiting_for_dependencies"


def health_status(task: Task) -> str:
    """`healthy` without failures, `blocked` by one that nobody retries while nothing is ready, else `recovering`."""
    failed, ready = task.counts[State.ERROR] - task.handled, ready_count(task)
    if task.problems or task.failure is not None or (task.exhausted and not ready):
        return "blocked"
    return "recovering" if failed else "healthy"
