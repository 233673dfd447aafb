"""`tasker list`: what Temporal's visibility knows of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from tasker_temporal.cli.app import find_app
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN
from tasker_temporal.cli.screen import screen
from tasker_temporal.cli.tables import list_table

STATES: Mapping[str, tuple[WorkflowExecutionStatus, str]] = {
    "open": (WorkflowExecutionStatus.RUNNING, "Running"),
    "complete": (WorkflowExecutionStatus.COMPLETED, "Completed"),
    "error": (WorkflowExecutionStatus.FAILED, "Failed"),
    "cancelled": (WorkflowExecutionStatus.CANCELED, "Canceled"),
    "terminated": (WorkflowExecutionStatus.TERMINATED, "Terminated"),
    "timed_out": (WorkflowExecutionStatus.TIMED_OUT, "TimedOut"),
}
"""The states of tasks as the SDK has them, and as a query of visibility spells them."""

NAMES = {status: state for state, (status, _) in STATES.items()}


class Wanted(NamedTuple):
    """Which tasks."""

    state: str | None
    template: str | None
    limit: int
    app: str | None


async def list_tasks(wanted: Wanted, connection: Connection, as_json: bool) -> int:
    """Print what visibility knows. Returns the exit code."""
    plugin = find_app(wanted.app, Path.cwd())
    templates = [wanted.template] if wanted.template else list(plugin.templates) if plugin else []
    async with connected(connection, plugin) as client:
        found = client.list_workflows(_query(wanted.state, templates), limit=wanted.limit)
        tasks = [line(execution) async for execution in found]
    out = screen()
    if as_json:
        out.json(tasks)
    elif tasks:
        out.show(list_table(tasks))
    else:
        click.echo("No task was found.", err=True)
    return CLEAN


def _query(state: str | None, templates: list[str]) -> str:
    wanted = [f"ExecutionStatus = '{STATES[state][1]}'"] if state else []
    wanted += [f"WorkflowType IN ({', '.join(map(_quoted, templates))})"] if templates else []
    return " AND ".join([*wanted, "ExecutionStatus != 'ContinuedAsNew'"])


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def line(execution: WorkflowExecution) -> dict[str, Any]:
    """What visibility knows of one task."""
    status = execution.status
    return {
        "task_id": execution.id,
        "template": execution.workflow_type,
        "state": NAMES.get(status, status.name.lower()) if status else None,
        "started_at": execution.start_time.isoformat(),
        "ended_at": execution.close_time.isoformat() if execution.close_time else None,
    }
