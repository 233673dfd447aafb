"""Which rows of its type a task may take: by the words of guards, and by conditions on its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from tasker_temporal.core.conditions import results_in
from tasker_temporal.core.judgement import evaluated
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content
from tasker_temporal.core.task import Task
from tasker_temporal.core.task_types import OF_VOTES, Guard, Move, TaskType
from tasker_temporal.errors import ConditionError


def _all_steps_complete(task: Task) -> bool:
    return task.counts[State.COMPLETE] == len(task.steps)


GUARDS: Final[Mapping[str, Callable[[Task], bool]]] = {
    "all_steps_over": lambda task: task.all_done,
    "all_steps_complete": _all_steps_complete,
}
"""Those that can be answered at any time. `approved` and `rejected` are answered once, when it is decided."""

YES, NO = Content(b"true"), Content(b"false")


class Way(NamedTuple):
    """Where a task goes, and which conditions before that cannot be evaluated: they do not hold."""

    row: Move | None
    unclear: tuple[str, ...] = ()

    @property
    def about(self) -> dict[str, object]:
        """What the row of the audit says of it."""
        found: dict[str, object] = {}
        if self.row is not None and self.row.is_condition:
            found["when"] = self.row.when
        return found | ({"unclear": list(self.unclear)} if self.unclear else {})


def next_way(task: Task, decided: Guard | None = None) -> Way:
    """The first row out of the task's state that is taken by itself, and may be taken now.

    Args:
        decided: What the task's own approval has decided just now.
    """
    unclear: list[str] = []
    for row in task.type.rows:
        if row.by == "itself" and row.source == task.state:
            holds = _holds(task, row, decided)
            if holds:
                return Way(row, tuple(unclear))
            unclear += [] if holds is not None else [row.when]
    return Way(None, tuple(unclear))


def requestable(task: Task) -> tuple[str, ...]:
    """The states to which somebody may ask the task to move now."""
    rows = (row for row in task.type.rows if row.by == "request" and row.source == task.state)
    return tuple(dict.fromkeys(row.to for row in rows if _holds(task, row, None)))


def guards_of(task: Task) -> tuple[str, ...]:
    """The guards of the rows out of the task's state, each once."""
    return tuple(dict.fromkeys(row.when for row in task.type.rows if row.source == task.state))


def _holds(task: Task, row: Move, decided: Guard | None) -> bool | None:
    """None if nobody can tell."""
    if row.when in GUARDS:
        return GUARDS[row.when](task)
    if not row.is_condition:
        return row.when == decided
    try:
        return task.all_done and evaluated(row.when, dict(_sources(task, row.when, decided)))
    except ConditionError:
        return None


def _sources(task: Task, when: str, decided: Guard | None) -> Iterator[tuple[str, Content | None]]:
    yield "context", task.context
    for name in results_in(when):
        yield f"result.{name}", task.steps[name].result
    for word, answer in GUARDS.items():
        yield word, YES if answer(task) else NO
    for word in OF_VOTES:
        yield word, YES if word == decided else NO


@lru_cache(maxsize=256)
def results_read(kind: TaskType) -> frozenset[str]:
    """The steps whose results the type's conditions read: they are kept as long as the task may take a row."""
    return frozenset(name for row in kind.rows if row.is_condition for name in results_in(row.when))
