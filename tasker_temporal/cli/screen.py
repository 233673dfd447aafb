"""Where the commands print: tables and colours for people, lines without either for pipes, JSON for programs."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table

from tasker_temporal.cli.process import WrongUse

WIDE = 1000
"""Columns where nobody looks: in a pipe no cell is folded."""


class Screen(Console):
    """The console. If its reader goes away, as `head` does, the command comes to its end in silence.

    Rich would raise SystemExit, which tears down an event loop while the worker in it waits to be stopped.
    """

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def show(self, table: Table) -> None:
        """Print a table, without blanks at the ends of lines."""
        if self.is_terminal:
            self.print(table)
            return
        with self.capture() as captured:
            self.print(table)
        self.out("\n".join(line.rstrip() for line in captured.get().splitlines()), highlight=False)

    def found(self, lines: Sequence[Any], as_json: bool, table: Callable[[Any], Table], nothing: str) -> None:
        """Print what was found, as JSON or as a table; if that is nothing, a table's place takes the note."""
        if as_json:
            self.json(lines)
        elif lines:
            self.show(table(lines))
        else:
            click.echo(nothing, err=True)

    def json(self, value: Any, before: str = "") -> None:
        """Print a value as JSON: indented on a terminal, on one line elsewhere."""
        text = to_json(value, indent=2 if self.is_terminal else None).decode()
        self.out(before + text, highlight=False)


def screen() -> Screen:
    """The command's standard output."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Screen(highlight=False, width=WIDE if piped else None)


def put(text: str, output: Path | None) -> None:
    """Write a text that ends with one line break to the file, else to standard output."""
    if output is None:
        click.echo(text.rstrip("\n"))
        return
    try:
        output.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"file {str(output)!r} cannot be written: {error.strerror}") from error


def screen_of_errors() -> Screen:
    """The command's standard error, for what is said beside its output."""
    return Screen(highlight=False, stderr=True, width=None if sys.stderr.isatty() else WIDE)


def is_asked_by_a_person() -> bool:
    """Somebody is there to answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


SAID = {"y": True, "yes": True, "n": False, "no": False, "": False}


async def is_confirmed(question: str) -> bool:
    """Ask a person. The loop goes on meanwhile, so that Ctrl-C is heard at any moment."""
    while True:
        click.echo(f"{question} [y/N]: ", nl=False, err=True)
        answer = (await _line()).strip().lower()
        if answer in SAID:
            return SAID[answer]


async def _line() -> str:
    """What is typed next. Nothing waits for the thread if nobody types, as it would for one of the loop's own."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()

    def tell(line: str) -> None:
        if not typed.done():
            typed.set_result(line)

    def read() -> None:
        line = _read()
        with suppress(RuntimeError):  # The loop has been closed meanwhile.
            loop.call_soon_threadsafe(tell, line)

    threading.Thread(target=read, daemon=True).start()
    return await typed


def _read() -> str:
    try:
        return os.read(sys.stdin.fileno(), 4096).decode(errors="replace")
    except OSError:  # The terminal is gone: nobody says yes.
        return ""
