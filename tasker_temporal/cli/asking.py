"""A request to one task, or to all that a query finds, and what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import click
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.looking import me
from tasker_temporal.cli.many import Answers, Found, find, preview, tell_unchecked
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN, FAILED, WrongUse
from tasker_temporal.cli.screen import is_asked_by_a_person, is_confirmed, screen
from tasker_temporal.cli.tables import audit_table
from tasker_temporal.core.rows import Row
from tasker_temporal.door import Door
from tasker_temporal.requests import parse

DRAWN: Mapping[str, Callable[[], str]] = {"actor": me, "request_id": lambda: str(uuid.uuid4())}
"""What need not be said."""


class Asked(NamedTuple):
    """What the command's options ask for."""

    request: str
    fields: Mapping[str, Any]
    """Of the request, as JSON: who asks, why, and what else it takes."""
    plan: bool
    as_json: bool

    async def put(self, client: Client, task: str) -> Mapping[str, Any]:
        """Make the request, or plan it. The answer has the `rows` that followed, or would."""
        door = Door(client, task)
        if self.plan:
            planned = await door.plan({**self.fields, "request": self.request})
            return {"rows": [row.plain() for row in planned], "unchecked": planned.unchecked}
        return {"request_id": self.fields["request_id"], **await door.ask(self.request, self.fields)}


def read(request: str, given: Mapping[str, Any], as_json: bool) -> Asked:
    """What was given on the command line, as a request. What was not said is left to the request's own defaults.

    Raises:
        WrongUse: it is no such request.
    """
    fields = {name: value for name, value in given.items() if value is not None and name != "plan"}
    if isinstance(timeout := fields.get("timeout"), timedelta):
        fields["timeout"] = timeout.total_seconds()
    who: dict[str, Any] = {name: given[name] if given[name] is not None else drawn() for name, drawn in DRAWN.items()}
    try:
        # Some requests have an id of their own making.
        who["request_id"] = parse(request, fields | who).request_id
    except ApplicationError as error:
        raise WrongUse(error.message) from error
    return Asked(request, fields | who, given["plan"], as_json)


async def ask_one(asked: Asked, task: str, connection: Connection) -> int:
    """Make the request of one task, and print what followed. Returns the exit code."""
    async with connected(connection, about=f"task {task!r}") as client:
        answer = await asked.put(client, task)
    if asked.as_json:
        screen().json({"task_id": task, **answer})
        return CLEAN
    rows = [Row.of(plain) for plain in answer["rows"]]
    if asked.plan and not rows:
        click.echo("Nothing would follow: the request was made before, under this id.", err=True)
        return CLEAN
    screen().show(audit_table(rows))
    if asked.plan:
        click.echo("This would follow. Nothing was done.", err=True)
        tell_unchecked(answer["unchecked"])
        return CLEAN
    if (more := answer["last"] - answer["first"] + 1 - len(rows)) > 0:
        click.echo(f"And {more} more rows. To see them: tasker audit {task}", err=True)
    click.echo(f"To follow it: tasker watch {task}", err=True)
    return CLEAN


async def ask_many(asked: Asked, query: str, yes: bool, at_once: int, connection: Connection) -> int:
    """Make the request of all tasks that the query finds. Returns the exit code: 1 if not all of them took it."""
    async with connected(connection, about=f"query {query!r}") as client:
        found = await find(client, query)
        if found and not (yes or asked.plan or await _is_wanted(asked, query, found)):
            click.echo("Nothing was done.", err=True)
            return FAILED
        answers = Answers(asked.request, asked.fields["request_id"], query, len(found), asked.plan)
        try:
            await answers.collect(client, asked.put, found, at_once)
        finally:
            # Also when Ctrl-C ends it in between: what is done is done.
            answers.show(asked.as_json)
    return CLEAN if len(answers.done) == len(found) else FAILED


async def _is_wanted(asked: Asked, query: str, found: list[Found]) -> bool:
    """Show a person what was found, and ask."""
    what = f"{asked.request} {len(found)} task{'s' * (len(found) != 1)}"
    if not is_asked_by_a_person():
        raise WrongUse(f"this would {what}, and nobody can be asked here: pass --yes to do it, or --plan to look first")
    preview(query, found)
    return await is_confirmed(f"{what.capitalize()} as {asked.fields['actor']}: {asked.fields['reason']}?")
