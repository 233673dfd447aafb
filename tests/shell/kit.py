"""What the shell's tests share: a gate for handlers, a look at raw histories, and Temporal's own command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from tasker_temporal import Row, TaskHandle
from tasker_temporal.dev import DevServer, find_server


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


async def until(task: TaskHandle, kind: str, count: int = 1) -> HistoryEvent:
    """Wait for the run's event number `count` of that kind, as `TIMER_STARTED`, by long poll."""
    wanted = EventType.Value(f"EVENT_TYPE_{kind}")
    async for event in task.workflow.fetch_history_events(wait_new_event=True):
        count -= event.event_type == wanted
        if not count:
            return event
    raise AssertionError(f"the run of task {task.id!r} ended without {kind}")


def kinds(events: Iterable[HistoryEvent]) -> list[str]:
    return [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in events]


def said(rows: Iterable[Row]) -> list[str]:
    """The rows' events, each with its step if it has one: `step.skipped a`."""
    return [f"{row.event} {row.step}" if row.step else row.event for row in rows]


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
