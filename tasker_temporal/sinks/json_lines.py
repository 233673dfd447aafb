"""A sink that appends to a file: one CloudEvent a line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from pydantic_core import to_json

from tasker_temporal.sinks.events import TaskEvent


class JsonLines:
    """Appends each event as one line of JSON, and makes sure that it is on the disk. Several processes may share it.

    Args:
        file: Made if it is not there, its folder is not. An event that is sent twice stands in it twice, with the
            same `id`.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file = Path(file)
        self._thread = ThreadPoolExecutor(1, "tasker-json-lines")

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        """Write the events."""
        lines = b"".join(event.json_bytes() + b"\n" for event in events)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._append, lines)

    async def events(self, task_id: str) -> list[TaskEvent]:
        """What the file has of the task, as it was written."""
        return await asyncio.to_thread(self._read, task_id)

    def _read(self, task_id: str) -> list[TaskEvent]:
        """A last line without an end is one that nobody acknowledged."""
        with self.file.open("rb") as lines:
            name = to_json(task_id)
            events = (TaskEvent.model_validate_json(line) for line in lines if name in line and line.endswith(b"\n"))
            return [event for event in events if event.task_id == task_id]

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
