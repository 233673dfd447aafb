"""Whether a run sees something for the first time: only then it is told.

The SDK's own word for it is not enough, twice.

For a query to a run that is not in its cache it plays the whole history, also the events that no workflow task has
taken yet, and says of those that they are no replay; the task that takes them says so again. But meanwhile the run's
clock stands still, because it is set by the task that takes the events.

A workflow task that the server refuses, because something came while it was at work, is done again, and is no replay.
It sees the same once more, beside what is new and perhaps in another order. So a worker remembers what it told last.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from temporalio import workflow

RUNS_REMEMBERED: Final = 10_000


class Glance(NamedTuple):
    """Where a run is: in a replay, after so many events of its history, at that time in nanoseconds."""

    replaying: bool
    events: int
    time: int


def glance() -> Glance:
    """Where the current run is."""
    info = workflow.info()
    return Glance(workflow.unsafe.is_replaying(), info.get_current_history_length(), workflow.time_ns())


Fact = tuple[Hashable, ...]


class Memory:
    """What one worker told of its latest runs, in the last workflow task of each."""

    def __init__(self, limit: int = RUNS_REMEMBERED) -> None:
        self._limit = limit
        self._runs: OrderedDict[str, set[Fact]] = OrderedDict()
        self._lock = threading.Lock()

    def takes(self, run_id: str, fact: Fact) -> bool:
        """It was not told before."""
        with self._lock:
            known = self._runs.setdefault(run_id, set())
            self._runs.move_to_end(run_id)
            if len(self._runs) > self._limit:
                self._runs.popitem(last=False)
            if fact in known:
                return False
            known.add(fact)
            return True

    def forget(self, run_id: str) -> None:
        """The task in which that was told was taken by the server."""
        with self._lock:
            self._runs.pop(run_id, None)


class Present:
    """One run's. Ask it about everything that happens, also in a replay."""

    def __init__(self, run_id: str, memory: Memory, look: Callable[[], Glance] = glance) -> None:
        self._run_id, self._memory, self._look = run_id, memory, look
        self._events = self._time = self._told_at = 0
        self._looks_ahead = False
        self._counts: dict[Fact, int] = {}

    def is_now(self) -> bool:
        """What happens at this moment is taken by a workflow task."""
        replaying, events, time = self._look()
        if events != self._events or time != self._time:
            self._looks_ahead = events > self._events and time == self._time
            self._events, self._time = events, time
        return not replaying and not self._looks_ahead

    def tells(self, *fact: Hashable) -> bool:
        """The fact is told: it happens now, and was not told before. Of equal facts each counts."""
        count = self._counts[fact] = self._counts.get(fact, 0) + 1
        if not self.is_now():
            return False
        if self._told_at not in (0, self._events):
            # There is a later task, so the one before it was taken.
            self._memory.forget(self._run_id)
        self._told_at = self._events
        return self._memory.takes(self._run_id, (*fact, count))
