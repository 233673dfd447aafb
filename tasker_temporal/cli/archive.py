"""An audit in a file: JSON lines that can be checked years later, without a server and without a worker.

The first line tells how the chain begins and where it should end, each following one is a row. The chain proves that
the rows belong together and to this task; that none is missing at the end, only a `head` that was kept elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import to_json

from tasker_temporal.core.rows import Row, genesis, verify
from tasker_temporal.errors import RecordError

FORMAT = 1


class Archive(NamedTuple):
    """A task's audit, and what its first row is chained to. `context_digest` is salted."""

    task_id: str
    template_digest: str
    context_digest: str
    rows: Sequence[Row]

    @property
    def head(self) -> str:
        """The last digest."""
        return self.rows[-1].digest if self.rows else self.genesis

    @property
    def genesis(self) -> str:
        return genesis(self.task_id, self.template_digest, self.context_digest)

    def lines(self) -> list[str]:
        """The file's lines."""
        first = {
            "tasker_audit": FORMAT,
            "task_id": self.task_id,
            "template_digest": self.template_digest,
            "context_digest": self.context_digest,
            "rows": len(self.rows),
            "head": self.head,
        }
        return [to_json(plain).decode() for plain in (first, *(row.plain() for row in self.rows))]


def check(file: Path) -> Archive:
    """Read an exported audit and verify it.

    Raises:
        RecordError: naming the first row that does not fit.
        OSError: the file cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise RecordError(f"file {str(file)!r} is no exported audit: it is not UTF-8") from error
    first = _first(file, lines[0] if lines else "")
    rows = [_row(number, line) for number, line in enumerate(lines[1:], 1)]
    archive = Archive(first["task_id"], first["template_digest"], first["context_digest"], rows)
    whole(archive)
    _check_end(archive, first)
    return archive


def whole(archive: Archive) -> None:
    """Check that it has every row from the first on, and that they are chained.

    Raises:
        RecordError: naming the first row that does not fit.
    """
    verify(archive.rows, archive.genesis, after=0)


def _first(file: Path, line: str) -> dict[str, Any]:
    expected = {"tasker_audit", "task_id", "template_digest", "context_digest", "rows", "head"}
    plain = _json(line)
    if not isinstance(plain, dict) or plain.keys() != expected:
        raise RecordError(f"file {str(file)!r} is no exported audit: expected one of `tasker audit TASK --export FILE`")
    if plain["tasker_audit"] != FORMAT:
        raise RecordError(f"file {str(file)!r} has format {plain['tasker_audit']}: this release reads {FORMAT}")
    return plain


def _row(number: int, line: str) -> Row:
    plain = _json(line)
    try:
        row = Row.of(plain)
        if row.plain() == plain:
            return row
    except (KeyError, TypeError, ValueError):
        pass
    raise RecordError(f"row {number} is no row of an audit: it was changed", sort_key=number)


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _check_end(archive: Archive, first: dict[str, Any]) -> None:
    count = len(archive.rows)
    if count < first["rows"]:
        raise RecordError(f"row {count + 1} is missing: the file ends before it", sort_key=count + 1)
    if count > first["rows"] or archive.head != first["head"]:
        raise RecordError(f"the last row is not the one that the first line names: expected {first['head']}")
