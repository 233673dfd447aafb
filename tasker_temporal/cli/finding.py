"""The verbs that find tasks and explain them: their options and help. The work is imported when it is asked for."""

from __future__ import annotations

from typing import Any

import click

from tasker_temporal.cli import options
from tasker_temporal.cli.options import Connection

REASON = "kind, step, sentence, since, until, action, could"


@click.command("why")
@click.argument("task")
@click.option("--all", "everything", is_flag=True, help="Also when it is a long list.")
@options.as_json(f"task_id, template, state, source, reasons ({REASON})")
@options.connects
def why(task: str, everything: bool, as_json: bool, connection: Connection) -> None:
    """Say what TASK waits for, and what to do about it.

    One sentence for each thing: since when, until when, and the best next action as a command. It also tells if no
    worker polls its queue, or if its workers fail: then its history is told again. Of a task that is over it says why.

    \b
    Example:
      tasker why shop.sell-1
    """
    from tasker_temporal.cli.explaining import why as explain
    from tasker_temporal.cli.process import run

    run(explain(task, everything, connection, as_json))


@click.command("list")
@click.option(
    "--state",
    metavar="STATE",
    help="Only those in this state: open, in_progress, pending_approval, paused, error, complete, resolved_manually, "
    "cancelled, terminated, timed_out, or one of a task type of the app.",
)
@click.option(
    "--template", metavar="NAME", shell_complete=options.complete_template, help="Only those of this template."
)
@click.option(
    "--waiting-for",
    type=click.Choice(["approval", "move", "event", "hold", "pause", "backoff", "handler"]),
    help="Only those that wait for this; a backoff from 10 seconds on.",
)
@click.option("--failed-step", metavar="NAME", help="Only those in which this step has failed for good.")
@click.option("--query", metavar="QUERY", help="Temporal's own list filter, beside the others.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@options.as_json("a list of task_id, template, state, waiting_for, failed_steps, started_at, ended_at")
@options.app
@options.connects
def list_(as_json: bool, connection: Connection, **wanted: Any) -> None:
    """List tasks, the latest first.

    Temporal's visibility is asked, which a task may reach a moment late. What an open task waits for is known by the
    search attributes that `tasker setup` adds, of tasks that were started since then. Without --template and without
    an app, workflows that are no tasks are listed too.

    \b
    Examples:
      tasker list --state error --template shop.sell
      tasker list --waiting-for hold --limit 10000
    """
    from tasker_temporal.cli.listing import Wanted, list_tasks
    from tasker_temporal.cli.process import run

    run(list_tasks(Wanted(**wanted), connection, as_json))


@click.command("approvals")
@click.option("--approver", metavar="NAME", help="Only what this person may vote on, and has not yet.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A group that the person is in; repeatable.")
@click.option(
    "--template", metavar="NAME", shell_complete=options.complete_template, help="Only of tasks of this template."
)
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many tasks.")
@options.as_json(
    "a list of task_id, template, step, approval, since, until, approvers, quorum, approved_by, "
    "requester (who may not vote), verified, form"
)
@options.app
@options.connects
def approvals(
    approver: str | None,
    groups: tuple[str, ...],
    template: str | None,
    limit: int,
    as_json: bool,
    app: str | None,
    connection: Connection,
) -> None:
    """List what people are asked to approve.

    Whoever started a task may not vote on it if its approval wants four eyes: it says who, and leaves it out for them.

    \b
    Example:
      tasker approvals --approver ann --group finance
    """
    from tasker_temporal.cli.inbox import Voter
    from tasker_temporal.cli.inbox import approvals as show
    from tasker_temporal.cli.process import run

    run(show(Voter(approver, groups), template, limit, app, connection, as_json))


@click.command("setup")
@options.as_json("namespace, added, there")
@options.connects
def setup(as_json: bool, connection: Connection) -> None:
    """Give a namespace what lists need.

    It adds the search attributes TaskerState, TaskerWaitingFor and TaskerFailedSteps, unless they are there. `tasker
    dev` has them already.

    \b
    Example:
      tasker setup --namespace shop
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.setup import setup as give

    run(give(connection, as_json))


FINDING: tuple[click.Command, ...] = (list_, why, approvals, setup)
