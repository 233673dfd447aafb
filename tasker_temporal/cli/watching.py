"""`tasker watch`: a task as it goes on, until it is over."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import click
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text
from temporalio.client import WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition, RawValue
from temporalio.service import RPCError

from tasker_temporal.cli.connection import UNANSWERED, connected
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN
from tasker_temporal.cli.screen import Screen, screen
from tasker_temporal.cli.tables import because, headline, step_table
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.rows import Row
from tasker_temporal.door import PATIENCE, Door
from tasker_temporal.errors import NoAnswer
from tasker_temporal.handle import TaskHandle
from tasker_temporal.payloads import raw, read_raw

LOOK_SECONDS = 0.25
"""How often an open task is asked."""

BESIDE_STEPS = 9
"""Lines of a terminal that the picture needs beside its steps."""

T = TypeVar("T")


async def watch(task: str, connection: Connection, as_json: bool) -> int:
    """Show the task until it is over. Returns the exit code."""
    out = screen()
    async with connected(connection, about=f"task {task!r}") as client:
        handle = TaskHandle(client, task)
        if out.is_terminal and not as_json:
            await _live(handle, out)
        else:
            async for row in _rows(handle):
                _print_row(out, row, as_json)
        await handle.result()
    return CLEAN


def _print_row(out: Screen, row: Row, as_json: bool) -> None:
    if as_json:
        out.json(row.plain())
        return
    moved = f"{row.from_state or ''} -> {row.to_state}".strip() if row.kind == "transition" else row.kind
    out.out(f"{row.at}  {row.step or row.entity}  {moved}  {row.event}  ({because(row)})", highlight=False)
    out.file.flush()


async def _live(handle: TaskHandle, out: Screen) -> None:
    report = await _reported(handle)
    with Live(_picture(report, out), console=out, auto_refresh=False) as live:
        while report.ended_at is None:
            await asyncio.sleep(LOOK_SECONDS)
            report = await _reported(handle)
            live.update(_picture(report, out), refresh=True)


def _picture(report: TaskReport, out: Screen) -> Group:
    bar = ProgressBar(total=100, completed=report.completion_percentage, width=min(60, out.width))
    return Group(headline(report), bar, Text(), step_table(report, max(5, out.height - BESIDE_STEPS)))


async def _reported(handle: TaskHandle) -> TaskReport:
    """What a worker says, for what no worker tells does not go on."""
    try:
        report = await _answered(functools.partial(Door(handle.client, handle.id).query, "report"))
    except WorkflowQueryRejectedError:
        return await handle.report()
    return TaskReport.model_validate(report)


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until a worker answers; the first time that none does, say so."""
    told = False
    while True:
        try:
            return await ask()
        except (NoAnswer, RPCError) as error:
            if isinstance(error, RPCError) and error.status not in UNANSWERED:
                raise
            if not told:
                click.echo("No worker answers; waiting for one (`tasker worker`).", err=True)
            told = True
            await asyncio.sleep(LOOK_SECONDS)


async def _rows(handle: TaskHandle) -> AsyncIterator[Row]:
    """Every row as it is written. What is written already comes at once, verified."""
    await _reported(handle)  # A task that nobody has prepared yet has no audit.
    seen = 0
    for row in await _answered(handle.audit):
        yield row
        seen = row.sort_key
    while await _is_open(handle):
        async for row in _since(handle, seen):
            yield row
            seen = row.sort_key
        await asyncio.sleep(LOOK_SECONDS)
    for row in (await handle.audit())[seen:]:
        yield row


async def _is_open(handle: TaskHandle) -> bool:
    return (await handle.workflow.describe()).close_time is None


async def _since(handle: TaskHandle, seen: int) -> AsyncIterator[Row]:
    """The open run's rows after number `seen`; none if it is over meanwhile."""
    while True:
        try:
            page = await _answered(functools.partial(_page, handle, seen))
        except WorkflowQueryRejectedError:
            return
        for plain in page["rows"]:
            yield Row.of(plain)
        if page["next"] is None:
            return
        seen = page["next"]


async def _page(handle: TaskHandle, seen: int) -> Any:
    answer = await handle.workflow.query(
        "audit",
        raw({"after": seen}),
        result_type=RawValue,
        reject_condition=QueryRejectCondition.NOT_OPEN,
        rpc_timeout=PATIENCE,
    )
    return read_raw(answer)
