"""Runs the `tasker` command as people do: as a process of its own, with what it says and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple, Self

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """What the process sees: nothing of the user's own connection, colours or widths."""
    hidden = ("TEMPORAL_", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(ROOT), **more}


class Running:
    """A process for as long as the `async with` block lasts; it is killed if it still runs then."""

    def __init__(self, *arguments: str, folder: Path, module: str = "tasker_temporal", **more: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._folder, self._environment = folder, environment(folder, **more)
        self._process: Process | None = None
        # Nobody reads along, and a worker that complains a thousand times would wait for a pipe to be emptied.
        self._complaints = TemporaryFile()  # noqa: SIM115 - it is closed with the block
        self.said = ""

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, cwd=self._folder, env=self._environment, stdout=PIPE, stderr=self._complaints
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.communicate()
        self._complaints.close()

    @property
    def process(self) -> Process:
        assert self._process is not None, "it was not started"
        return self._process

    async def until(self, text: str) -> str:
        """Wait for a line that holds `text`, and return it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                self.said += line
                if text in line:
                    return line
        raise AssertionError(f"it ended without {text!r}: {self.said}{await self.ended()}")

    async def complaint(self, text: str) -> str:
        """Wait until it has said `text` on standard error, and return all that it has said there."""
        async with asyncio.timeout(PATIENCE):
            while text not in (said := self._complained()):
                await asyncio.sleep(0.02)
        return said

    def _complained(self) -> str:
        # The process writes to the same file, at the place where it stands.
        return os.pread(self._complaints.fileno(), os.fstat(self._complaints.fileno()).st_size, 0).decode()

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = PATIENCE) -> Ended:
        async with asyncio.timeout(seconds):
            out, _ = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, self.said + out.decode(), self._complained())


async def tasker(*arguments: str, folder: Path, **more: str) -> Ended:
    """Run the command to its end."""
    async with Running(*arguments, folder=folder, **more) as running:
        return await running.ended()


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write the files, and return their folder."""
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder
