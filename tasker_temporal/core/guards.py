"""The words of a task type's guards, and which of its rows a task may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tasker_temporal.core.machine import State
from tasker_temporal.core.task import Task
from tasker_temporal.core.task_types import Guard, Move


def _all_steps_complete(task: Task) -> bool:
    return task.counts[State.COMPLETE] == len(task.steps)


GUARDS: Final[Mapping[Guard, Callable[[Task], bool]]] = {
    "all_steps_over": lambda task: task.all_done,
    "all_steps_complete": _all_steps_complete,
}
"""Those that can be answered at any time. `approved` and `rejected` are answered once, when it is decided."""


def next_row(task: Task) -> Move | None:
    """The first row out of the task's state that is taken by itself, and may be taken now."""
    for row in task.type.rows:
        if row.by == "itself" and _is_open(task, row):
            return row
    return None


def requestable(task: Task) -> tuple[str, ...]:
    """The states to which somebody may ask the task to move now."""
    return tuple(row.to for row in task.type.rows if row.by == "request" and _is_open(task, row))


def _is_open(task: Task, row: Move) -> bool:
    return row.source == task.state and row.when in GUARDS and GUARDS[row.when](task)
