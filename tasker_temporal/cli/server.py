"""`tasker dev`: the embedded server, until somebody stops it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from tasker_temporal.cli.process import CLEAN, FAILED, WrongUse, told_to_stop
from tasker_temporal.dev import DevServer


async def serve(db: Path | None, port: int, ui_port: int | None) -> int:
    """Serve until a signal comes. Returns the exit code."""
    if db is not None and not db.absolute().parent.is_dir():
        raise WrongUse(f"there is no folder {str(db.absolute().parent)!r} for the file of --db: make it first")
    told = told_to_stop()
    async with DevServer(db=db, port=port, ui_port=ui_port) as server:
        _introduce(server)
        ended = asyncio.ensure_future(server.ended())
        await asyncio.wait([ended, asyncio.ensure_future(told.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not told.is_set():
        click.echo(f"Error: the server ended by itself, with code {ended.result()}", err=True)
        return FAILED
    click.echo("Stopped.")
    return CLEAN


def _introduce(server: DevServer) -> None:
    click.echo(f"Temporal serves at {server.target}")
    click.echo(f"  web UI     {server.ui_url or 'none (--headless)'}")
    click.echo(f"  namespace  {server.namespace}")
    click.echo(f"  state      {server.db or 'in memory, lost when it stops (--db FILE keeps it)'}")
    click.echo("Ctrl-C stops it.")
