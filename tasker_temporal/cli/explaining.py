"""`tasker why`: what a task waits for, and what one could do about it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.text import Text

from tasker_temporal.cli.app import declared_app
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN
from tasker_temporal.cli.screen import screen
from tasker_temporal.cli.tables import STYLES
from tasker_temporal.graph.labels import plain
from tasker_temporal.handle import TaskHandle
from tasker_temporal.why import Explanation, Reason
from tasker_temporal.why.reasons import ANY_APP

SHOWN = 30
"""Reasons that are printed of more, unless all are asked for: the most urgent stand first."""

BY = {
    "history": "no worker answers; this is what its history tells",
    "events": "no worker answers, and its history cannot be told again; this is what its events tell",
}
"""What is said beside the state if it was not a worker that told."""

ALARMING = ("worker", "workflow_task")
"""Reasons that the task itself knows nothing of."""


async def why(task: str, everything: bool, connection: Connection, as_json: bool) -> int:
    """Print why the task stands where it stands. Returns the exit code."""
    async with connected(connection, about=f"task {task!r}") as client:
        found = await TaskHandle(client, task).why()
    flags, app = _flags(connection), declared_app(Path.cwd())
    told = found.model_copy(update={"reasons": tuple(_reachable(reason, flags, app) for reason in found.reasons)})
    out = screen()
    if as_json:
        out.json(told.model_dump(mode="json"))
        return CLEAN
    most = len(told.reasons) if everything else SHOWN
    for line in _lines(told, most):
        out.print(line, soft_wrap=True)
    if len(told.reasons) > most:
        click.echo(f"And {len(told.reasons) - most} more: tasker why {shlex.quote(task)} --all", err=True)
    return CLEAN


async def warn_of_workers(handle: TaskHandle) -> None:
    """Say of an open task what it does not know itself: that no worker takes it, or that one fails."""
    for reason in (await handle.why()).reasons:
        if reason.kind in ALARMING:
            click.echo(f"Warning: {reason.sentence}", err=True)


def _reachable(reason: Reason, flags: str, app: str | None) -> Reason:
    """An action that reaches the same server as this command did, and finds the app of this folder by itself."""
    if reason.action is None:
        return reason
    action = reason.action.replace(f" --app {ANY_APP}", "") if app is not None else reason.action
    return reason.model_copy(update={"action": action + flags})


def _flags(connection: Connection) -> str:
    """What was said about the server on the command line. A key is not repeated."""
    given = {name: value for name, value in connection._asdict().items() if value and name != "api_key"}
    flags = {f" --{name.replace('_', '-')}": value for name, value in given.items()}
    return "".join(flag if value is True else f"{flag} {shlex.quote(str(value))}" for flag, value in flags.items())


def _lines(told: Explanation, most: int) -> Iterator[Text]:
    head = Text.assemble((told.task_id, "bold"), "  ", (told.state, STYLES.get(told.state, "yellow")))
    head.append(f"  ({BY[told.source]})" if told.source in BY else "", style="dim")
    yield head
    for reason in told.reasons[:most]:
        yield Text(f"* {plain(reason.sentence)}")
        if times := _times(reason, datetime.now(UTC)):
            yield Text(f"    {times}", style="dim")
        if reason.action is not None:
            yield Text(f"    $ {reason.action}", style="cyan")


def _times(reason: Reason, now: datetime) -> str:
    since = f"since {_clock(reason.since, now)} ({_span(now - reason.since)})" if reason.since else ""
    until = f"until {_clock(reason.until, now)} ({_until(reason.until - now)})" if reason.until else ""
    return ", ".join(filter(None, (since, until)))


def _clock(at: datetime, now: datetime) -> str:
    day = "" if at.date() == now.date() else f"{at:%Y-%m-%d} "
    return f"{day}{at:%H:%M:%S} UTC"


def _until(left: timedelta) -> str:
    return f"in {_span(left)}" if left > timedelta(0) else "now"


def _span(time: timedelta) -> str:
    return str(timedelta(seconds=max(0, round(time.total_seconds()))))
