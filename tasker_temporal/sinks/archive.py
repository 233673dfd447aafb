"""A task's audit out of what a sink kept of it: read and verified without Temporal, years after its history is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from tasker_temporal.core.rows import Row, sealed
from tasker_temporal.errors import RecordError
from tasker_temporal.sinks.events import EndedOutside, RowData, TaskEvent
from tasker_temporal.sinks.json_lines import JsonLines
from tasker_temporal.sinks.postgres import TABLE, Postgres


class Archived(NamedTuple):
    """What is kept of one task. `ended` says how it was ended from outside, if it was."""

    template_digest: str
    context_digest: str
    rows: Sequence[Row]
    ended: EndedOutside | None


async def archived(source: str, task_id: str) -> Archived:
    """Read what is kept of the task. Of several tasks that had this id, it is the last.

    Args:
        source: The URL of a PostgreSQL database, with `#table` if it is not the usual one, or the path of a file.

    Raises:
        RecordError: nothing of the task is there, or it is no archive.
        OSError: the file cannot be read, or the database not be reached.
    """
    try:
        events = await _events(source, task_id)
    except ValidationError as error:
        raise RecordError(f"{_named(source)} is no archive of a sink: a line of it is no event of a task") from error
    if not events:
        raise RecordError(f"{_named(source)} has nothing of task {task_id!r}")
    last = max(events, key=lambda event: event.time)
    return _joined(last, [event for event in events if event.contextdigest == last.contextdigest])


def _joined(last: TaskEvent, events: Iterable[TaskEvent]) -> Archived:
    """Sinks that get only some rows each may have all of them together."""
    in_time = sorted(events, key=lambda event: event.time)
    rows = [event.data.row for event in in_time if isinstance(event.data, RowData)]
    ended = [event.data for event in in_time if isinstance(event.data, EndedOutside)]
    return Archived(last.templatedigest, last.contextdigest, _chained(rows), ended[-1] if ended else None)


def _chained(rows: Sequence[Row]) -> Sequence[Row]:
    """Of a task that was reset there are several rows of one number: those that lead to the last.

    Args:
        rows: In the order of their times.
    """
    known: dict[int, list[Row]] = {}
    for row in rows:
        known.setdefault(row.sort_key, []).append(row)
    if all(len({row.digest for row in alike}) == 1 for alike in known.values()):
        return [known[sort_key][-1] for sort_key in sorted(known)]
    found = [max(rows, key=lambda row: (row.at, row.sort_key))]
    for sort_key in sorted((each for each in known if each < found[0].sort_key), reverse=True):
        leading = [row for row in known[sort_key] if sealed(row.digest, found[0][:-1]) == found[0]]
        found.insert(0, (leading or known[sort_key])[-1])
    return found


def is_database(source: str) -> bool:
    return source.startswith(("postgresql://", "postgres://"))


def _named(source: str) -> str:
    """Without a password."""
    return "the database" if is_database(source) else f"file {source!r}"


async def _events(source: str, task_id: str) -> list[TaskEvent]:
    if not is_database(source):
        return await JsonLines(Path(source)).events(task_id)
    url, _, table = source.partition("#")
    sink = Postgres(url, table=table or TABLE)
    try:
        return await sink.events(task_id)
    except sink.Error as error:
        raise OSError(" ".join(str(error).split())) from error
    finally:
        await sink.close()
