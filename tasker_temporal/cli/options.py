"""Options that several commands share. Nothing that takes time is imported here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click

from tasker_temporal.durations import parse_duration

Command = Callable[..., None]

OUTPUT = click.Path(dir_okay=False, path_type=Path)
A_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class Connection(NamedTuple):
    """What the command's options say about the server."""

    address: str | None = None
    namespace: str | None = None
    profile: str | None = None
    api_key: str | None = None
    tls: bool = False
    tls_cert_path: Path | None = None
    tls_key_path: Path | None = None
    tls_ca_path: Path | None = None
    tls_server_name: str | None = None


class Telling(NamedTuple):
    """What a worker tells of itself: lines of the log as text or JSON, and telemetry as OTEL_ variables say."""

    log_format: str = "text"
    telemetry: bool = False


SILENT = Telling()


CONNECTION = (
    click.option("--address", metavar="HOST:PORT", help="Where the server is."),
    click.option("--namespace", metavar="NAME", help="The server's namespace."),
    click.option("--profile", metavar="NAME", help="A profile of Temporal's configuration file."),
    click.option("--api-key", metavar="KEY", help="The API key; it turns TLS on."),
    click.option("--tls", is_flag=True, help="Connect with TLS."),
    click.option("--tls-cert-path", type=A_FILE, metavar="FILE", help="The client's certificate; turns TLS on."),
    click.option("--tls-key-path", type=A_FILE, metavar="FILE", help="The certificate's private key."),
    click.option("--tls-ca-path", type=A_FILE, metavar="FILE", help="The authority that the server's is checked by."),
    click.option("--tls-server-name", metavar="NAME", help="The name in the server's certificate, if it is another."),
)


class _Text(click.types.StringParamType):
    """A text that says something: an empty one is a variable of the shell that nobody has set.

    Bytes that are no UTF-8 stand for names that no server could have.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty.", param, ctx)
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            self.fail("it is not UTF-8.", param, ctx)
        return super().convert(value, param, ctx)


def refuse_empty(command: click.Command) -> click.Command:
    """Let no text that is passed to the command be empty."""
    for parameter in command.params:
        # An option whose value may be left out, as `audit --verify`, is given this one by itself.
        if parameter.type is click.STRING and getattr(parameter, "flag_value", None) != "":
            parameter.type = _Text()
    for below in getattr(command, "commands", {}).values():
        refuse_empty(below)
    return command


def connects(command: Command) -> Command:
    """Give the command the flags that Temporal's own CLI has, and hand it their values as `connection`."""

    @functools.wraps(command)
    def gathered(**values: Any) -> None:
        command(connection=Connection(**{name: values.pop(name) for name in Connection._fields}), **values)

    return stacked(CONNECTION, gathered)


app = click.option(
    "--app",
    metavar="MODULE:ATTRIBUTE",
    help="A template, a list of them, or a TaskerPlugin; else `app` in [tool.tasker] of ./pyproject.toml.",
)


def complete_template(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The templates of the app, for a shell that completes. Whatever is wrong with it is told by the command itself."""
    from contextlib import redirect_stderr, redirect_stdout, suppress
    from io import StringIO

    names: list[str] = []
    with suppress(Exception, SystemExit), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        from tasker_temporal.cli.app import find_app

        plugin = find_app(context.params.get("app"), Path.cwd())
        names = [] if plugin is None else [name for name in plugin.templates if name.startswith(incomplete)]
    return names


def as_json(what: str) -> Callable[[Command], Command]:
    """`--json`, with the shape of what it prints."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print JSON: {what}")


def stacked(decorators: Iterable[Callable[[Command], Command]], command: Command) -> Command:
    """The command under these decorators, as if they stood above it in this order."""
    return functools.reduce(lambda made, decorator: decorator(made), reversed(list(decorators)), command)


def json_option(name: str, help: str) -> click.Option:
    """An option that takes JSON, `@FILE`, or `-` for standard input."""

    def value(given: str) -> Any:
        from tasker_temporal.cli.context import read_json

        return read_json(given, name)

    return click.Option([name], type=value, metavar="JSON|@FILE|-", help=help)


def duration(text: str) -> timedelta:
    """A time, as `90`, `90s`, `1m30s`, `1.5h`, `2d` or `PT30S`; a bare number is seconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def unwritable(error: OSError) -> str:
    """What cannot be read or written, and why."""
    what = f"file {str(error.filename)!r} cannot be used" if error.filename else "the output cannot be written"
    return f"{what}: {error.strerror or error}"
