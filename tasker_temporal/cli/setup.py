"""`tasker setup`: gives a namespace what lists of tasks need."""

from __future__ import annotations

import click
from temporalio.client import Client
from temporalio.service import RPCError

from tasker_temporal.attributes import KEYS, type_name
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN, WrongUse
from tasker_temporal.cli.screen import screen
from tasker_temporal.namespace import UNTOLD, add


async def setup(connection: Connection, as_json: bool) -> int:
    """Add the search attributes that are not there. Returns the exit code."""
    async with connected(connection) as client:
        names = await added(client)
    if as_json:
        screen().json({"namespace": client.namespace, "added": names, "there": [k for k in KEYS if k not in names]})
        return CLEAN
    for name, kind in KEYS.items():
        what = "was added" if name in names else "is there already"
        click.echo(f"{name} ({type_name(kind)}) {what}.")
    if names:
        click.echo(
            "It can take the server a minute to know them. Tasks that are started from then on tell them, "
            "once their workers and starters have been restarted.",
            err=True,
        )
    return CLEAN


async def added(client: Client) -> list[str]:
    """What was added.

    Raises:
        WrongUse: the server refuses.
    """
    try:
        return list(await add(client))
    except RPCError as error:
        names = ", ".join(f"{name} as {type_name(kind)}" for name, kind in KEYS.items())
        why = "you may not" if error.status in UNTOLD else "it refuses"
        raise WrongUse(
            f"search attributes cannot be added to namespace {client.namespace!r}, {why} ({error.message}): "
            f"ask whoever runs the cluster to add {names}"
        ) from error
