"""The audit: rows that are written once, each chained to the one before it by a digest.

A row's digest is the SHA-256 of the previous digest, a newline, and the row's values as one compact JSON array in the
order of `Row`'s fields (UTF-8, no spaces, keys of `metadata` sorted), all digests as hexadecimal text. The chain begins
with the task's id, the template's digest and the salted digest of the context, so a row cannot be changed, moved or
dropped without every later digest changing. Who holds the last digest somewhere else can therefore prove the whole;
without that the chain proves only that the rows belong together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from pydantic_core import to_json

from tasker_temporal.errors import RecordError

TASK = "task"
"""The entity of the task's own rows. A step's is `step:NAME`."""

Kind = Literal["transition", "refused", "noted"]


class Row(NamedTuple):
    """One thing that happened to a task.

    `sort_key` counts 1, 2, 3 … without a gap, because many rows share one instant. `cause` is the sort_key of the row
    that led to this one, None for what came from outside. `at` is ISO 8601 in UTC. `metadata` holds no inputs, results
    or messages, only their size in bytes and salted SHA-256.
    """

    sort_key: int
    kind: Kind
    entity: str
    from_state: str | None
    to_state: str | None
    event: str
    actor: str
    reason: str
    cause: int | None
    metadata: Mapping[str, Any]
    at: str
    digest: str = ""

    @property
    def step(self) -> str | None:
        """The step that the row is about, None for the task itself."""
        return step_of(self.entity)

    def plain(self) -> dict[str, Any]:
        """The row as JSON: the shape that is exported, archived and hashed (without `digest`)."""
        return {
            "sort_key": self.sort_key,
            "kind": self.kind,
            "entity": self.entity,
            "from": self.from_state,
            "to": self.to_state,
            "event": self.event,
            "actor": self.actor,
            "reason": self.reason,
            "cause": self.cause,
            "metadata": dict(self.metadata),
            "at": self.at,
            "digest": self.digest,
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Row:
        """The inverse of `plain`."""
        values = {**plain, "from_state": plain["from"], "to_state": plain["to"]}
        return cls(**{name: values[name] for name in cls._fields})


def entity_of(step: str | None) -> str:
    return TASK if step is None else f"step:{step}"


def step_of(entity: str) -> str | None:
    return None if entity == TASK else entity.removeprefix("step:")


def salted(key: bytes, data: bytes) -> str:
    """SHA-256 of `data` salted with the task's key: erasing the key makes the digest say nothing about the data."""
    return hashlib.sha256(key + data).hexdigest()


def genesis(task_id: str, template_digest: str, context_digest: str) -> str:
    """What the first row is chained to."""
    return hashlib.sha256(f"tasker/1\n{task_id}\n{template_digest}\n{context_digest}".encode()).hexdigest()


def chained(previous: str, row: Row) -> str:
    """The digest of `row`, which follows the row whose digest is `previous`."""
    return _digest(previous, (*row[:9], ordered(row.metadata), row.at))


def sealed(previous: str, bare: tuple[Any, ...]) -> Row:
    """The row made of `bare`, its values up to `at` with ordered metadata, and chained to the digest `previous`."""
    return Row._make((*bare, _digest(previous, bare)))


def _digest(previous: str, bare: tuple[Any, ...]) -> str:
    return hashlib.sha256(b"%b\n%b" % (previous.encode(), to_json(bare))).hexdigest()


def ordered(value: Any) -> Any:
    """A copy of the value in which the keys of every dict are sorted."""
    if not value:
        return value.copy() if isinstance(value, (dict, list)) else value
    if isinstance(value, dict):
        made = {}
        for key in sorted(value):
            item = value[key]
            made[key] = ordered(item) if isinstance(item, (dict, list)) else item
        return made
    return [ordered(item) for item in value] if isinstance(value, list) else value


def verify(rows: Iterable[Row], start: str, after: int | None = None) -> str:
    """Check that the rows are gap-free and chained, beginning at the digest `start`.

    Args:
        after: The sort_key of the row before the first, if it is known: 0 for a whole audit.

    Returns:
        The last row's digest.

    Raises:
        RecordError: naming the first row that does not fit.
    """
    previous, expected = start, None if after is None else after + 1
    for row in rows:
        if expected is not None and row.sort_key != expected:
            raise RecordError(f"row {expected} is missing: row {row.sort_key} came instead", sort_key=expected)
        if chained(previous, row) != row.digest:
            raise RecordError(f"row {row.sort_key} does not fit the chain: it was changed", sort_key=row.sort_key)
        previous, expected = row.digest, row.sort_key + 1
    return previous
