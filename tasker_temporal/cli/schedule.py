"""`tasker schedule` and its verbs: their options and help. The work is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from tasker_temporal.cli import options
from tasker_temporal.cli.options import Connection, duration

SCHEDULE_ID = "schedule_id"


@click.group("schedule")
def schedule() -> None:
    """Start tasks by the clock.

    Temporal's own schedules do it.

    \b
    Example:
      tasker schedule create nightly --template shop.sum_up --cron '0 3 * * *'
    """


@schedule.command("create")
@click.argument("id")
@click.option(
    "--template",
    required=True,
    metavar="NAME",
    shell_complete=options.complete_template,
    help="Of which template its tasks are.",
)
@click.option("--context", metavar="JSON|@FILE|-", help="What each of its tasks is about.")
@click.option("--cron", "crons", multiple=True, metavar="EXPRESSION", help="When, in UTC: '0 3 * * *'; repeatable.")
@click.option(
    "--every",
    "intervals",
    multiple=True,
    type=duration,
    metavar="TIME",
    help="How often: 90s, 1h30m; repeatable.",
)
@click.option(
    "--overlap",
    type=click.Choice(["skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"]),
    default="skip",
    show_default=True,
    help="If the task before is still open.",
)
@click.option("--task-queue", metavar="NAME", help="Where its tasks run; the template's own unless said.")
@click.option("--paused", is_flag=True, help="Create it paused.")
@click.option("--note", help="For people.")
@options.as_json(SCHEDULE_ID)
@options.app
@options.connects
def create(app: str | None, as_json: bool, connection: Connection, **asked: Any) -> None:
    """Create the schedule ID. Each task takes the template that its worker has when it begins.

    \b
    Example:
      tasker schedule create hourly --template shop.sum_up --every 1h --overlap buffer-one
    """
    from tasker_temporal.cli import scheduling
    from tasker_temporal.cli.process import run

    run(scheduling.create(scheduling.Asked(**asked), app, connection, as_json))


@schedule.command("sweeper")
@click.option("--task-queue", required=True, metavar="NAME", help="Whose workers look: they need the templates.")
@click.option("--id", default="tasker-sweeper", show_default=True, help="The schedule's id.")
@click.option("--every", type=duration, default="1m", show_default=True, metavar="TIME", help="How often.")
@options.as_json(SCHEDULE_ID)
@options.connects
def sweeper(task_queue: str, id: str, every: timedelta, as_json: bool, connection: Connection) -> None:
    """Create the schedule that tells sinks of tasks that were terminated, timed out or broke down.

    Such a task cannot tell its own end. One sweeper serves all templates that the queue's workers have.

    \b
    Example:
      tasker schedule sweeper --task-queue orders
    """
    from tasker_temporal.cli import scheduling
    from tasker_temporal.cli.process import run

    run(scheduling.create_sweeper(id, task_queue, every, connection, as_json))


@schedule.command("list")
@options.as_json("a list of schedule_id, template, paused, note, next_at")
@options.connects
def list_(as_json: bool, connection: Connection) -> None:
    """List the schedules of the namespace.

    \b
    Example:
      tasker schedule list
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.scheduling import list_schedules

    run(list_schedules(connection, as_json))


def _change(id: str, told: str, connection: Connection, as_json: bool, act: Callable[[Any], Any]) -> None:
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.scheduling import change

    run(change(id, act, told, connection, as_json))


@schedule.command("pause")
@click.argument("id")
@click.option("--note", help="Why, for people.")
@options.as_json(SCHEDULE_ID)
@options.connects
def pause(id: str, note: str | None, as_json: bool, connection: Connection) -> None:
    """Start no tasks by the schedule ID for now.

    \b
    Example:
      tasker schedule pause nightly --note 'stocktaking'
    """
    _change(id, f"Schedule {id} is paused.", connection, as_json, lambda handle: handle.pause(note=note))


@schedule.command("unpause")
@click.argument("id")
@click.option("--note", help="Why, for people.")
@options.as_json(SCHEDULE_ID)
@options.connects
def unpause(id: str, note: str | None, as_json: bool, connection: Connection) -> None:
    """Go on with a paused schedule.

    \b
    Example:
      tasker schedule unpause nightly
    """
    _change(id, f"Schedule {id} goes on.", connection, as_json, lambda handle: handle.unpause(note=note))


@schedule.command("trigger")
@click.argument("id")
@options.as_json(SCHEDULE_ID)
@options.connects
def trigger(id: str, as_json: bool, connection: Connection) -> None:
    """Start a task by the schedule ID now.

    \b
    Example:
      tasker schedule trigger nightly
    """
    _change(id, f"Schedule {id} starts a task now.", connection, as_json, lambda handle: handle.trigger())


@schedule.command("delete")
@click.argument("id")
@options.as_json(SCHEDULE_ID)
@options.connects
def delete(id: str, as_json: bool, connection: Connection) -> None:
    """Delete the schedule ID. Tasks that it started go on.

    \b
    Example:
      tasker schedule delete nightly
    """
    _change(id, f"Schedule {id} is deleted.", connection, as_json, lambda handle: handle.delete())
