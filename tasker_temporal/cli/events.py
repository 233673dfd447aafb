"""`tasker events`: the catalogue of events, with the app's own."""

from __future__ import annotations

from pathlib import Path

import click

from tasker_temporal.cli import options

FORMS = ("catalogue", "json-schema", "asyncapi")


@click.group("events")
def events() -> None:
    """See what can be told of a task, and in which shape.

    \b
    Example:
      tasker events show step.completed
    """


@events.command("list")
@click.option(
    "--category",
    metavar="NAME",
    help="Only task, step, workflow, approval, external, state_machine, telemetry or custom ones.",
)
@options.as_json("a list of name, category, version, description, publisher, row, listeners, payload")
@options.app
def show_list(category: str | None, as_json: bool, app: str | None) -> None:
    """List the events, with those of the app's templates.

    \b
    Example:
      tasker events list --category step
    """
    from tasker_temporal.cli.cataloguing import list_events
    from tasker_temporal.cli.process import run

    run(list_events(category, as_json, app))


@events.command("show")
@click.argument("name")
@options.as_json("name, category, version, description, publisher, row, listeners, payload")
@options.app
def show_one(name: str, as_json: bool, app: str | None) -> None:
    """Show one event: its fields, an example, who publishes it, and who listens.

    \b
    Example:
      tasker events show step.backoff
    """
    from tasker_temporal.cli.cataloguing import show_event
    from tasker_temporal.cli.process import run

    run(show_event(name, as_json, app))


@events.command("export")
@click.option("--format", "form", type=click.Choice(FORMS), default=FORMS[0], show_default=True, help="What to write.")
@click.option("--output", type=options.OUTPUT, metavar="FILE", help="Where; standard output unless said.")
@options.app
def export(form: str, output: Path | None, app: str | None) -> None:
    """Write the whole catalogue.

    \b
    Example:
      tasker events export --format asyncapi --output asyncapi.json
    """
    from tasker_temporal.cli.cataloguing import export_events
    from tasker_temporal.cli.process import run

    run(export_events(form, output, app))


@events.command("check")
@click.option("--against", "file", type=options.A_FILE, required=True, help="A catalogue that `export` wrote before.")
@options.as_json("breaking, changes (event, what, breaking)")
@options.app
def check(file: Path, as_json: bool, app: str | None) -> None:
    """Tell what has changed since; exit with 1 if it breaks those who read the events.

    \b
    Example:
      tasker events check --against events.json
    """
    from tasker_temporal.cli.cataloguing import check_events
    from tasker_temporal.cli.process import run

    run(check_events(file, as_json, app))
