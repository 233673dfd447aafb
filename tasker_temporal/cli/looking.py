"""`tasker status` and `result`: where one task stands, and how it ends."""

from __future__ import annotations

import asyncio
import getpass
import socket
from datetime import timedelta

import click

from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.explaining import warn_of_workers
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN, FAILED, WrongUse
from tasker_temporal.cli.screen import screen
from tasker_temporal.cli.tables import SHOWN, headline, step_table
from tasker_temporal.core.machine import State
from tasker_temporal.core.report import TaskReport
from tasker_temporal.errors import TaskEnded
from tasker_temporal.handle import TaskHandle

SHORT = timedelta(seconds=1.5)
"""How long a worker may take to answer, before the history is told again."""

SILENCE = 3.0
"""Seconds without an end, after which it is looked why."""

ENDED_BADLY = (State.ERROR, State.CANCELLED)


def me() -> str:
    """Who asks, if nothing says so: `user@host`."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        return socket.gethostname()


async def status(task: str, connection: Connection, as_json: bool) -> int:
    """Print where the task stands. Returns the exit code."""
    async with connected(connection, about=f"task {task!r}") as client:
        handle = TaskHandle(client, task)
        report = await handle.report(patience=SHORT)
        if report.ended_at is None or report.state is State.ERROR:
            await warn_of_workers(handle)
    return show_report(report, as_json)


def show_report(report: TaskReport, as_json: bool) -> int:
    """Print the report. Returns 1 if the task failed or was cancelled, else 0."""
    out = screen()
    if as_json:
        out.json(report.model_dump(mode="json"))
    else:
        out.print(headline(report), soft_wrap=True)
        if report.steps:
            out.print()
            out.show(step_table(report, SHOWN if out.is_terminal else None))
    return FAILED if report.state in ENDED_BADLY else CLEAN


async def result(task: str, step: str | None, connection: Connection, as_json: bool) -> int:
    """Wait for the task's end and print it; or print what one step returned. Returns the exit code."""
    async with connected(connection, about=f"task {task!r}") as client:
        handle = TaskHandle(client, task)
        if step is None:
            return await show_end(handle, as_json)
        report = await handle.report()
        if step not in report.steps:
            raise WrongUse(f"there is no step {step!r} in task {task!r}: it has {', '.join(report.steps)}")
        screen().json(await handle.result_of(step))
    return CLEAN


async def show_end(handle: TaskHandle, as_json: bool, *, look: bool = True) -> int:
    """Wait for the task's end, and print its last report. Returns the exit code.

    Args:
        look: If nothing comes for a while, say what the task does not know itself, as that no worker takes it.
    """
    waiting = asyncio.ensure_future(handle.result())
    try:
        await asyncio.wait([waiting], timeout=SILENCE)
        if look and not waiting.done():
            await warn_of_workers(handle)
        return show_report(await waiting, as_json)
    except TaskEnded as error:
        if error.report is not None:
            show_report(error.report, as_json)
        raise
    except asyncio.CancelledError:
        click.echo(f"Task {handle.id} goes on. To follow it: tasker watch {handle.id}", err=True)
        raise
    finally:
        waiting.cancel()
