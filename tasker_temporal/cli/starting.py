"""`tasker start`: one task, by the app's template or by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
from temporalio.client import Client

from tasker_temporal.cli.app import find_app
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.context import read_context
from tasker_temporal.cli.looking import me, show_end
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN, WrongUse
from tasker_temporal.cli.screen import screen
from tasker_temporal.client import StartOptions, start_task
from tasker_temporal.errors import ContextInvalid, TaskAlreadyStarted
from tasker_temporal.handle import TaskHandle
from tasker_temporal.plugin import TaskerPlugin
from tasker_temporal.pollers import pollers

CONTEXT = "pass it with --context, as JSON, @FILE or -"


class Asked(NamedTuple):
    """What the command's options ask for."""

    template: str
    context: str | None
    app: str | None
    options: Mapping[str, Any]
    """Those of `start_task`; None for what was not said."""
    wait: bool
    as_json: bool


async def start(asked: Asked, connection: Connection) -> int:
    """Start the task. Returns the exit code."""
    plugin = find_app(asked.app, Path.cwd())
    queue = queue_of(asked.template, plugin, asked.options["task_queue"])
    context = read_context(asked.context)
    async with connected(connection, plugin) as client:
        options = _options(asked, plugin)
        handle, is_new = await _started(client, asked.template, context, options)
        has_worker = await warn_without_worker(client, queue)
        if asked.wait:
            return await show_end(handle, asked.as_json, look=has_worker)
        _tell(asked, handle.id, queue, is_new)
    return CLEAN


def queue_of(template: str, plugin: TaskerPlugin | None, asked: str | None) -> str:
    """Where tasks of the template run.

    Raises:
        WrongUse: the app has no such template, or nothing says where they run.
    """
    if asked is not None:
        return asked
    if plugin is None:
        raise WrongUse(
            f"nothing says where tasks of {template!r} run: pass --task-queue, "
            "or name the app with --app or in [tool.tasker] of ./pyproject.toml"
        )
    if template not in plugin.templates:
        known = ", ".join(plugin.templates) or "none"
        raise WrongUse(f"the app has no template {template!r}: it has {known}; for one of others pass --task-queue")
    queue = plugin.templates[template].compiled.task_queue
    if queue is None:
        raise WrongUse(f"template {template!r} names no task queue: pass --task-queue, or give the template one")
    return queue


def _options(asked: Asked, plugin: TaskerPlugin | None) -> StartOptions:
    given: Any = {name: value for name, value in asked.options.items() if value is not None}
    known = plugin is not None and asked.template in plugin.templates
    if not known and (lost := [name for name in ("actor", "reason") if name in given]):
        raise WrongUse(f"--{lost[0]} is kept only if the template is known here: name its app with --app")
    if not known and given.get("identity") == "strict":
        raise WrongUse("--identity strict takes the template's version in: name its app with --app")
    if plugin is not None and not known:
        click.echo(f"Note: the app has no template {asked.template!r}; its worker will validate the context", err=True)
    options: StartOptions = given
    return {"actor": me(), **options} if known else options


async def _started(client: Client, template: str, context: Any, options: StartOptions) -> tuple[TaskHandle, bool]:
    """The task's handle, and whether it was started now."""
    wanted: StartOptions = {**options, "on_duplicate": "raise"}
    try:
        return await start_task(client, template, context, **wanted), True
    except ContextInvalid as error:
        raise error if context is not None else WrongUse(f"{template!r} needs a context: {CONTEXT}") from error
    except TaskAlreadyStarted as error:
        if options.get("on_duplicate") == "return":
            return TaskHandle(client, error.task_id), False
        raise WrongUse(f"{error}; --on-duplicate return takes the one that is there, --id another name") from error


async def warn_without_worker(client: Client, queue: str) -> bool:
    """Say so if no worker asks this queue for work. Who may not ask is told nothing.

    Returns:
        Whether there is one, as far as is known.
    """
    found = await pollers(client, queue)
    if found is None or found:
        return True
    click.echo(
        f"Warning: no worker polls task queue {queue!r}: the task waits until one does (`tasker worker`)", err=True
    )
    return False


def _tell(asked: Asked, task_id: str, queue: str, is_new: bool) -> None:
    if asked.as_json:
        told = {"task_id": task_id, "template": asked.template, "task_queue": queue, "started": is_new}
        screen().json(told)
        return
    click.echo(task_id)
    what = f"Started on queue {queue!r}" if is_new else "It was there already, and nothing was started"
    click.echo(f"{what}. To follow it: tasker watch {task_id}", err=True)
