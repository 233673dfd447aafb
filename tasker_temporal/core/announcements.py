"""Events that are no rows, as a sink is told of them: each behind the row that was the last when it was said.

They stand in no audit, and no digest is made of them. A task keeps only those that one of its sinks names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tasker_temporal.core.rows import Row


class Announcement(NamedTuple):
    """One event that is no row.

    Attributes:
        sort_key: That of the row before it.
        place: Counted from 1 among those behind one row.
        payload: As JSON, in the event's registered shape.
        cause: The sort_key of the row that led to it.
        at: ISO 8601 in UTC.
        digest: That of the row before it.
    """

    sort_key: int
    place: int
    event: str
    payload: Mapping[str, Any]
    cause: int
    at: str
    digest: str


Entry = Row | Announcement
"""What a sink can be told of."""


def entry_of(values: Sequence[Any]) -> Entry:
    """The inverse of `list(entry)`: the two kinds differ in length."""
    return Row._make(values) if len(values) == len(Row._fields) else Announcement._make(values)


def together(rows: Sequence[Row], announced: Sequence[Announcement]) -> Sequence[Entry]:
    """Both in the order in which they came about."""
    return sorted([*rows, *announced], key=_position) if announced else rows


def _position(entry: Entry) -> tuple[int, int]:
    return entry.sort_key, entry.place if isinstance(entry, Announcement) else 0
