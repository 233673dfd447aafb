"""What lists of tasks can be asked for: search attributes, told only where they say more than how a run stands.

A task that just runs and completes has none of them, and costs no event for them. Whether a task tells them is decided
when it is started, and stands in its data: no worker's configuration changes that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final

from temporalio import workflow
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.common import SearchAttributeKey

from tasker_temporal.core import timers
from tasker_temporal.core.machine import State
from tasker_temporal.core.rows import Row
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.triggers import events_of
from tasker_temporal.driver import Driver

STATE: Final = SearchAttributeKey.for_keyword("TaskerState")
WAITING_FOR: Final = SearchAttributeKey.for_keyword_list("TaskerWaitingFor")
FAILED_STEPS: Final = SearchAttributeKey.for_keyword_list("TaskerFailedSteps")

KEYS: Final[Mapping[str, IndexedValueType.ValueType]] = {
    STATE.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    WAITING_FOR.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
    FAILED_STEPS.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}
"""Their names, and their types as the server calls them."""

PLAIN: Final = frozenset({None, State.PENDING, State.IN_PROGRESS, State.COMPLETE, State.CANCELLED})
"""The states of a task that the status of its run tells. All others are told, those of a task's own type too."""

KINDS: Final = ("approval", "move", "event", "hold", "pause", "backoff", "handler")
"""What a task can be said to wait for: what lasts, and what somebody can do something about."""

LONG: Final = timedelta(seconds=10)
"""A backoff that is over sooner is not told: it would cost two events."""

STEPS_NAMED: Final = 15
"""So many failed steps are named. A value of more than 2 KiB would stop the run's workflow task for ever."""

TOLD_AT_ONCE: Final = frozenset({1, 2, 4, 8, STEPS_NAMED})
"""When so many steps have failed, that is told, also while others run: so a crowd of failures costs few events."""

Values = Mapping[str, Any]

NOTHING: Final[Values] = {STATE.name: None, WAITING_FOR.name: [], FAILED_STEPS.name: []}
"""What a task tells that just runs."""


class Attributes:
    """The search attributes of one run. They are told at most once after each thing that happens to it."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._told = _known()
        self._looked = -1
        self._kinds: dict[str, str] = {}
        self._failed: dict[str, None] = {}
        self._listeners: list[Step] | None = None

    def tell(self) -> None:
        """Tell what has changed, if anything has. A run that ends must tell before it does.

        At once, not when all that happens at this moment has: how much that is differs between a run and its replay.
        """
        task = self._driver.task
        if task.listed and task.sort_key != self._looked:
            self._look(task)
            self._upsert(self._wanted(task))

    def _look(self, task: Task) -> None:
        """Look at the steps of the rows that came; of a run that goes on from another, at all steps."""
        rows: Sequence[Row] = task.rows[max(self._looked - task.before[0], 0) :]
        is_first, self._looked = self._looked < 0, task.sort_key
        if is_first and task.before[0]:
            names: Iterable[str | None] = task.steps
        else:
            knows = self._knows(task)
            names = dict.fromkeys([row.step for row in rows if knows or _is_news(row)])
        for name in names:
            if name is not None:
                self._look_at(task, task.steps[name])

    def _knows(self, task: Task) -> bool:
        """Something is told, or could be: then every row may change it."""
        return bool(self._kinds or self._failed or task.parked)

    def _look_at(self, task: Task, step: Step) -> None:
        if (kind := waits_for(task, step)) is None:
            self._kinds.pop(step.name, None)
        else:
            self._kinds[step.name] = kind
        if step.state is State.ERROR and step.final is not None:
            self._failed[step.name] = None
        else:
            self._failed.pop(step.name, None)

    def _wanted(self, task: Task) -> Values:
        if task.state is State.IN_PROGRESS and not (self._knows(task) or task.expecting):
            return NOTHING
        kinds = {*self._kinds.values(), of_task(task), self._expected(task)} if task.is_open else ()
        failed = (name for name in self._failed if task.steps[name].handled is None)
        return {
            STATE.name: None if task.state in PLAIN else str(task.state),
            WAITING_FOR.name: [kind for kind in KINDS if kind in kinds],
            FAILED_STEPS.name: sorted(islice(failed, STEPS_NAMED)),
        }

    def _expected(self, task: Task) -> str | None:
        """A step that has not begun may wait for an event, and it is other steps that bring it there."""
        if not task.expecting:
            return None
        if self._listeners is None:
            self._listeners = [step for step in task.steps.values() if events_of(step.template.trigger)]
        return "event" if any(step.expects for step in self._listeners) else None

    def _can_wait(self, wanted: Values) -> bool:
        """Of a crowd of failures some are told at once, and the rest with what the task waits for when all is over."""
        failed, told = wanted[FAILED_STEPS.name], self._told[FAILED_STEPS.name]
        rest = (STATE.name, WAITING_FOR.name)
        is_same = all(wanted[name] == self._told[name] for name in rest)
        return is_same and _grown(told, failed) and len(failed) not in TOLD_AT_ONCE

    def _upsert(self, wanted: Values) -> None:
        if wanted is self._told or self._can_wait(wanted):
            return
        changed = [key for key in (STATE, WAITING_FOR, FAILED_STEPS) if wanted[key.name] != self._told[key.name]]
        self._told = wanted
        if changed:
            workflow.upsert_search_attributes([_update(key, wanted[key.name]) for key in changed])


def _grown(told: Sequence[str], wanted: Sequence[str]) -> bool:
    return set(told) < set(wanted)


def _is_news(row: Row) -> bool:
    """A row by which a task that has nothing to tell may get something."""
    return row.kind != "transition" or row.to_state == "error"


def of_task(task: Task) -> str | None:
    """The one of `KINDS` that the task itself waits for."""
    if task.is_held:
        return "hold"
    if task.state is State.PAUSED:
        return "pause"
    if task.state is State.PENDING_APPROVAL:
        return "approval"
    return "move" if task.state in task.type.states else None


def waits_for(task: Task, step: Step) -> str | None:
    """The one of `KINDS` that the step waits for."""
    if step.state is State.IN_PROGRESS:
        if not step.template.runs:
            return "approval" if step.template.awaits == "approval" else "event"
        return None if step.missing_since is None else "handler"
    if step.state is State.ERROR and step.final is None:
        timer = task.timers.get(timers.backoff(step.name, step.execution))
        return "backoff" if timer is not None and step.since is not None and timer.due - step.since >= LONG else None
    return None


def _known() -> Values:
    """What the run was started with: a run that goes on from another has what that one told."""
    found = workflow.info().typed_search_attributes
    lists = {key.name: list(found.get(key) or ()) for key in (WAITING_FOR, FAILED_STEPS)}
    known = {STATE.name: found.get(STATE), **lists}
    return NOTHING if known == NOTHING else known


def _update(key: Any, value: Any) -> Any:
    return key.value_set(value) if value else key.value_unset()


def type_name(kind: IndexedValueType.ValueType) -> str:
    """The type as people write it: `KeywordList`."""
    words = IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").split("_")
    return "".join(map(str.capitalize, words))
