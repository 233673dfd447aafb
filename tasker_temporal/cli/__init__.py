"""The `tasker` command: every subcommand and option on one page. The work is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path

import click

PORT, UI_PORT = 7233, 8233
"""Where Temporal's own tools look for a server and for its UI."""

A_PORT = click.IntRange(0, 65535)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tasker-temporal")
def tasker() -> None:
    """Declare a task as a graph of steps; Temporal runs it, and every move is on record."""


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
    """Run a Temporal server for development."""
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.server import serve

    run(serve(db, port, None if headless else ui_port))


@tasker.command("worker")
@click.option("--app", required=True, metavar="MODULE:ATTRIBUTE", help="A template, a list of them, or a TaskerPlugin.")
@click.option("--task-queue", "queues", multiple=True, help="May be repeated; else the queues the templates name.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long running handlers may go on after a signal to stop.",
)
@click.option("--address", help="HOST:PORT of the server.")
@click.option("--namespace", help="The server's namespace.")
@click.option("--profile", help="The profile of Temporal's configuration file.")
def run_worker(
    app: str, queues: tuple[str, ...], grace: float, address: str | None, namespace: str | None, profile: str | None
) -> None:
    """Run the steps of your templates.

    The connection comes from Temporal's own environment variables (TEMPORAL_ADDRESS, ...) and configuration file; the
    options win over both. SIGTERM or Ctrl-C stops the worker, once the handlers that run have ended.
    """
    from tasker_temporal.cli.connection import Connection
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.workers import work

    run(work(app, queues, grace, Connection(address, namespace, profile)))


@tasker.command("demo")
@click.option("--keep", is_flag=True, help="Leave the server and the worker running until Ctrl-C.")
def run_demo(keep: bool) -> None:
    """Watch an example run.

    Thirty-two orders of a small shop, on a Temporal server of their own; some of them meet trouble.
    """
    from tasker_temporal.cli.demo.show import show
    from tasker_temporal.cli.process import run

    run(show(keep))


def main() -> None:
    """The entry point of the command."""
    tasker(prog_name="tasker")
