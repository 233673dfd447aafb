"""The course of the demo."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal.cli import UI_PORT
from tasker_temporal.cli.demo.board import Board
from tasker_temporal.cli.demo.example import load_example
from tasker_temporal.cli.demo.orders import REFUSED, OrderRun, run_order
from tasker_temporal.cli.demo.tables import audit_table, outcome_table
from tasker_temporal.cli.process import CLEAN, FAILED, told_to_stop
from tasker_temporal.cli.screen import Screen
from tasker_temporal.cli.telling import tell_core_logs
from tasker_temporal.core.machine import State
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.dev import IP, DevServer
from tasker_temporal.plugin import TaskerPlugin

EXPECTED: Mapping[str, int] = {State.COMPLETE: 30, State.ERROR: 1, REFUSED: 1}
"""How many orders come to which end: one card is declined for good, and one order is not valid."""

PAUSE_SECONDS = 0.1
"""An order comes in so often."""

LIMIT_SECONDS = 45
"""Longer than this the orders never take, even on a slow machine."""


async def show(keep: bool) -> int:
    """Run the demo. Returns the exit code: 0 if every order came to the end that it should."""
    console = Screen(highlight=False)
    _end_in_order_when_terminated()
    _keep_the_log_quiet()
    folder, template, orders = load_example()
    runs = [OrderRun(order) for order in orders]
    console.print(f"[bold]{len(runs)} orders of a small shop[/], each a task of {len(template.declared)} steps.")
    async with DevServer(ui_port=_ui_port()) as server:
        console.print(f"A Temporal server runs; its web UI is at [link={server.ui_url}]{server.ui_url}[/].\n")
        client = await server.client(plugins=[TaskerPlugin(template)])
        async with Worker(client, task_queue=template.compiled.task_queue or template.name):
            await _run_orders(console, client, template, runs)
            as_expected = await _sum_up(console, runs)
            told = told_to_stop() if keep else None
            _look_further(console, server, folder, keep)
            if told is not None:
                await told.wait()
    return CLEAN if as_expected else FAILED


def _end_in_order_when_terminated() -> None:
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _keep_the_log_quiet() -> None:
    """The demo tells itself what fails; the log would tell it again, with tracebacks."""
    for name in ("tasker_temporal", "temporalio"):
        logging.getLogger(name).setLevel(logging.ERROR)
    tell_core_logs()


def _ui_port() -> int:
    """The usual port if it is free, else any that is."""
    try:
        with socket.create_server((IP, UI_PORT)):
            return UI_PORT
    except OSError:
        return 0


async def _run_orders(console: Console, client: Client, template: TaskTemplate[Any], runs: Sequence[OrderRun]) -> None:
    # Should time run out, the summary tells what is not over.
    with Board(console, runs, list(template.handlers)) as board, suppress(TimeoutError):
        async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run_order(run, client, template.name, board.tell))
                await asyncio.sleep(PAUSE_SECONDS)


async def _sum_up(console: Console, runs: Sequence[OrderRun]) -> bool:
    console.print("\n[bold]What became of them[/]\n")
    console.print(outcome_table(runs))
    await _show_audit(console, max(runs, key=lambda run: run.attempts))
    found = Counter(run.outcome for run in runs)
    if found == EXPECTED:
        console.print(f"\n[green]{_told(found)}[/]: as it should be. One card is declined, and one order is not valid.")
        return True
    console.print(f"\n[red]{_told(found)}[/]: expected were {_told(EXPECTED)}.")
    return False


def _told(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


async def _show_audit(console: Console, run: OrderRun) -> None:
    if run.handle is None:
        return
    rows = await run.handle.audit()
    console.print(f"\n[bold]How {run.id} went[/]: its audit\n")
    console.print(audit_table(rows))
    console.print(
        f"\nRow 1 is by {rows[0].actor!r}, because of {rows[0].reason!r}; all others name the row that led to them. "
        "Each is chained to the one before it by a digest."
    )


def _look_further(console: Console, server: DevServer, folder: Path, keep: bool) -> None:
    console.print("\n[bold]To look further[/]")
    lines = {"the task's code": _short(folder / "template.py")}
    if keep:
        lines["the web UI, until Ctrl-C"] = str(server.ui_url)
    else:
        lines["again, until Ctrl-C"] = f"{_command()} demo --keep"
    width = max(map(len, lines))
    for what, where in lines.items():
        console.print(f"  {what:{width}}  {where}", soft_wrap=True)


def _command() -> str:
    """What to type for `tasker`: it may stand in an environment that is not active."""
    beside = Path(sys.executable).with_name("tasker")
    if shutil.which("tasker"):
        return "tasker"
    return _short(beside) if beside.exists() else f"{_short(Path(sys.executable))} -m tasker_temporal"


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
