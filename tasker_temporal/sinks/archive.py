"""A task's audit out of what a sink kept of it: read and verified without Temporal, years after its history is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from tasker_temporal.core.rows import Row
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
    rows: dict[int, Row] = {}
    ended: EndedOutside | None = None
    for event in sorted(events, key=lambda event: event.time):
        if isinstance(event.data, RowData):
            rows[event.data.sort_key] = event.data.row
        elif isinstance(event.data, EndedOutside):
            ended = event.data
    return Archived(last.templatedigest, last.contextdigest, [rows[key] for key in sorted(rows)], ended)


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
