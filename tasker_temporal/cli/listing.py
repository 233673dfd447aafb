"""`tasker list`: what Temporal's visibility knows of tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from tasker_temporal.attributes import FAILED_STEPS, STATE, WAITING_FOR
from tasker_temporal.cli.app import find_app
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN, WrongUse
from tasker_temporal.cli.screen import Screen, screen
from tasker_temporal.cli.tables import list_table
from tasker_temporal.namespace import missing
from tasker_temporal.plugin import TaskerPlugin

RUNNING = "ExecutionStatus = 'Running'"

BY_STATUS: Final[Mapping[str, str]] = {
    "open": RUNNING,
    "in_progress": RUNNING,
    "error": "ExecutionStatus = 'Failed'",
    "complete": "ExecutionStatus = 'Completed'",
    "cancelled": "ExecutionStatus = 'Canceled'",
    "terminated": "ExecutionStatus = 'Terminated'",
    "timed_out": "ExecutionStatus = 'TimedOut'",
}
"""The states as far as the status of a run tells them."""

BY_ATTRIBUTE: Final[Mapping[str, str]] = {
    "in_progress": f"{RUNNING} AND TaskerState IS NULL",
    "pending_approval": f"{RUNNING} AND TaskerState = 'pending_approval'",
    "paused": f"{RUNNING} AND TaskerState = 'paused'",
    "error": f"(ExecutionStatus = 'Failed' OR ({RUNNING} AND TaskerState = 'error'))",
    "complete": "ExecutionStatus = 'Completed' AND TaskerState IS NULL",
    "resolved_manually": "ExecutionStatus = 'Completed' AND TaskerState = 'resolved_manually'",
}
"""The states that search attributes tell, or tell better."""

NAMES: Final = {
    WorkflowExecutionStatus.FAILED: "error",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}
"""The states of tasks whose run did not complete."""

PAGE = 1000
"""Tasks that are asked for, and printed, at a time."""


class Wanted(NamedTuple):
    """Which tasks."""

    state: str | None = None
    template: str | None = None
    waiting_for: str | None = None
    failed_step: str | None = None
    query: str | None = None
    limit: int | None = None
    app: str | None = None

    @property
    def needs(self) -> Sequence[str]:
        """The options that only search attributes can answer."""
        state = self.state if self.state not in BY_STATUS else None
        options = {"--state": state, "--waiting-for": self.waiting_for, "--failed-step": self.failed_step}
        return [f"{name} {value}" for name, value in options.items() if value is not None]


async def list_tasks(wanted: Wanted, connection: Connection, as_json: bool) -> int:
    """Print what visibility knows. Returns the exit code."""
    plugin = find_app(wanted.app, Path.cwd())
    _check_state(wanted.state, plugin)
    async with connected(connection, plugin, about="the list") as client:
        is_told = await attributes_told(client, wanted)
        out, count = screen(), 0
        async for tasks in pages(client, query_of(wanted, plugin, is_told), wanted.limit):
            lines = [line(execution, is_told) for execution in tasks]
            _print(out, lines, as_json, is_first=not count)
            count += len(lines)
    if as_json:
        out.out("]" if count else "[]", highlight=False)
    elif not count:
        click.echo("No task was found.", err=True)
    return CLEAN


def _check_state(state: str | None, plugin: TaskerPlugin | None) -> None:
    known = {**BY_STATUS, **BY_ATTRIBUTE}
    own = [name for one in (plugin.templates.values() if plugin else ()) for name in one.compiled.type.states]
    if state is not None and state not in known and state not in own:
        names = ", ".join([*known, *dict.fromkeys(own)])
        raise WrongUse(f"--state {state}: there are {names}; the states of a task's own type are those of the app")


async def attributes_told(client: Client, wanted: Wanted) -> bool:
    """Whether the namespace has the search attributes. What it lacks is said.

    Raises:
        WrongUse: it lacks them, and something is wanted that only they can tell.
    """
    if not (lacking := await missing(client)):
        return True
    lack = f"namespace {client.namespace!r} lacks the search attributes {', '.join(lacking)}"
    if wanted.needs:
        raise WrongUse(f"{lack}, which {' and '.join(wanted.needs)} would need: add them with `tasker setup`")
    if wanted.state in BY_ATTRIBUTE:
        click.echo(f"Note: {lack}: states are told by how runs ended only (`tasker setup` adds them).", err=True)
    return False


def query_of(wanted: Wanted, plugin: TaskerPlugin | None, is_told: bool) -> str:
    """What visibility is asked."""
    templates = [wanted.template] if wanted.template else list(plugin.templates) if plugin else []
    parts = [
        _of_state(wanted.state, is_told) if wanted.state else "",
        f"{RUNNING} AND {WAITING_FOR.name} = {_quoted(wanted.waiting_for)}" if wanted.waiting_for else "",
        f"{FAILED_STEPS.name} = {_quoted(wanted.failed_step)}" if wanted.failed_step else "",
        f"({wanted.query})" if wanted.query else "",
        f"WorkflowType IN ({', '.join(map(_quoted, templates))})"
        if templates
        else "WorkflowType NOT STARTS_WITH 'tasker.'",
        "ExecutionStatus != 'ContinuedAsNew'",
    ]
    return " AND ".join(filter(None, parts))


def _of_state(state: str, is_told: bool) -> str:
    known = {**BY_STATUS, **BY_ATTRIBUTE} if is_told else BY_STATUS
    return known.get(state) or f"{RUNNING} AND {STATE.name} = {_quoted(state)}"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


async def pages(client: Client, query: str, limit: int | None) -> AsyncIterator[Sequence[WorkflowExecution]]:
    """What visibility finds, so many at a time."""
    found: list[WorkflowExecution] = []
    async for execution in client.list_workflows(query, limit=limit, page_size=PAGE):
        found.append(execution)
        if len(found) == PAGE:
            yield found
            found = []
    if found:
        yield found


def line(execution: WorkflowExecution, is_told: bool = False) -> dict[str, Any]:
    """What visibility knows of one task."""
    told, is_open = execution.typed_search_attributes, execution.close_time is None
    return {
        "task_id": execution.id,
        "template": execution.workflow_type,
        "state": _state(execution, is_told),
        "waiting_for": list(told.get(WAITING_FOR) or ()) if is_open else [],
        "failed_steps": list(told.get(FAILED_STEPS) or ()),
        "started_at": execution.start_time.isoformat(),
        "ended_at": execution.close_time.isoformat() if execution.close_time else None,
    }


def _state(execution: WorkflowExecution, is_told: bool) -> str:
    """What a run told is not all of the truth if it was ended from outside."""
    told = execution.typed_search_attributes.get(STATE)
    if execution.close_time is None:
        return told or ("in_progress" if is_told else "open")
    if execution.status is WorkflowExecutionStatus.COMPLETED:
        return told or "complete"
    return NAMES.get(execution.status, "closed") if execution.status else "closed"


def _print(out: Screen, lines: Sequence[dict[str, Any]], as_json: bool, *, is_first: bool) -> None:
    """A page. JSON is one list over all of them."""
    if not as_json:
        out.show(list_table(lines, head=is_first))
        return
    for number, line in enumerate(lines):
        out.json(line, before="[" if is_first and not number else ",")
