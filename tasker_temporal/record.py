"""The written record: what a run leaves behind, so that it can be read and verified without a worker or a replay.

A run that completes or fails carries its record in its result or failure. One that is cancelled or continues as new,
and one whose record is too large, leaves it in markers. A record holds the run's rows without their digests, which the
chain gives back, the digest of the last of them, and the task's snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasker_temporal.core.announcements import Announcement
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content
from tasker_temporal.core.report import TaskReport, report
from tasker_temporal.core.rows import Row, sealed
from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RecordError
from tasker_temporal.payloads import pack, unpack

INLINE_LIMIT = 1024 * 1024
"""Characters of a packed record that may travel in a result or a failure."""

CHUNK = 512 * 1024
"""Characters of a packed record in one marker."""

STEPS_SHOWN = 100
"""A result shows a person the states of at most so many steps, and so many errors; the record has them all."""

FORMAT = 1


def written(task: Task) -> str:
    """The run's record, packed. `before` is what its first row is chained to, `head` its last digest."""
    plain = {
        "format": FORMAT,
        "before": list(task.before),
        "rows": [row[1:-1] for row in task.rows],
        "head": task.head,
        "snapshot": snapshot(task),
    }
    return pack(plain | {"announced": task.announced} if task.announced else plain)


def outcome(task: Task, record: str | None) -> dict[str, Any]:
    """What a run returns, or fails with: for people, and the record unless it is in markers."""
    shown = report(task, steps=False).model_dump(mode="json", exclude_defaults=True)
    if len(task.steps) <= STEPS_SHOWN:
        shown["steps"] = {name: str(step.state) for name, step in task.steps.items()}
    failures = [(name, step.failure) for name, step in task.steps.items() if step.state is State.ERROR and step.failure]
    if failures:
        shown["errors"] = {name: f"{failure.type}: {failure.message}" for name, failure in failures[:STEPS_SHOWN]}
    return shown | {"record": record} if record is not None else shown


@dataclass(frozen=True)
class Record:
    """One run's record, read and verified.

    Attributes:
        before: The sort_key and the digest that `rows` are chained to.
        announced: The run's events that are no rows, as far as one of its sinks names them. Nothing verifies them.
    """

    before: tuple[int, str]
    rows: tuple[Row, ...]
    snapshot: Mapping[str, Any]
    announced: tuple[Announcement, ...] = ()

    @property
    def head(self) -> str:
        return self.rows[-1].digest if self.rows else self.before[1]

    def report(self) -> TaskReport:
        """The task's report as it stood at the end of the run."""
        return report(self.task())

    def task(self, context: Content | None = None) -> Task:
        """The task as it stood at the end of the run. Its rows are in the record, its context is not."""
        return restore(self.snapshot, context or Content(b""))


def read(packed: str) -> Record:
    """Read a record and check its chain.

    Raises:
        RecordError: it is of an unknown format, or its rows do not lead to its head.
    """
    plain = unpack(packed)
    if plain.get("format") != FORMAT:
        raise RecordError(f"a record of format {plain.get('format')!r}: this release reads format {FORMAT}")
    before = (plain["before"][0], plain["before"][1])
    rows = _chain(before, plain["rows"])
    head = rows[-1].digest if rows else before[1]
    if head != plain["head"]:
        raise RecordError(f"the record's rows do not lead to its head {plain['head']}: it was changed")
    return Record(before, rows, plain["snapshot"], tuple(map(Announcement._make, plain.get("announced", ()))))


def _chain(before: tuple[int, str], bare: Sequence[Sequence[Any]]) -> tuple[Row, ...]:
    rows: list[Row] = []
    sort_key, digest = before
    for values in bare:
        sort_key += 1
        row = sealed(digest, (sort_key, *values))
        rows.append(row)
        digest = row.digest
    return tuple(rows)
