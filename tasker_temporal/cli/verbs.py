"""The verbs for one task and for lists of them: their options and help. The work is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tasker_temporal.cli import options
from tasker_temporal.cli.options import Connection, duration

MACHINES = ["task", "step", "critical", "batch"]

STEP = "state, attempt, execution, started_at, ended_at, next_attempt_at, last_error, by_hand, handled_by, waits_for"
REPORT = (
    "the report: task_id, template, version, state, started_at, ended_at, counts, completion_percentage, "
    "execution_status, recommended_action, health_status, cancelling, problems, last_error, "
    f"steps ({STEP})"
)
ROW = "sort_key, kind, entity, from, to, event, actor, reason, cause, metadata, at, digest"


@click.command("start")
@click.argument("template", shell_complete=options.complete_template)
@click.option("--context", metavar="JSON|@FILE|-", help="What the task is about; - reads it from standard input.")
@click.option("--id", metavar="ID", help="The task's id, which is the workflow's.")
@click.option(
    "--identity",
    type=click.Choice(["unique", "strict"]),
    help="Without --id: unique draws an id, strict makes it of template, version and context.  [default: unique]",
)
@click.option(
    "--on-duplicate",
    type=click.Choice(["raise", "return"]),
    help="If there is a task of this id: raise ends with code 2, return takes that one.  [default: raise]",
)
@click.option("--task-queue", metavar="NAME", help="Where it runs; the template's own unless said.")
@click.option("--actor", help="Who starts it, for the audit; USER@HOST unless said.")
@click.option("--reason", help="Why, for the audit.")
@click.option("--start-delay", type=duration, metavar="TIME", help="How long it waits before it begins: 90s, 1h30m.")
@click.option("--wait", is_flag=True, help="Wait for its end, and print its report.")
@options.as_json(f"task_id, template, task_queue, started; with --wait {REPORT}")
@options.app
@options.connects
def start(
    template: str,
    context: str | None,
    app: str | None,
    wait: bool,
    as_json: bool,
    connection: Connection,
    **given: Any,
) -> None:
    """Start a task of TEMPLATE, and print its id.

    The context is checked against the template that the app has. Without an app the template's name and --task-queue
    do, and the worker checks it.

    \b
    Example:
      tasker start shop.sell --context '{"item": "book", "cents": 2500}' --wait
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.starting import Asked
    from tasker_temporal.cli.starting import start as begin

    run(begin(Asked(template, context, app, given, wait, as_json), connection))


@click.command("status")
@click.argument("task")
@options.as_json(REPORT)
@options.connects
def status(task: str, as_json: bool, connection: Connection) -> None:
    """Show where TASK stands.

    Ends with code 1 if it failed or was cancelled. If no worker answers, its history is told again, and a warning says
    so (`tasker why` has the details).

    \b
    Example:
      tasker status shop.sell-1 --json | jq .state
    """
    from tasker_temporal.cli.looking import status as show
    from tasker_temporal.cli.process import run

    run(show(task, connection, as_json))


@click.command("result")
@click.argument("task")
@click.option("--step", metavar="NAME", help="Print what this step returned, as JSON, without waiting.")
@options.as_json(f"{REPORT}; with --step what it returned, with and without this option")
@options.connects
def result(task: str, step: str | None, as_json: bool, connection: Connection) -> None:
    """Wait for the end of TASK, and show its report, or with --step what a step returned.

    Ends with code 1 if the task failed or was cancelled, or if the step has no result.

    \b
    Example:
      tasker result shop.sell-1 --step ship
    """
    from tasker_temporal.cli.looking import result as show
    from tasker_temporal.cli.process import run

    run(show(task, step, connection, as_json))


@click.command("audit")
@click.argument("task", required=False)
@click.option(
    "--verify",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Only say whether the chain holds: of TASK, or of an exported FILE, for which no server is needed.",
)
@click.option("--export", type=options.OUTPUT, metavar="FILE", help="Write it to FILE, one line of JSON for each row.")
@click.option(
    "--archive",
    metavar="URL|FILE",
    help="Read TASK from where a sink keeps rows: postgresql://HOST/DB[#TABLE], or a file; no server is needed.",
)
@options.as_json(
    f"what --export writes, a first line and one for each row: {ROW}; with --verify task_id, rows, head, verified"
)
@options.connects
def audit(
    task: str | None,
    verify: str | None,
    export: Path | None,
    archive: str | None,
    as_json: bool,
    connection: Connection,
) -> None:
    """Show all that happened to TASK, and why.

    The chain of digests is verified each time; a record that does not hold ends with code 1, and the first bad row is
    named. A task that is over is read without a worker.

    \b
    Examples:
      tasker audit shop.sell-1 --export sell-1.jsonl
      tasker audit --verify sell-1.jsonl
      tasker audit shop.sell-1 --archive audit.jsonl
    """
    from tasker_temporal.cli import auditing
    from tasker_temporal.cli.process import run

    if task is None and not verify:
        raise click.UsageError("Missing argument 'TASK'.", click.get_current_context())
    if task is None and verify:
        run(auditing.verify_file(Path(verify), as_json))
    elif task is not None and not verify and archive is not None:
        run(auditing.audit_archive(task, archive, verify is not None, export, as_json))
    elif task is not None and not verify:
        run(auditing.audit(task, verify is not None, export, connection, as_json))
    raise click.UsageError(f"--verify takes TASK or the file {verify!r}, not both.", click.get_current_context())


@click.command("graph")
@click.argument("name", metavar="FILE.yaml|TEMPLATE|TASK", required=False, shell_complete=options.complete_template)
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot", "svg", "ascii"]),
    help="How it is drawn; else by the ending of --output (.mmd, .dot, .svg), else ascii.",
)
@click.option("--output", type=options.OUTPUT, metavar="FILE", help="Write it to FILE.")
@click.option(
    "--machine",
    type=click.Choice(MACHINES),
    help="Draw the states of a task, a step, or a type of tasks; with `task`, those of the type that NAME has.",
)
@options.as_json("title, nodes (name, label, state, note), edges (source, target, kind, label)")
@options.app
@options.connects
def graph(
    name: str | None,
    form: str | None,
    output: Path | None,
    machine: str | None,
    as_json: bool,
    app: str | None,
    connection: Connection,
) -> None:
    """Draw a template, or a task and its states.

    The template is one in a YAML file, or one of the app.

    \b
    Examples:
      tasker graph shop.sell --output sell.svg
      tasker graph --machine step --format mermaid
      tasker graph shop.closing --machine task
    """
    from tasker_temporal.cli.drawing import draw, draw_machine
    from tasker_temporal.cli.process import run

    chosen = "json" if as_json else form
    if machine is not None and (name is None or machine != "task"):
        run(draw_machine(machine, chosen, output))
    if name is None:
        raise click.UsageError("Missing argument 'FILE.yaml|TEMPLATE|TASK'.", click.get_current_context())
    run(draw(name, chosen, output, app, connection, type_alone=machine is not None))


@click.command("watch")
@click.argument("task")
@options.as_json(f"one line for each row of the audit: {ROW}")
@options.connects
def watch(task: str, as_json: bool, connection: Connection) -> None:
    """Watch TASK until it is over.

    On a terminal it is a live table, in a pipe one line for each transition. Ends with code 1
    if it failed or was cancelled. Ctrl-C stops the watching, not the task.

    \b
    Example:
      tasker watch shop.sell-1 | grep error
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.watching import watch as follow

    run(follow(task, connection, as_json))


@click.command("resend")
@click.argument("task")
@click.option("--sink", required=True, metavar="NAME", help="Which of its sinks.")
@click.option(
    "--from", "number", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="The first number."
)
@options.as_json("task_id, sink, events, workflow_id")
@options.connects
def resend(task: str, sink: str, number: int, as_json: bool, connection: Connection) -> None:
    """Send a sink of TASK once more what it had, from number N on.

    The events have the numbers and ids that they have always had. A worker that reaches the sink sends them.

    \b
    Example:
      tasker resend shop.sell-1 --sink archive --from 40
    """
    from tasker_temporal.cli.process import run
    from tasker_temporal.cli.resending import send_again

    run(send_again(task, sink, number, connection, as_json))


VERBS: tuple[click.Command, ...] = (start, status, result, audit, graph, watch, resend)
