"""What an explanation consists of."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final, Literal

from tasker_temporal.core.template import Frozen
from tasker_temporal.core.values import Instant

Source = Literal["worker", "history", "events", "record", "server"]

ANY_APP: Final = "MODULE:ATTRIBUTE"
"""Stands for the app in an action: a task does not know where its workers find it."""

ORDER: Final = (
    "over",
    "workflow_task",
    "worker",
    "preparation",
    "start",
    "hold",
    "pause",
    "cancellation",
    "failure",
    "approval",
    "move",
    "event",
    "handler",
    "drain",
    "backoff",
    "sink",
    "timer",
    "time",
    "window",
    "execution",
    "dependency",
)
"""The kinds of reasons: those that somebody must act upon first, those that pass by themselves last."""


class Reason(Frozen):
    """One thing that a task waits for, or why it is over."""

    kind: str
    """What sort of thing: that of a line of `waiting()`, or `over`, `worker`, `workflow_task`, `start`, `timer`."""
    step: str | None = None
    """None for the task itself."""
    sentence: str
    since: Instant | None = None
    until: Instant | None = None
    """When it ends by itself; None if it does not, or nobody knows."""
    action: str | None = None
    """The best that a person can do next, as a command line; None if it is best to wait."""
    could: tuple[str, ...] = ()
    """The requests that would be legal."""


class Explanation(Frozen):
    """Why a task stands where it stands."""

    task_id: str
    template: str
    state: str
    """The task's state, as far as it is known: `terminated` and `timed_out` are Temporal's."""
    source: Source
    """Who told: its worker; its `history`, told again; that one's bare `events`; its written `record`; the server."""
    reasons: tuple[Reason, ...]


def ordered(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """The most urgent first; of one kind, the task's own line first, then as they came."""
    rank = {kind: number for number, kind in enumerate(ORDER)}
    return tuple(sorted(reasons, key=lambda reason: (rank.get(reason.kind, len(rank)), reason.step is not None)))


def command(*words: str) -> str:
    """A command line that can be pasted."""
    return " ".join(map(shlex.quote, words))


def request(name: str, task_id: str, step: str | None = None, *flags: str) -> str:
    """The command that makes a request. Whoever pastes it says why."""
    words = ["tasker", name.replace("_", "-"), task_id, *([step] if step else []), *flags]
    return f"{command(*words)} --reason 'WHY'"


def run_worker(queue: str) -> str:
    """The command that runs a worker."""
    return command("tasker", "worker", "--app", ANY_APP, "--task-queue", queue)
