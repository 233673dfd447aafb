"""What nobody means: apps that do not import, empty options, full disks, closed terminals. One line each."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click
import pytest
import pytest_asyncio
from click.testing import CliRunner

from tasker_temporal.cli import tasker as command
from tasker_temporal.cli.app import load_app
from tasker_temporal.cli.context import read_json
from tasker_temporal.cli.process import WrongUse
from tasker_temporal.dev import DevServer
from tests.cli.kit import Ended, Running, environment, tasker, write

APPS = {
    "raises": ("raise RuntimeError('two\\nlines')", r" does not import: RuntimeError: two lines \(/.*, line 1\)$"),
    "exits": ("raise SystemExit('no settings')", r" ends the process when it is imported, with 'no settings'$"),
    "broken": ("def f(:", r" does not import: SyntaxError: invalid syntax \(\w+\.py, line 1\)$"),
    "odd": (
        "from tasker_temporal import Retry\nRetry(attempts=0)",
        r" does not import: OptionError: Retry: its attempts is 0: expected at least 1 \(/.*_odd\.py, line 2\)$",
    ),
    "lacks": ("import nothing_of_this_name", r" does not import: ModuleNotFoundError: No module named"),
    "without": ("x = 3", r" has no attribute 'app'; templates in it: none$"),
    "number": ("app = 3", r":app' is of type int: expected a TaskTemplate, a list of them, or a TaskerPlugin$"),
    "empty": ("app = []", r":app' is empty: expected a TaskTemplate, a list of them, or a TaskerPlugin$"),
}

PARKED = """
from tasker_temporal import TaskTemplate
from pydantic import BaseModel

class Car(BaseModel):
    plate: str

parked = TaskTemplate("wrong.parked", context=Car, task_queue="{queue}")

@parked.step
def drive() -> None: ...
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def parked(server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, str]]:
    """A folder with a project that no worker serves, and the server's address."""
    code = PARKED.replace("{queue}", f"parked-{uuid.uuid4()}")
    folder = tmp_path_factory.mktemp("parked")
    yield write(folder, {"park.py": code, "pyproject.toml": '[tool.tasker]\napp = "park:parked"\n'}), server.target


@pytest.mark.parametrize("name", APPS)
def test_an_app_that_cannot_be_used_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    code, expected = APPS[name]
    module = f"app_that_{name}"
    write(tmp_path, {f"{module}.py": code})
    before = list(sys.path)
    try:
        with pytest.raises(WrongUse, match=rf"^(module|--app) '{module}'?{expected}"):
            load_app(f"{module}:app", tmp_path)
    finally:
        sys.path[:] = before


@pytest.mark.parametrize("app", ["shop", ":", "shop:", ":app", ".shop:app", "shop/orders:app", "shop.py:app"])
def test_what_names_no_app_is_told_how_one_is_named(app: str, tmp_path: Path) -> None:
    expected = "there is no module 'shop" if app == "shop.py:app" else f"--app {app!r}: expected MODULE:ATTRIBUTE, as"
    with pytest.raises(WrongUse) as told:
        load_app(app, tmp_path)
    assert told.value.message.startswith(expected)


def texts(found: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """How to call each command with an empty text, for each option and argument that takes one."""
    for name, below in getattr(found, "commands", {}).items():
        yield from texts(below, (*path, name))
    for parameter in found.params:
        if isinstance(parameter.type, click.types.StringParamType):
            flags = (parameter.opts[0],) if isinstance(parameter, click.Option) else ()
            needed = (p for p in found.params if p.required and isinstance(p, click.Argument) and p is not parameter)
            yield (*path, *flags, "", *("x" for _ in needed))


def test_an_empty_text_is_a_variable_that_nobody_has_set() -> None:
    calls = [call for call in texts(command) if "--verify" not in call]
    assert len(calls) > 100
    for call in calls:
        ended = CliRunner().invoke(command, call)
        assert ended.exit_code == 2, call
        assert "it is empty." in ended.output, (call, ended.output)


@pytest.mark.parametrize(
    "call",
    [("status", "\udcff"), ("retry", "--query", "WorkflowId = '\udcff'", "--reason", "r"), ("skip", "a", "\udcff")],
)
def test_a_text_that_is_no_utf_8_is_told(call: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(command, call)
    assert ended.exit_code == 2
    assert "it is not UTF-8." in ended.output


def test_json_that_is_nested_too_deeply_is_told() -> None:
    with pytest.raises(WrongUse, match="the JSON for --result is nested too deeply"):
        read_json("[" * 60_000 + "]" * 60_000, "--result")


def one_line(ended: Ended) -> str:
    assert (ended.code, ended.out) == (2, ""), ended
    [line] = ended.err.splitlines()
    return line


async def test_a_context_that_was_forgotten_is_asked_for(parked: tuple[Path, str]) -> None:
    folder, address = parked
    given = ("start", "wrong.parked"), ("schedule", "create", "x", "--template", "wrong.parked", "--every", "1h")
    ended = await asyncio.gather(*(tasker(*each, folder=folder, TEMPORAL_ADDRESS=address) for each in given))
    expected = "Error: 'wrong.parked' needs a context: pass it with --context, as JSON, @FILE or -"
    assert [one_line(each) for each in ended] == [expected, expected]


async def test_who_waits_for_a_task_learns_why_nothing_comes_and_that_it_goes_on(parked: tuple[Path, str]) -> None:
    folder, address = parked
    task = f"parked-{uuid.uuid4()}"
    context = json.dumps({"plate": "ZH 1"})
    await tasker("start", "wrong.parked", "--context", context, "--id", task, folder=folder, TEMPORAL_ADDRESS=address)
    async with Running("result", task, folder=folder, TEMPORAL_ADDRESS=address) as waiting:
        await waiting.complaint("Warning: the task waits for a worker: none polls task queue 'parked-")
        waiting.tell(signal.SIGINT)
        ended = await waiting.ended()
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.splitlines()[1:] == [f"Task {task} goes on. To follow it: tasker watch {task}"]
    told = await tasker("why", task, "--json", folder=folder, TEMPORAL_ADDRESS=address)
    assert json.loads(told.out)["reasons"][0]["action"].startswith("tasker worker --task-queue parked-")


async def redirected(where: str, *arguments: str, folder: Path) -> Ended:
    """How the command ends that a shell has redirected."""
    line = f'"$0" -m tasker_temporal "$@" {where}'
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", line, sys.executable, *arguments, cwd=folder, env=environment(folder),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, whose disk is always full")
async def test_a_full_disk_is_one_line_and_code_2(parked: tuple[Path, str]) -> None:
    calls = [("schema",), ("events", "list", "--json"), ("--help",)]
    ended = await asyncio.gather(*(redirected(">/dev/full", *call, folder=parked[0]) for call in calls))
    expected = "Error: the output cannot be written: No space left on device"
    assert [one_line(each) for each in ended] == [expected] * len(calls)


async def test_a_closed_standard_output_changes_nothing(parked: tuple[Path, str]) -> None:
    calls = [("schema",), ("--version",)]
    ended = await asyncio.gather(*(redirected(">&- <&-", *call, folder=parked[0]) for call in calls))
    assert ended == [Ended(0, "", "")] * len(calls)


async def test_a_reader_that_goes_away_ends_the_command_in_silence(parked: tuple[Path, str]) -> None:
    calls = [("events", "export"), ("events", "list")]
    ended = await asyncio.gather(*(redirected("| head -1", *call, folder=parked[0]) for call in calls))
    assert [(each.err, len(each.out.splitlines())) for each in ended] == [("", 1)] * len(calls)


async def without_a_reader(*arguments: str, folder: Path) -> Ended:
    """How the command ends whose standard output nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tasker_temporal", *arguments, cwd=folder, env=environment(folder),
            stdout=writing, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    finally:
        os.close(writing)
    _, err = await process.communicate()
    return Ended(process.returncode or 0, "", err.decode())


async def test_help_that_nobody_reads_is_no_failure(parked: tuple[Path, str]) -> None:
    calls = [("--help",), ("--version",), ("start", "--help"), ("schedule", "create", "--help")]
    ended = await asyncio.gather(*(without_a_reader(*call, folder=parked[0]) for call in calls))
    assert ended == [Ended(0, "", "")] * len(calls)
