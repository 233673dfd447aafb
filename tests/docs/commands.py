"""The commands of a page: that each exists, with the subcommands and the flags that are given to it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tasker_temporal.dev import find_server
from tests.docs.blocks import ROOT, Block


class Command(NamedTuple):
    """One command, and what the page says that it prints."""

    words: Sequence[str]
    shown: str


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block: of `sh` all lines, of `console` those after a `$`, each with the lines below it."""
    text = block.text.replace("\\\n", " ")
    if block.language == "sh":
        found = [(line, "") for line in text.splitlines()]
    else:
        found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    for line, shown in found:
        if words := shlex.split(line, comments=True):
            yield Command(words, shown)


def mistake(command: Command) -> str | None:
    """What is wrong with the command; None if nothing is."""
    program = command.words[0]
    if program in CHECKS:
        return CHECKS[program](command.words)
    return None if _path(program) else f"there is no command {program!r}"


def _pip(words: Sequence[str]) -> str | None:
    """The extras that are to be installed are extras of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = re.findall(r"(?:tasker-temporal|\.)\[([\w,-]+)\]", " ".join(words))
    unknown = {extra for extras in wanted for extra in extras.split(",")} - project["optional-dependencies"].keys()
    return f"the package has no extra {sorted(unknown)}" if unknown else None


def _make(words: Sequence[str]) -> str | None:
    makefile = (ROOT / "Makefile").read_text()
    unknown = [word for word in words[1:] if "=" not in word and f"\n{word}:" not in makefile]
    return f"the Makefile has no target {unknown}" if unknown else None


def _python(words: Sequence[str]) -> str | None:
    """A module is there. A script is a file of the page, and is run with it."""
    if words[1] != "-m" or importlib.util.find_spec(words[2]) is not None:
        return None
    return f"there is no module {words[2]!r}"


def _with_help(words: Sequence[str]) -> str | None:
    """The program's own help knows the subcommand and names each flag."""
    program, *rest = words
    known = _known_words(program, [word for word in rest if not word.startswith("-")])
    if not known:
        return f"{program!r} has no command {rest[0]!r}"
    flags = [word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    unknown = [flag for flag in flags if not re.search(rf"(?<![\w-]){flag}(?![\w-])", _help(program, known))]
    return f"{program} {' '.join(known)} has no {unknown}" if unknown else None


def _known_words(program: str, words: Sequence[str]) -> tuple[str, ...]:
    """The words that name a subcommand: its help lists the next one."""
    known: tuple[str, ...] = ()
    for word in words:
        if not re.search(rf"^ +{re.escape(word)} ", _help(program, known), re.MULTILINE):
            break
        known = (*known, word)
    return known


@cache
def _help(program: str, words: Sequence[str]) -> str:
    asked = [_path(program) or program, *words, "--help"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


CHECKS: Final[Mapping[str, Callable[[Sequence[str]], str | None]]] = {
    "pip": _pip,
    "make": _make,
    "python": _python,
    "temporal": _with_help,
    "tasker": _with_help,
}


def _path(program: str) -> str | None:
    """Where the program is; those that the package and its extras install stand beside the interpreter."""
    if program == "temporal":
        return find_server()
    beside = Path(sys.executable).with_name(program)
    return str(beside) if beside.exists() else shutil.which(program)


async def started(command: Command, folder: Path, environment: Mapping[str, str]) -> Process:
    program, *rest = command.words
    pipe = asyncio.subprocess.PIPE
    found = _path(program) or program
    return await asyncio.create_subprocess_exec(found, *rest, cwd=folder, env=environment, stdout=pipe, stderr=pipe)


async def stopped(process: Process) -> None:
    """End what runs until it is ended."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


async def run(command: Command, folder: Path, environment: Mapping[str, str]) -> None:
    """Run the command to its end.

    Raises:
        AssertionError: it failed, or said something else than the page says.
    """
    process = await started(command, folder, environment)
    out, err = (stream.decode() for stream in await process.communicate())
    ended_well = process.returncode == 0 or (process.returncode == -signal.SIGABRT and SDK_ABORT in err)
    assert ended_well, f"{shlex.join(command.words)} ended with {process.returncode}:\n{out}{err}"
    assert command.shown in ("", out), f"{shlex.join(command.words)} says something else:\n{out}"


SDK_ABORT: Final = "PyGILState_Release"
"""Temporal's SDK can abort a process that is done, when its threads outlive the interpreter."""
