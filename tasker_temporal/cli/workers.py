"""`tasker worker`: one Worker for each queue, until a signal comes; then the handlers that run may end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from temporalio.worker import Worker

from tasker_temporal.cli.app import needed_app
from tasker_temporal.cli.connection import connect
from tasker_temporal.cli.options import SILENT, Connection, Telling
from tasker_temporal.cli.process import CLEAN, FAILED, WrongUse, told_to_stop
from tasker_temporal.cli.telling import tell_logs, tell_telemetry
from tasker_temporal.plugin import TaskerPlugin

AFTER_GRACE = 5.0
"""Seconds that handlers have once the grace period is over and they were told to stop."""


async def work(
    app: str | None, queues: Sequence[str], grace: float, connection: Connection, telling: Telling = SILENT
) -> int:
    """Run the app's steps until a signal comes. Returns the exit code."""
    tell_logs(telling)
    plugin = needed_app(app, Path.cwd())
    tell_telemetry(telling, plugin)
    names = tuple(dict.fromkeys(queues)) or _queues(plugin)
    client = await connect(connection, plugin)
    _tell_what_runs_elsewhere(plugin, names)
    workers = [Worker(client, task_queue=name, graceful_shutdown_timeout=timedelta(seconds=grace)) for name in names]
    return await run_workers(*workers)


def _queues(plugin: TaskerPlugin) -> tuple[str, ...]:
    named = {name: template.compiled.task_queue for name, template in plugin.templates.items()}
    homeless = [name for name, queue in named.items() if queue is None]
    if homeless:
        raise WrongUse(f"template {homeless[0]!r} names no task queue: pass --task-queue, or give the template one")
    return tuple(dict.fromkeys(queue for queue in named.values() if queue is not None))


def _tell_what_runs_elsewhere(plugin: TaskerPlugin, names: Sequence[str]) -> None:
    for template in plugin.templates.values():
        for step in template.compiled.steps:
            if step.task_queue is not None and step.task_queue not in names:
                name, queue = f"{template.name}.{step.name}", step.task_queue
                click.echo(f"Note: {name} runs on queue {queue!r}: start a worker with --task-queue {queue}", err=True)


async def run_workers(*workers: Worker) -> int:
    """Run the workers until SIGTERM or SIGINT, and let their handlers end within the workers' own grace period.

    Returns:
        The exit code: 0 after a clean stop, 1 if a handler did not stop.
    """
    told = told_to_stop()
    running = asyncio.gather(*(worker.run() for worker in workers))
    for worker in workers:
        host = worker.client.service_client.config.target_host
        click.echo(f"Working on queue {worker.task_queue!r} of {host}, namespace {worker.client.namespace!r}.")
    click.echo("Ctrl-C stops it.")
    ends: list[asyncio.Future[Any]] = [running, asyncio.ensure_future(told.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    return await _stop(workers, running)


async def _stop(workers: Sequence[Worker], running: asyncio.Future[list[None]]) -> int:
    grace = max(_grace(worker) for worker in workers)
    if not running.done():
        click.echo(f"Stopping: the handlers that run have {grace:g} s to end. A second Ctrl-C ends them now.")
    try:
        async with asyncio.timeout(grace + AFTER_GRACE):
            await asyncio.gather(*(worker.shutdown() for worker in workers))
            await running
    except TimeoutError:
        click.echo(
            f"Error: a handler still ran {AFTER_GRACE:g} s after it was told to stop, and is left alone", err=True
        )
        return FAILED
    click.echo("Stopped.")
    return CLEAN


def _grace(worker: Worker) -> float:
    return worker.config(active_config=True).get("graceful_shutdown_timeout", timedelta(0)).total_seconds()
