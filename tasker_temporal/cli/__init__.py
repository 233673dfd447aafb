"""The `tasker` command: what runs long, and how it all begins. The work is imported when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from tasker_temporal.cli import options
from tasker_temporal.cli.drafts import DRAFTS
from tasker_temporal.cli.events import events
from tasker_temporal.cli.finding import FINDING
from tasker_temporal.cli.options import Connection, refuse_empty, unwritable
from tasker_temporal.cli.requests import REQUESTS, command
from tasker_temporal.cli.schedule import schedule
from tasker_temporal.cli.verbs import VERBS

PORT, UI_PORT = 7233, 8233
"""Where Temporal's own tools look for a server and for its UI."""

A_PORT = click.IntRange(0, 65535)


SECTIONS: Mapping[str, Sequence[str]] = {
    "Begin": ("new", "demo", "dev", "worker"),
    "Start tasks": ("start", "schedule"),
    "Look at them": ("list", "approvals", "status", "why", "watch", "result", "audit", "graph"),
    "Step in": tuple(verb.name for verb in REQUESTS),
    "Before they run": ("check", "plan", "export", "schema", "events"),
    "Operate": ("setup", "resend"),
}
"""The commands as the help groups them. One that is in no section is listed at the end."""


@contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """A reader that goes away, as `head` does, has seen enough. click itself would end with 1."""
    try:
        yield
    except BrokenPipeError:
        # The interpreter would try once more to write what is left, and complain.
        os._exit(0)


class _InSections(click.Group):
    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _until_nobody_reads():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _until_nobody_reads():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = [name for names in SECTIONS.values() for name in names]
        rest = ("More", [name for name in self.list_commands(ctx) if name not in known])
        width = max(map(len, self.commands))
        for title, names in (*SECTIONS.items(), rest):
            rows = [(name.ljust(width), self.commands[name].get_short_help_str(100)) for name in names]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _show_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from tasker_temporal.cli.version import version

        click.echo(f"tasker, version {version()}")
        context.exit()


@click.group(cls=_InSections, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
def tasker() -> None:
    """Declare a task as a graph of steps; Temporal runs it, and every move is on record.

    To begin: `tasker new my_shop` makes a project, and says how to run it. In the commands TEMPLATE is a template's
    name, TASK a task's id (which is its workflow's id in Temporal), and STEP a step's name.

    The connection comes from the options, else from Temporal's own environment variables (TEMPORAL_ADDRESS, ...) and
    configuration file. Exit codes: 0 all is well, 1 the task failed or a record does not verify, 2 wrong use, or
    nobody could be reached. NO_COLOR=1 turns colours off. Completion, also of template names, in bash
    or zsh (zsh_source), and in fish:

    \b
      eval "$(_TASKER_COMPLETE=bash_source tasker)"
      _TASKER_COMPLETE=fish_source tasker | source
    """


for verb in (*VERBS, *FINDING, *map(command, REQUESTS), *DRAFTS, schedule, events):
    tasker.add_command(verb)


@tasker.command("dev")
@click.option(
    "--db", type=click.Path(dir_okay=False, path_type=Path), help="Keep the state in this file, not in memory."
)
@click.option(
    "--port",
    type=A_PORT,
    metavar="PORT",
    default=PORT,
    show_default=True,
    help="Where it serves; 0 takes a free port.",
)
@click.option("--ui-port", type=A_PORT, metavar="PORT", default=UI_PORT, show_default=True, help="Where the web UI is.")
@click.option("--headless", is_flag=True, help="Without the web UI.")
def run_dev(db: Path | None, port: int, ui_port: int, headless: bool) -> None:
    """Run a Temporal server for development.

    \b
    Example:
      tasker dev --db tasks.db
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.server import serve

    run(serve(db, port, None if headless else ui_port))


@tasker.command("worker")
@options.app
@click.option("--task-queue", "queues", multiple=True, help="May be repeated; else the queues the templates name.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long running handlers may go on after a signal to stop.",
)
@click.option("--telemetry", is_flag=True, help="Tell of tasks by OpenTelemetry, as the OTEL_ variables say.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="One line of text or one JSON object for each line of the log.",
)
@options.connects
def run_worker(
    app: str | None, queues: tuple[str, ...], grace: float, telemetry: bool, log_format: str, connection: Connection
) -> None:
    """Run the steps of your templates.

    SIGTERM or Ctrl-C stops it, once the handlers that run have ended.

    \b
    Example:
      tasker worker --app shop.orders:fulfill_order
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.workers import work

    run(work(app, queues, grace, connection, options.Telling(log_format, telemetry)))


@tasker.command("demo")
@click.option("--keep", is_flag=True, help="Leave the server and the worker running until Ctrl-C.")
def run_demo(keep: bool) -> None:
    """Watch an example run.

    Thirty-two orders of a small shop, on a Temporal server of their own; some of them meet trouble.

    \b
    Example:
      tasker demo --keep
    """
    from tasker_temporal.cli.demo.show import show
    from tasker_temporal.cli.process import run

    run(show(keep))


@tasker.command("new")
@click.argument("name")
@options.as_json("folder, files")
def run_new(name: str, as_json: bool) -> None:
    """Make a project in a new folder NAME.

    It has a task that runs, and a test of it that passes.

    \b
    Example:
      tasker new my_shop
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.project import make

    run(make(name, as_json))


refuse_empty(tasker)


def main() -> None:
    """The entry point of the command."""
    _open_what_is_closed()
    try:
        sys.exit(tasker.main(prog_name="tasker", standalone_mode=False))
    except click.ClickException as error:
        with suppress(BrokenPipeError):
            _complain(error)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except OSError as error:
        click.echo(f"Error: {unwritable(error)}", err=True)
        # The interpreter would try once more to write what is left, and complain.
        os._exit(2)


def _complain(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
    else:
        click.echo(f"Error: {_one_line(error)}", err=True)


def _open_what_is_closed() -> None:
    """A process may be born without standard streams (`>&-`): what is said goes nowhere then, and not to a socket."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(number)
        sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
        sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _one_line(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = " ".join(error.format_message().split())
    return f"{message} See: {context.command_path} --help" if context else message
