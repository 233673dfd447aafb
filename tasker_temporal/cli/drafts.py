"""The verbs for templates that do not run yet: check, plan, schema, export. The work is imported when asked for."""

from __future__ import annotations

from pathlib import Path

import click

from tasker_temporal.cli import options

FINDING = "code, severity, step, field, message, file, line, column"


@click.command("check")
@click.argument("what", metavar="[FILE.yaml|TEMPLATE]", required=False, shell_complete=options.complete_template)
@click.option("--strict", is_flag=True, help="Warnings count, too.")
@click.option(
    "--against",
    metavar="OLD",
    help="What an edit changes: a YAML file, a JSON file of `tasker export`, or MODULE:ATTRIBUTE.",
)
@click.option(
    "--against-folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where MODULE:ATTRIBUTE of --against is imported from, as another checkout.",
)
@options.as_json(
    f"a list of template, findings ({FINDING}); with --against also changes, needed, old_digest, new_digest"
)
@options.app
def check(
    what: str | None, strict: bool, against: str | None, against_folder: Path | None, as_json: bool, app: str | None
) -> None:
    """Look for mistakes in templates before they run.

    It looks at a YAML file, at one template of the app, or at all of them: steps that never run, times that cannot
    hold, limits that will be reached, what nobody uses. Each finding has a code that the reference explains.

    Ends with code 1 if it finds an error, with --strict also if it finds a warning, and with 2 if there is no template
    to look at. A YAML file that is not sound is an error.

    \b
    Examples:
      tasker check --strict
      tasker check order.yaml --against old/order.yaml
    """
    from tasker_temporal.cli.checking import Asked, check_templates
    from tasker_temporal.cli.process import run

    run(check_templates(Asked(what, app, strict, against, against_folder, as_json)))


@click.command("plan")
@click.argument("what", metavar="[FILE.yaml|TEMPLATE]", required=False, shell_complete=options.complete_template)
@click.option(
    "--context", metavar="JSON|@FILE|-|FILE.json", help="What the task is about; conditions are evaluated on it."
)
@click.option(
    "--durations",
    type=options.A_FILE,
    metavar="FILE.json",
    help='How long steps take: {"charge": "2s", "ship": {"takes": "1m", "result": {...}, "bytes": 900}}.',
)
@options.as_json(
    "template, version, digest, waves (at, steps), steps (name, state, begins, ends), state, takes, critical_path, "
    "events, events_at_most, bytes, conditions (step, when, holds, error), assumptions"
)
@options.app
def plan(what: str | None, context: str | None, durations: Path | None, as_json: bool, app: str | None) -> None:
    """Play a task of a template, and tell its order, its history and its critical path.

    Nothing is started, and no handler runs: every step succeeds, after the time that --durations gives it, else after
    one second. Of conditions it says what they are on the context; what needs results that are not given is taken to
    be true.

    \b
    Example:
      tasker plan order.yaml --context order.json --durations durations.json
    """
    from tasker_temporal.cli.planning import show_plan
    from tasker_temporal.cli.process import run

    run(show_plan(what, app, context, durations, as_json))


@click.command("schema")
@click.option("--output", type=options.OUTPUT, metavar="FILE", help="Where; standard output unless said.")
def schema(output: Path | None) -> None:
    """Write the JSON Schema of templates in YAML, for editors.

    \b
    Example:
      tasker schema --output tasker.schema.json
    """
    from tasker_temporal.cli.exporting import write_schema
    from tasker_temporal.cli.process import run

    run(write_schema(output))


@click.command("export")
@click.argument("what", metavar="[FILE.yaml|TEMPLATE]", required=False, shell_complete=options.complete_template)
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How it is written.",
)
@click.option("--output", type=options.OUTPUT, metavar="FILE", help="Where; standard output unless said.")
@options.app
def export(what: str | None, form: str, output: Path | None, app: str | None) -> None:
    """Write a template as YAML, or as the JSON that travels with its tasks.

    `tasker check --against` takes either.

    \b
    Example:
      tasker export shop.sell --output sell.yaml
    """
    from tasker_temporal.cli.exporting import write_template
    from tasker_temporal.cli.process import run

    run(write_template(what, app, form, output))


DRAFTS: tuple[click.Command, ...] = (check, plan, schema, export)
