"""A sink that appends to a file: one CloudEvent a line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from tasker_temporal.sinks.events import TaskEvent


class JsonLines:
    """Appends each event as one line of JSON, and makes sure that it is on the disk. Several processes may share it.

    Args:
        file: Made if it is not there, its folder is not. An event that is sent twice stands in it twice, with the
            same `id`.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file = Path(file)

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        """Write the events."""
        lines = b"".join(event.json_bytes() + b"\n" for event in events)
        await asyncio.to_thread(self._append, lines)

    def _append(self, lines: bytes) -> None:
        import fcntl  # Where there is none, as on Windows, the other sinks shall work.

        with self.file.open("a+b") as out:
            fcntl.flock(out, fcntl.LOCK_EX)
            _drop_torn_line(out)
            out.write(lines)
            out.flush()
            os.fsync(out.fileno())


def _drop_torn_line(out: BinaryIO) -> None:
    """A writer that was killed may have left half a line; nobody acknowledged it, so it comes again."""
    end = out.seek(0, os.SEEK_END)
    start = end
    tail = b""
    while start and b"\n" not in tail:
        start = max(start - 65_536, 0)
        out.seek(start)
        tail = out.read(end - start)
    out.truncate(start + tail.rfind(b"\n") + 1)
    out.seek(0, os.SEEK_END)
