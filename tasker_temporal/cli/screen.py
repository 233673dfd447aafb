"""Where the commands print: tables and colours for people, lines without either for pipes, JSON for programs."""

from __future__ import annotations

import os
import sys
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
