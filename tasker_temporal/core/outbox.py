"""What a sink is still to get of a task: rows that its patterns fit, and events that are no rows if it names them.

They are numbered 1, 2, 3 … without a gap. A number follows from what came before it, so what is sent twice has the
same number twice. Only what was acknowledged is forgotten. An outbox is book-keeping of the shell: no row comes of it,
and no refusal undoes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

from pydantic_core import to_json

from tasker_temporal.core.announcements import Announcement, Entry, entry_of, together
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.events import Move, RowWritten, RunEnded
from tasker_temporal.core.registry import RESERVED
from tasker_temporal.core.rows import Row
from tasker_temporal.core.template import Sink

BATCH_BYTES = 512 * 1024
"""The most that the rows of one batch take as JSON, unless one row alone takes more."""

CARRIED_BYTES = 256 * 1024
"""The most that rows in a snapshot take as JSON. Without them the written records are read for what was not sent."""

ANNOUNCED: Final = frozenset(
    name for name in EVENTS if not issubclass(EVENTS.payload(name), RowWritten | RunEnded | Move)
)
"""The events that are no rows, and are said by the task itself. A sink that is to get one names it in full."""

TELLABLE: Final = tuple(sorted(name for name in EVENTS if not issubclass(EVENTS.payload(name), Move)))
"""What a sink can get. Those around a move would repeat the move's own."""


@lru_cache(maxsize=4096)
def fits(patterns: tuple[str, ...], event: str) -> bool:
    """One of the patterns fits the event's name: `task.*`, `step.failed`, `*`. A `*` stands for rows alone."""
    return event in patterns if event in ANNOUNCED else any(fnmatchcase(event, pattern) for pattern in patterns)


@lru_cache(maxsize=256)
def announced_to(sinks: tuple[Sink, ...]) -> frozenset[str]:
    """The events that are no rows, and that one of the sinks names."""
    return frozenset(event for sink in sinks for event in sink.events) & ANNOUNCED


def idle_patterns(sink: Sink, custom: Sequence[str] | None = ()) -> list[str]:
    """Those of its patterns that fit nothing that it could get.

    Args:
        custom: The template's own events; None if nobody knows them here, so that only the library's are judged.
    """
    known = (*TELLABLE, *(custom or ()))
    judged = [each for each in sink.events if custom is not None or each.split(".")[0] in RESERVED]
    return [pattern for pattern in judged if not any(fits((pattern,), name) for name in known)]


class Outbox:
    """What one sink is still to get of one task.

    Attributes:
        told: How many rows it has acknowledged: the number of the last of them.
        backlog: How many come next that only the written records of earlier runs have.
        rows: Those that come then, in order, and announcements among them.
        contents: What a template's own events among them say, as JSON, by sort_key.
        seen: The sort_key up to which the task's rows were looked through.
        heard: How many of this run's announcements were.
        sent_at: Since when what is on its way is on its way; None if nothing is.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.told = self.backlog = self.seen = self.heard = 0
        self.rows: list[Entry] = []
        self.contents: dict[int, str] = {}
        self.sent_at: datetime | None = None

    @property
    def count(self) -> int:
        """How many it has not acknowledged."""
        return self.backlog + len(self.rows)

    @property
    def next(self) -> int:
        """The number of the first that it has not acknowledged."""
        return self.told + 1

    def collect(self, rows: list[Row], said: Mapping[int, str], announced: list[Announcement]) -> None:
        """Take up what came about in this run since: its rows, what they say, and what was announced."""
        first = self.seen + 1 - rows[0].sort_key if rows else 0
        for entry in together(rows[max(first, 0) :], announced[self.heard :]):
            if fits(self.sink.events, entry.event):
                self.rows.append(entry)
                if self.sink.contents and isinstance(entry, Row) and entry.sort_key in said:
                    self.contents[entry.sort_key] = said[entry.sort_key]
            self.seen = entry.sort_key
        self.heard = len(announced)

    def content(self, entry: Entry) -> str | None:
        """What it says as JSON, if it is a row of an event of the template's own."""
        return self.contents.get(entry.sort_key) if isinstance(entry, Row) else None

    def batch(self) -> int | list[Entry]:
        """What to send next: the backlog, by its length, or else rows."""
        return self.backlog or self.rows[: self._within(BATCH_BYTES, self.sink.batch)]

    def rest(self) -> list[tuple[int, int | list[Entry]]]:
        """All that is left, for a snapshot or another workflow: the number of the first of each part, and the part."""
        if not self._is_light:
            return [(self.next, self.count)]
        parts: list[tuple[int, int | list[Entry]]] = [(self.next, self.backlog), (self.next + self.backlog, self.rows)]
        return [(number, part) for number, part in parts if part]

    @property
    def _is_light(self) -> bool:
        return self._within(CARRIED_BYTES, len(self.rows)) == len(self.rows)

    def _within(self, size: int, count: int) -> int:
        """How many rows fit into so many bytes; at least one."""
        for number, row in enumerate(self.rows[:count]):
            size -= len(to_json(row)) + len(self.content(row) or "")
            if size < 0:
                return max(number, 1)
        return min(len(self.rows), count)

    def acknowledge(self, count: int) -> None:
        """The next `count` have arrived."""
        self.told += count
        kept = max(count - self.backlog, 0)
        self.backlog = max(self.backlog - count, 0)
        for entry in self.rows[:kept]:
            if isinstance(entry, Row):
                self.contents.pop(entry.sort_key, None)
        del self.rows[:kept]

    def plain(self) -> dict[str, Any]:
        """As JSON, for a snapshot. What is not carried is backlog for the next run."""
        light = self._is_light
        backlog = self.backlog if light else self.count
        rows = [entry.plain() if isinstance(entry, Row) else list(entry) for entry in self.rows] if light else []
        contents = sorted(self.contents.items()) if light else []
        plain = {"told": self.told, "backlog": backlog, "seen": self.seen, "rows": rows, "contents": contents}
        return {key: value for key, value in plain.items() if value}

    @classmethod
    def of(cls, sink: Sink, plain: Mapping[str, Any]) -> Outbox:
        """The inverse of `plain`."""
        box = cls(sink)
        box.told, box.backlog, box.seen = plain.get("told", 0), plain.get("backlog", 0), plain.get("seen", 0)
        box.rows = [Row.of(entry) if isinstance(entry, Mapping) else entry_of(entry) for entry in plain.get("rows", ())]
        box.contents = dict(plain.get("contents", ()))
        return box
