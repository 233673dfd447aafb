"""The verbs that step in, a line for each request. The work is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import click

from tasker_temporal.cli import options
from tasker_temporal.cli.options import Connection, duration


class Verb(NamedTuple):
    """One request as a command. Its options are called like the request's fields."""

    request: str
    """As the core calls it: `retry_step`."""
    text: str
    """The help; its first sentence stands in the list of all commands."""
    example: str
    """What follows TASK in the example."""
    reason: str
    """Why, in the example."""
    step: Literal["", "STEP", "[STEP]"] = ""
    """What is asked of: the task, a step of it, or either."""
    options: Sequence[click.Option] = ()

    @property
    def name(self) -> str:
        return self.request.replace("_", "-")


FRESH = click.Option(["--fresh"], is_flag=True, help="Give it all its attempts anew; else it gets one if none is left.")
RESULT = options.json_option("--result", "What the handler would have returned; null unless said.")
FORM = options.json_option("--form", "The approval's form, filled in.")
APPROVAL = click.Option(["--approval"], metavar="ID", help="Refused if it is not this one, as fraud_review#1, by now.")
VOTE = (APPROVAL,)
TO = click.Option(["--to"], required=True, metavar="STATE", help="The state.")
EVENT = (
    click.Option(["--name"], required=True, metavar="NAME", help="The event's name."),
    options.json_option("--payload", "What it says."),
    click.Option(["--id"], metavar="ID", help="The event's own id."),
)
CHANGES = (
    click.Option(["--attempts"], type=click.IntRange(min=1), metavar="N", help="All attempts, the first included."),
    click.Option(["--timeout"], type=duration, metavar="TIME", help="How long one attempt may take: 90s, 1h30m."),
    click.Option(["--task-queue"], metavar="NAME", help="Where its handler runs."),
    options.json_option("--config", "The step's config, an object."),
)

REQUESTS: Final = (
    Verb(
        "pause",
        "Start nothing new in TASK until it is resumed. Running steps end, and deadlines run on.",
        "",
        "the gateway is down",
    ),
    Verb("resume", "Go on with a paused TASK.", "", "the gateway is open again"),
    Verb(
        "retry",
        "Go on with a TASK in error. Failed steps get all their attempts anew, done steps are not redone. A task whose "
        "run has failed is reopened.",
        "",
        "the gateway is open again",
    ),
    Verb("resolve", "Close a TASK in error as dealt with by hand.", "", "refunded in cash"),
    Verb(
        "cancel",
        "Stop TASK. Steps that run are told to end; `tasker watch` shows when it has stopped.",
        "",
        "the customer changed her mind",
    ),
    Verb(
        "skip",
        "Go on without a pending or failed STEP. What requires its result is skipped too.",
        "ship",
        "she collects it",
        "STEP",
    ),
    Verb(
        "retry_step",
        "Try a failed STEP now, whatever it waits for.",
        "charge --fresh",
        "the gateway is open again",
        "STEP",
        (FRESH,),
    ),
    Verb(
        "retry_from",
        "Do a STEP that is over once more, and all that depend on it.",
        "charge",
        "it charged the wrong card",
        "STEP",
    ),
    Verb(
        "resolve_step",
        "Take a pending or failed STEP as dealt with by hand, without a result. Refused if one is required.",
        "charge",
        "paid in cash",
        "STEP",
    ),
    Verb(
        "complete_step",
        "Take STEP as done, with this result. It must be of the handler's return type; a worker checks it.",
        "charge --result '{\"amount\": 12}'",
        "paid in cash",
        "STEP",
        (RESULT,),
    ),
    Verb(
        "change_step",
        "Run STEP otherwise than its template says, in this task only.",
        "charge --attempts 9 --timeout 5m",
        "the gateway is slow today",
        "STEP",
        CHANGES,
    ),
    Verb(
        "approve",
        "Vote for the approval STEP, or for that of TASK itself. The form of the vote that decides is its result.",
        "fraud_review --form '{\"risk\": 2}'",
        "she is an old customer",
        "[STEP]",
        (FORM, APPROVAL),
    ),
    Verb(
        "reject",
        "Vote against the approval STEP, or that of TASK: it decides.",
        "fraud_review",
        "the address does not exist",
        "[STEP]",
        VOTE,
    ),
    Verb(
        "withdraw",
        "Take back one's vote on the approval STEP, or on that of TASK.",
        "fraud_review",
        "I looked at the wrong order",
        "[STEP]",
        VOTE,
    ),
    Verb(
        "send_event",
        "Tell TASK of something that happened outside. The same id of the same event is taken once.",
        "--name payment.received --payload '{\"cents\": 12}' --id wire-7",
        "the bank wrote a letter",
        "",
        EVENT,
    ),
    Verb(
        "move",
        "Move TASK to another state of its type, one that is asked for.",
        "--to shipped",
        "the carrier called",
        "",
        (TO,),
    ),
)
"""In the order in which `tasker --help` lists them."""

ASKED = (
    click.option("--actor", help="Who asks, for the audit; USER@HOST unless said."),
    click.option("--reason", required=True, help="Why, for the audit."),
    click.option(
        "--request-id",
        metavar="ID",
        help="The same id twice has one effect and one answer, so it is safe to ask again; drawn unless said.",
    ),
    click.option("--plan", is_flag=True, help="Only show what would follow."),
)

MANY = (
    click.option("--query", metavar="QUERY", help="Instead of TASK: all that Temporal's visibility finds."),
    click.option("--yes", is_flag=True, help="With --query: do not ask whether these are the right ones."),
    click.option(
        "--at-once",
        type=click.IntRange(1, 200),
        default=16,
        show_default=True,
        metavar="N",
        help="With --query: so many tasks at a time.",
    ),
)

ANSWER = (
    "task_id, request_id, first, last, rows (the first hundred that followed); with --plan task_id, rows, unchecked"
)
ANSWERS = f"{ANSWER}; with --query request, request_id, query, found, done, refused, unanswered, unchecked"


def command(verb: Verb) -> click.Command:
    """The command of one request."""
    made = click.command(verb.name, help=_help(verb))(_of_step(verb) if verb.step else _of_task(verb))
    arguments = sum(isinstance(parameter, click.Argument) for parameter in made.params)
    made.params[arguments:arguments] = verb.options
    return made


def _help(verb: Verb) -> str:
    """The text, and how it is used: once for one task, and once for many if it can be."""
    first = verb.text.partition(". ")[0].removesuffix(".")
    rest = verb.text[len(first) + 1 :].strip()
    asked = f"{verb.example} --reason {verb.reason!r}".strip()
    examples = [f"tasker {verb.name} shop.sell-1 {asked}"]
    if not verb.step:
        examples.append(f"tasker {verb.name} --query \"WorkflowType = 'shop.sell'\" {asked}")
    shown = "\n".join(f"  {example}" for example in examples)
    return f"{first}.\n\n{rest}\n\n\b\nExample{'s' * (len(examples) > 1)}:\n{shown}\n"


def _of_task(verb: Verb) -> options.Command:
    def ask(task: str | None, query: str | None, as_json: bool, connection: Connection, **given: Any) -> None:
        from tasker_temporal.cli.asking import ask_many, ask_one, read
        from tasker_temporal.cli.process import run

        if (task is None) == (query is None):
            told = "Missing argument 'TASK', or --query." if task is None else "It takes TASK or --query, not both."
            raise click.UsageError(told, click.get_current_context())
        yes, at_once = given.pop("yes"), given.pop("at_once")
        asked = read(verb.request, given, as_json)
        run(ask_one(asked, task, connection) if task else ask_many(asked, query or "", yes, at_once, connection))

    task = click.argument("task", required=False)
    return options.stacked((task, *ASKED, *MANY, options.as_json(ANSWERS), options.connects), ask)


def _of_step(verb: Verb) -> options.Command:
    def ask(task: str, as_json: bool, connection: Connection, **given: Any) -> None:
        from tasker_temporal.cli.asking import ask_one, read
        from tasker_temporal.cli.process import run

        run(ask_one(read(verb.request, given, as_json), task, connection))

    named = (click.argument("task"), click.argument("step", required=verb.step == "STEP"))
    return options.stacked((*named, *ASKED, options.as_json(ANSWER), options.connects), ask)
