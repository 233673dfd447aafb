"""`tasker audit`: shows, exports and verifies what happened to a task."""

from __future__ import annotations

from pathlib import Path

import click

from tasker_temporal.cli.archive import Archive, check, whole
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN, WrongUse
from tasker_temporal.cli.screen import screen
from tasker_temporal.errors import RecordError


async def audit(task: str, verify: bool, export: Path | None, connection: Connection, as_json: bool) -> int:
    """Print the task's audit, or write or verify it. Returns the exit code."""
    return _show(await _fetched(task, connection), verify, export, as_json)


async def audit_archive(task: str, source: str, verify: bool, export: Path | None, as_json: bool) -> int:
    """The same, from what a sink kept: no server is asked. Returns the exit code."""
    from tasker_temporal.sinks.archive import archived

    try:
        found = await archived(source, task)
    except (OSError, ImportError, ValueError) as error:
        why = f"{error.strerror}: {error.filename!r}" if isinstance(error, OSError) and error.filename else error
        raise WrongUse(f"the archive of task {task!r} cannot be read: {why}") from error
    archive = Archive(task, found.template_digest, found.context_digest, found.rows)
    try:
        whole(archive)
    except RecordError as error:
        hint = "; only sinks that get all events have every row" if "is missing" in str(error) else ""
        raise RecordError(f"{error}{hint}", sort_key=error.sort_key) from error
    if found.ended is not None:
        how = "broke down" if found.ended.actor == "tasker" else f"was ended from outside, by {found.ended.actor}"
        click.echo(f"The run {how}: {found.ended.reason}", err=True)
    return _show(archive, verify, export, as_json)


def _show(archive: Archive, verify: bool, export: Path | None, as_json: bool) -> int:
    if export is not None:
        _write(export, archive)
    if verify:
        _tell(archive, as_json)
    elif export is not None:
        click.echo(f"{len(archive.rows)} rows were written to {export}; head {archive.head}")
    elif as_json:
        screen().out("\n".join(archive.lines()), highlight=False)
    else:
        from tasker_temporal.cli.tables import audit_table

        screen().show(audit_table(archive.rows))
    return CLEAN


async def verify_file(file: Path, as_json: bool) -> int:
    """Verify an exported audit. Returns the exit code."""
    try:
        archive = check(file)
    except OSError as error:
        raise WrongUse(
            f"file {str(file)!r} cannot be read: {error.strerror}; to verify a task: tasker audit {file} --verify"
        ) from error
    _tell(archive, as_json)
    return CLEAN


async def _fetched(task: str, connection: Connection) -> Archive:
    from tasker_temporal.cli.connection import connected
    from tasker_temporal.handle import TaskHandle
    from tasker_temporal.reader import Reader

    async with connected(connection, about=f"task {task!r}") as client:
        rows = await TaskHandle(client, task).audit()
        began = await Reader(client, task).beginning()
    return Archive(task, began.start.digest, began.context_digest, rows)


def _write(file: Path, archive: Archive) -> None:
    try:
        file.write_text("".join(f"{line}\n" for line in archive.lines()), encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"file {str(file)!r} cannot be written: {error.strerror}") from error


def _tell(archive: Archive, as_json: bool) -> None:
    count, head = len(archive.rows), archive.head
    if as_json:
        screen().json({"task_id": archive.task_id, "rows": count, "head": head, "verified": True})
        return
    click.echo(f"Task {archive.task_id}: {count} rows, each chained to the one before it.")
    click.echo(f"head {head}")
    click.echo("Nothing is missing at the end if this is the head that you have kept elsewhere.")
