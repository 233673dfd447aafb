"""Events from outside: who waits for one, and whether there is room to keep it until it is taken.

Rule 1: one event serves every step that waits for its name and whose `match` it fulfils, and has no such event yet.
Rule 2: a step that has not begun waits already, so it does not matter whether an event comes early.
Rule 3: an event that nobody waits for is noted, and not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tasker_temporal.core.arguments import inbox_name
from tasker_temporal.core.inbox import require_room
from tasker_temporal.core.judgement import evaluated
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.triggers import Received, leaves
from tasker_temporal.errors import ConditionError, RequestRefused


class Taker(NamedTuple):
    """A place of a trigger: the step, and the number of the leaf."""

    step: str
    number: int


class Found(NamedTuple):
    """Who takes an event, and the steps of which nobody can tell, because their `match` cannot be evaluated on it."""

    takers: tuple[Taker, ...]
    unclear: tuple[str, ...]


def takers(task: Task, event: str, payload: Content) -> Found:
    """The places that wait for such an event and have none."""
    found, unclear = [], []
    for taker, leaf in _waiting(task, event):
        try:
            if not leaf.match or evaluated(leaf.match, {"event": payload, "context": task.context}):
                found.append(taker)
        except ConditionError:
            unclear.append(taker.step)
    return Found(tuple(found), tuple(dict.fromkeys(unclear)))


def _waiting(task: Task, event: str) -> Iterator[tuple[Taker, Received]]:
    for name in task.template.receivers.get(event, ()):
        step = task.steps[name]
        if not _is_open(step):
            continue
        assert step.template.on is not None
        for number, leaf in enumerate(leaves(step.template.on)):
            if isinstance(leaf, Received) and leaf.received == event and number not in step.came:
                yield Taker(name, number), leaf


def _is_open(step: Step) -> bool:
    """It has not run, or is waiting."""
    waits = step.state is State.IN_PROGRESS and step.template.awaits == "event"
    return waits or (step.state is State.PENDING and not step.fired)


def require_place(task: Task, event: str, payload: Content) -> None:
    """Refuse the event if it cannot be kept, though everything is forgotten that nobody needs any more.

    Raises:
        RequestRefused: there is no room.
    """
    try:
        require_room(task, inbox_name(event), payload)
    except RequestRefused:
        require_room(task, inbox_name(event), payload, forgotten=_needless(task))


def _needless(task: Task) -> frozenset[int]:
    """The rows of the kept events whose takers are all over."""
    names = {name for receivers in task.template.receivers.values() for name in receivers}
    needed = {row for name in names if not task.steps[name].is_over for row in task.steps[name].came.values()}
    events = {inbox_name(event) for event in task.template.receivers}
    return frozenset(kept.row for name in events for kept in task.inbox.get(name, ()) if kept.row not in needed)


def make_room(task: Task, event: str, payload: Content) -> None:
    """Forget what nobody needs any more, if otherwise there is no room."""
    try:
        require_room(task, inbox_name(event), payload)
    except RequestRefused:
        gone = _needless(task)
        for name in sorted(task.inbox):
            task.journal.put(task.inbox, name, tuple(kept for kept in task.inbox[name] if kept.row not in gone))
