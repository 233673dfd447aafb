"""Types of tasks: which states a task of a type has beside the common ones, and by which rows it gets to its end.

Rule 1: a type is data. It travels with the template, so a running task keeps the machine it started with.
Rule 2: a row is taken by itself as soon as nothing more can run and its guard holds, the first that fits, or because
somebody asks for it. Guards are words of `Guard`, and conditions on the task's data; no code of users decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Final, Literal, get_args

from pydantic import Field

from tasker_temporal.core.machine import TASK_TABLE, State, Table
from tasker_temporal.core.values import Declaration

OfSteps = Literal["all_steps_over", "all_steps_complete"]

OfVotes = Literal["approved", "rejected"]

Guard = OfSteps | OfVotes
"""When a row may be taken: every step is over; every one of them is `complete`; the task's own approval was approved;
or it was rejected, or was not decided in time."""

STATE_NAME: Final = re.compile(r"[A-Za-z_][\w-]*")
STATE_LIMIT: Final = 100

OVER: Final = "all_steps_over"
OF_STEPS: Final[tuple[str, ...]] = get_args(OfSteps)
OF_VOTES: Final[tuple[str, ...]] = get_args(OfVotes)
WORDS: Final = (*OF_STEPS, *OF_VOTES)

TaskState = State | str
"""A state of the library's own, or one that a task type declares."""

EVENTS: Final[Mapping[TaskState, str]] = {
    State.COMPLETE: "task.completed",
    State.ERROR: "task.failed",
    State.PENDING_APPROVAL: "task.approval_requested",
}
"""What a row of a type publishes, by the state that it leads to; `task.moved` for a state of the type's own."""

MOVED: Final = "task.moved"


class Move(Declaration):
    """One row of a type: from `source` to `to`."""

    source: str
    to: str
    when: Guard | str = Field(default="all_steps_over", min_length=1)
    """When it may be taken, as soon as every step is over: `all_steps_over`, `all_steps_complete`, out of
    `pending_approval` `approved` and `rejected`, or a condition in CEL over `context`, the steps' results
    (`result.charge`) and these words. Of one that cannot be evaluated the audit says so, and it does not hold."""
    by: Literal["itself", "request"] = "itself"
    """It is taken by itself, or because somebody asks for it with the request `move`."""

    @property
    def event(self) -> str:
        return EVENTS.get(self.to, MOVED)

    @property
    def is_condition(self) -> bool:
        """Its guard is no word, but an expression."""
        return self.when not in WORDS


class TaskType(Declaration):
    """A kind of task: states of its own, and the rows by which its tasks end."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)
    states: tuple[str, ...] = ()
    """Open states beside the common ones. No step runs in them."""
    rows: tuple[Move, ...]
    """From `in_progress` on, in the order in which they are tried."""

    @cached_property
    def table(self) -> Table:
        """Every legal move of a task of this type, and its event."""
        shared = {pair: event for pair, event in TASK_TABLE.items() if pair != (State.IN_PROGRESS, State.COMPLETE)}
        own: Table = {(known(row.source), known(row.to)): row.event for row in self.rows}
        cancelled: Table = {(known(state), State.CANCELLED): "task.cancelled" for state in self.waits}
        return shared | own | cancelled

    @cached_property
    def waits(self) -> tuple[str, ...]:
        """The states in which its tasks wait for people: its own, and `pending_approval` if it has that."""
        used = {row.to for row in self.rows}
        return (*([State.PENDING_APPROVAL] if State.PENDING_APPROVAL in used else ()), *self.states)

    @property
    def is_approved(self) -> bool:
        """Its tasks have an approval of their own."""
        return State.PENDING_APPROVAL in self.waits

    @cached_property
    def asking(self) -> tuple[TaskState, ...]:
        """The states from which its tasks come to `pending_approval` by these rows, and those before the first row."""
        found: dict[TaskState, None] = dict.fromkeys([State.PENDING_APPROVAL] if self.is_approved else [])
        for target in (queue := list(found)):
            sources = [known(row.source) for row in self.rows if row.to == target]
            queue.extend(source for source in sources if source not in found)
            found.update(dict.fromkeys(sources))
        if State.IN_PROGRESS in found:
            found |= dict.fromkeys((State.PENDING, State.PAUSED))
        return (*(state for state in State if state in found), *(state for state in self.states if state in found))


S = State

KNOWN: Final[Mapping[str, State]] = {str(state): state for state in State}

DEFAULT: Final = TaskType(name="default", rows=(Move(source=S.IN_PROGRESS, to=S.COMPLETE),))

CRITICAL: Final = TaskType(
    name="critical",
    rows=(
        Move(source=S.IN_PROGRESS, to=S.PENDING_APPROVAL),
        Move(source=S.PENDING_APPROVAL, to=S.COMPLETE, when="approved"),
        Move(source=S.PENDING_APPROVAL, to=S.ERROR, when="rejected"),
    ),
)

BATCH: Final = TaskType(
    name="batch",
    rows=(
        Move(source=S.IN_PROGRESS, to=S.COMPLETE, when="all_steps_complete"),
        Move(source=S.IN_PROGRESS, to=S.ERROR),
    ),
)

TYPES: Final = {known.name: known for known in (DEFAULT, CRITICAL, BATCH)}
"""Those that are named and not declared."""


def known(state: str) -> TaskState:
    """The state as the library's own, if it is one."""
    return KNOWN.get(state, state)


def type_mistakes(kind: TaskType, *, has_approval: bool) -> list[str]:
    """What is wrong with the type, in sentences."""
    return [*_state_mistakes(kind), *_row_mistakes(kind), *_approval_mistakes(kind, has_approval)]


def _state_mistakes(kind: TaskType) -> list[str]:
    found = [
        f"its state {state!r} is the library's own: expected another name" for state in kind.states if state in list(S)
    ]
    found += [
        f"its state {state!r}: expected an identifier of at most {STATE_LIMIT} characters as its name"
        for state in kind.states
        if not STATE_NAME.fullmatch(state) or len(state) > STATE_LIMIT
    ]
    into, out = {row.to for row in kind.rows}, {row.source for row in kind.rows}
    for state in kind.states:
        if state not in into:
            found.append(f"its state {state!r} is never reached: expected a row that leads there")
        if state not in out:
            found.append(f"its state {state!r} is never left: expected a row that leads out of it")
    return found


def _row_mistakes(kind: TaskType) -> list[str]:
    found, places = [], {State.IN_PROGRESS, *kind.waits}
    for row in kind.rows:
        said = f"its row {row.source!r} to {row.to!r}"
        if row.source not in places:
            found.append(f"{said}: expected it to begin at one of {sorted(map(str, places))}")
        if row.to not in {*kind.waits, S.COMPLETE, S.ERROR}:
            found.append(f"{said}: expected it to lead to a declared state, 'pending_approval', 'complete' or 'error'")
        if row.source == S.IN_PROGRESS and row.by == "request":
            found.append(f"{said}: expected it to be taken by itself, as steps may run until then")
        if row.when in OF_VOTES and row.source != S.PENDING_APPROVAL:
            found.append(f"{said}: expected {row.when!r} on rows out of 'pending_approval' alone")
        if row.source == S.PENDING_APPROVAL and row.by == "itself" and not _asks_people(row):
            found.append(f"{said}: expected it to ask for 'approved' or 'rejected', as nothing else happens there")
    found += _shadowed(kind)
    if not any(row.source == S.IN_PROGRESS and row.when == OVER for row in kind.rows):
        found.append("its rows: expected one out of 'in_progress' that is taken whenever all steps are over")
    return [*found, *_circles(kind)]


def _asks_people(row: Move) -> frozenset[str]:
    return frozenset(word for word in OF_VOTES if re.search(rf"\b{word}\b", row.when))


def _shadowed(kind: TaskType) -> Iterator[str]:
    """Rows that are never taken, because one before them always is."""
    taken: dict[str, set[str]] = {}
    for row in kind.rows:
        if row.by == "itself":
            before = taken.setdefault(row.source, set())
            needed = _asks_people(row) if row.source == S.PENDING_APPROVAL else {OVER}
            if needed and needed <= before:
                yield f"its row {row.source!r} to {row.to!r}: a row before it is always taken: expected this one first"
            before.add(row.when)


def _circles(kind: TaskType) -> list[str]:
    """A row that is taken by itself must lead on."""
    graph: dict[str, list[str]] = {}
    for row in kind.rows:
        if row.by == "itself":
            graph.setdefault(row.source, []).append(row.to)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"its rows go round in a circle by themselves: {' -> '.join(reversed(error.args[1]))}"]
    return []


def _approval_mistakes(kind: TaskType, has_approval: bool) -> list[str]:
    if kind.is_approved and not has_approval:
        return [f"its type is {kind.name!r}, which asks people: expected approval=Approval(...) with it"]
    if has_approval and not kind.is_approved:
        return [f"its type is {kind.name!r}, which asks nobody: expected type='critical' with an approval"]
    whens = {row.when for row in kind.rows if row.source == S.PENDING_APPROVAL}
    if kind.is_approved and not {"approved", "rejected"} <= whens:
        return ["its rows out of 'pending_approval': expected one when 'approved', and one when 'rejected'"]
    return []
