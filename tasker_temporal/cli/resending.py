"""`tasker resend`: what a sink had, once more."""

from __future__ import annotations

import click

from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN
from tasker_temporal.cli.screen import screen
from tasker_temporal.sinks.resend import resend


async def send_again(task: str, sink: str, number: int, connection: Connection, as_json: bool) -> int:
    """Have it sent, and say how much it is. Returns the exit code."""
    async with connected(connection, about=f"task {task!r}") as client:
        count, sending = await resend(client, task, sink, start=number)
    if as_json:
        screen().json({"task_id": task, "sink": sink, "events": count, "workflow_id": sending.id})
    else:
        click.echo(f"Sink {sink} is sent {count} events of task {task} again, by workflow {sending.id}.")
    return CLEAN
