"""What the shell's tests share: a gate for handlers, a look at raw histories, and Temporal's own command."""

from __future__ import annotations

import asyncio
import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from tasker_temporal import Row, TaskHandle
from tasker_temporal.dev import DevServer, find_server
from tests.server.conftest import histories


class Gate:
    """A handler waits at it until the test opens it."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def passage(self) -> None:
        self.reached.set()
        await self.opened.wait()

    def open(self) -> None:
        self.opened.set()


async def history(task: TaskHandle) -> list[HistoryEvent]:
    """The events of the task's latest run."""
    return [event async for event in task.workflow.fetch_history_events()]


def kinds(events: Iterable[HistoryEvent]) -> list[str]:
    return [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events]


def lasting(events: Iterable[HistoryEvent]) -> list[HistoryEvent]:
    """Without workflow tasks: the server forgets one that brought nothing, but on a busy machine it may keep it."""
    return [event for event in events if not kinds([event])[0].startswith("WORKFLOW_TASK_")]


def said(rows: Iterable[Row]) -> list[str]:
    """The rows' events, each with its step if it has one: `step.skipped a`."""
    return [f"{row.event} {row.step}" if row.step else row.event for row in rows]


async def stored(task: TaskHandle) -> bytes:
    """All that the server keeps of the task, and what a curious reader could unpack of it."""
    raw = b"".join(event.SerializeToString() for history in await histories(task) for event in history.events)
    return raw + b"".join(_unpacked(raw))


def _unpacked(raw: bytes) -> Iterator[bytes]:
    for piece in raw.split(b'"'):
        try:
            yield zlib.decompress(base64.b64decode(piece, validate=True))
        except (ValueError, zlib.error):
            continue


async def temporal(server: DevServer, *arguments: str) -> Any:
    """What Temporal's command says, as JSON.

    Raises:
        CommandFailed: with what it said instead.
    """
    flags = ["--address", server.target, "--output", "json", "--disable-config-file", "--disable-config-env"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(find_server(), *arguments, *flags, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    if process.returncode:
        raise CommandFailed(err.decode())
    return json.loads(out) if out.strip() else None


class CommandFailed(Exception):
    pass
