"""`tasker approvals`: what people are asked to approve, of all tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.table import Table
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from tasker_temporal.cli.app import find_app
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.listing import Wanted, attributes_told, pages, query_of
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN
from tasker_temporal.cli.screen import screen
from tasker_temporal.cli.tables import NARROW, cells, moment
from tasker_temporal.core.approval import ANYBODY, GROUP
from tasker_temporal.errors import TaskerError
from tasker_temporal.handle import TaskHandle

AT_ONCE = 16
"""Tasks that are asked at a time."""

Line = dict[str, Any]


class Voter(NamedTuple):
    """Whose inbox it is: everybody's without a name."""

    name: str | None
    groups: Sequence[str]

    def is_asked(self, approval: Mapping[str, Any]) -> bool:
        """May this person vote, and has not voted yet?"""
        names = {ANYBODY, *([self.name] if self.name else []), *(GROUP + group for group in self.groups)}
        everybody = self.name is None and not self.groups
        return everybody or (
            self.name not in (*approval.get("approved_by", ()), approval.get("requester"))
            and not names.isdisjoint(approval["approvers"])
        )


async def approvals(
    voter: Voter, template: str | None, limit: int, app: str | None, connection: Connection, as_json: bool
) -> int:
    """Print the open approvals. Returns the exit code."""
    plugin = find_app(app, Path.cwd())
    wanted = Wanted(state="open", template=template, waiting_for="approval", app=app)
    async with connected(connection, plugin, about="the approvals") as client:
        await attributes_told(client, wanted)
        found: list[Line] = []
        silent = 0
        async for tasks in pages(client, query_of(wanted, plugin, is_told=True), limit):
            told = await _asked(client, tasks)
            silent += sum(lines is None for lines in told)
            found += [line for lines in told for line in lines or () if voter.is_asked(line)]
    screen().found(found, as_json, _table, "Nobody is asked to approve anything.")
    if silent:
        click.echo(f"Warning: {silent} tasks that wait for approval did not answer; ask again.", err=True)
    return CLEAN


async def _asked(client: Client, tasks: Sequence[WorkflowExecution]) -> Sequence[Sequence[Line] | None]:
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def ask(task: WorkflowExecution) -> Sequence[Line] | None:
        async with turnstile:
            try:
                lines = await TaskHandle(client, task.id).waiting()
            except (TaskerError, RPCError):
                return None
        return [_line(task, line) for line in lines if line.get("approval") is not None]

    return await asyncio.gather(*map(ask, tasks))


def _line(task: WorkflowExecution, line: Mapping[str, Any]) -> Line:
    approval = line["approval"]
    return {
        "task_id": task.id,
        "template": task.workflow_type,
        "step": line["step"],
        "approval": approval["id"],
        "since": line.get("since"),
        "until": line.get("until"),
        "approvers": approval["approvers"],
        "quorum": approval["quorum"],
        "approved_by": approval.get("approved_by", []),
        "requester": approval.get("requester"),
        "verified": approval.get("verified", False),
        "form": approval.get("form"),
    }


def _table(found: Sequence[Line]) -> Table:
    table = Table(box=None, padding=NARROW)
    for name in ("task", "approval"):
        table.add_column(name, overflow="fold")
    for name in ("since (UTC)", "until (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("may vote", "votes"):
        table.add_column(name, overflow="fold")
    for line in found:
        votes = f"{len(line['approved_by'])} of {line['quorum']}"
        by = f": {', '.join(line['approved_by'])}" if line["approved_by"] else ""
        times = (moment(line["since"]), moment(line["until"]))
        table.add_row(*cells(line["task_id"], line["approval"], *times, _asked_of(line), votes + by))
    return table


def _asked_of(line: Line) -> str:
    but = f", not {line['requester']}" if line["requester"] is not None else ""
    return ", ".join(line["approvers"]) + but + (", verified" if line["verified"] else "")
