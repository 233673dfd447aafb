"""`tasker schedule`: Temporal schedules that start tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
from rich.table import Table
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleListActionStartWorkflow,
    ScheduleListDescription,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)

from tasker_temporal.cli.app import find_app
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.context import read_context
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN, WrongUse
from tasker_temporal.cli.screen import screen
from tasker_temporal.cli.starting import CONTEXT, queue_of, warn_without_worker
from tasker_temporal.cli.tables import NARROW, cells
from tasker_temporal.client import schedule_action
from tasker_temporal.errors import ContextInvalid

OVERLAPS: Mapping[str, ScheduleOverlapPolicy] = {
    "skip": ScheduleOverlapPolicy.SKIP,
    "buffer-one": ScheduleOverlapPolicy.BUFFER_ONE,
    "buffer-all": ScheduleOverlapPolicy.BUFFER_ALL,
    "cancel-other": ScheduleOverlapPolicy.CANCEL_OTHER,
    "terminate-other": ScheduleOverlapPolicy.TERMINATE_OTHER,
    "allow-all": ScheduleOverlapPolicy.ALLOW_ALL,
}
"""By the names of `tasker schedule create --overlap`."""


class Asked(NamedTuple):
    """What `tasker schedule create` is asked for."""

    id: str
    template: str
    context: str | None
    crons: Sequence[str]
    intervals: Sequence[timedelta]
    overlap: str
    task_queue: str | None
    paused: bool
    note: str | None


async def create(asked: Asked, app: str | None, connection: Connection, as_json: bool) -> int:
    """Create a schedule. Returns the exit code."""
    if not asked.crons and not asked.intervals:
        raise WrongUse(f"nothing says when schedule {asked.id!r} starts tasks: pass --cron or --every")
    plugin = find_app(app, Path.cwd())
    queue = queue_of(asked.template, plugin, asked.task_queue)
    context = read_context(asked.context)
    async with connected(connection, plugin, f"schedule {asked.id!r}") as client:
        action = _action(client, asked.template, context, queue)
        await _create(client, asked.id, _schedule(asked, action))
        await warn_without_worker(client, queue)
    _tell(asked.id, f"Schedule {asked.id} starts tasks of {asked.template}.", as_json)
    return CLEAN


def _action(client: Client, template: str, context: Any, queue: str) -> ScheduleActionStartWorkflow:
    try:
        return schedule_action(client, template, context, task_queue=queue)
    except ContextInvalid as error:
        raise error if context is not None else WrongUse(f"{template!r} needs a context: {CONTEXT}") from error


async def create_sweeper(id: str, queue: str, every: timedelta, connection: Connection, as_json: bool) -> int:
    """Create the schedule that tells of tasks that were ended from outside. Returns the exit code."""
    from tasker_temporal.sinks.sweep import SWEEP

    action = ScheduleActionStartWorkflow(SWEEP, id=id, task_queue=queue)
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)])
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP)
    async with connected(connection, about=f"schedule {id!r}") as client:
        await _create(client, id, Schedule(action=action, spec=spec, policy=policy))
        await warn_without_worker(client, queue)
    _tell(id, f"Schedule {id} tells sinks of tasks that were ended from outside.", as_json)
    return CLEAN


async def _create(client: Client, id: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(id, schedule)
    except ScheduleAlreadyRunningError as error:
        raise WrongUse(f"there is a schedule {id!r} already: delete it, or take another id") from error


def _schedule(asked: Asked, action: ScheduleActionStartWorkflow) -> Schedule:
    return Schedule(
        action=action,
        spec=ScheduleSpec(
            cron_expressions=asked.crons,
            intervals=[ScheduleIntervalSpec(every=every) for every in asked.intervals],
        ),
        policy=SchedulePolicy(overlap=OVERLAPS[asked.overlap]),
        state=ScheduleState(paused=asked.paused, note=asked.note),
    )


Change = Callable[[ScheduleHandle], Awaitable[None]]


async def change(id: str, act: Change, told: str, connection: Connection, as_json: bool) -> int:
    """Do something with one schedule, and tell it. Returns the exit code."""
    async with connected(connection, about=f"schedule {id!r}") as client:
        await act(client.get_schedule_handle(id))
    _tell(id, told, as_json)
    return CLEAN


def _tell(id: str, told: str, as_json: bool) -> None:
    if as_json:
        screen().json({"schedule_id": id})
    else:
        click.echo(told)


async def list_schedules(connection: Connection, as_json: bool) -> int:
    """Print the namespace's schedules. Returns the exit code."""
    async with connected(connection) as client:
        found = [_plain(each) async for each in await client.list_schedules()]
    screen().found(found, as_json, _table, "No schedule was found.")
    return CLEAN


def _plain(found: ScheduleListDescription) -> dict[str, Any]:
    known, info = found.schedule, found.info
    action = known.action if known else None
    times = info.next_action_times if info else []
    return {
        "schedule_id": found.id,
        "template": action.workflow if isinstance(action, ScheduleListActionStartWorkflow) else None,
        "paused": known.state.paused if known else None,
        "note": known.state.note if known else None,
        "next_at": times[0].isoformat() if times else None,
    }


def _table(found: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("schedule", "template", "state", "next", "note", box=None, padding=NARROW)
    for each in found:
        state = "paused" if each["paused"] else "active"
        when = (each["next_at"] or "")[:19].replace("T", " ")
        table.add_row(*cells(each["schedule_id"], each["template"] or "", state, when, each["note"] or ""))
    return table
