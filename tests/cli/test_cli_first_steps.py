"""What needs no server: help, version, completion, a new project, and that asking for help imports little."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

import tasker_temporal
from tasker_temporal.cli import tasker as tasker_command
from tests.cli.kit import ROOT, environment, tasker, write

VERBS = sorted(tasker_command.commands)


async def python(*arguments: str, folder: Path, **more: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=folder,
        env=environment(folder, **more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_each_command_has_help_with_an_example(tmp_path: Path) -> None:
    helps = await asyncio.gather(*(tasker(verb, "--help", folder=tmp_path) for verb in VERBS))
    assert [verb for verb, told in zip(VERBS, helps, strict=True) if f"  tasker {verb}" not in told.out] == []


async def test_every_command_is_in_one_section_of_the_help(tmp_path: Path) -> None:
    told = (await tasker("--help", folder=tmp_path)).out.partition("Begin:")[2]
    assert sorted(re.findall(r"^  ([\w-]+)  +\S", told, re.MULTILINE)) == VERBS
    assert "More:" not in told


async def test_asking_for_help_imports_neither_temporalio_nor_pydantic(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['tasker', 'start', '--help']\n"
        "from tasker_temporal.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'temporalio', 'pydantic', 'rich', 'asyncio'} & set(sys.modules)))"
    )
    assert (await python("-c", code, folder=tmp_path)).splitlines()[-1] == "[]"


async def test_every_public_name_is_there_and_no_other(tmp_path: Path) -> None:
    assert set(tasker_temporal.__all__) <= set(dir(tasker_temporal))
    assert {getattr(tasker_temporal, name).__name__ for name in tasker_temporal.__all__} == set(tasker_temporal.__all__)
    with pytest.raises(AttributeError, match=r"^module 'tasker_temporal' has no attribute 'start_tusk'$"):
        getattr(tasker_temporal, "start_tusk")  # noqa: B009 - a type checker sees that it is not there
    code = "from tasker_temporal import *; print(TaskTemplate, start_task, result_of)"
    assert "start_task" in await python("-c", code, folder=tmp_path)


async def test_the_version_is_known_without_an_installation(tmp_path: Path) -> None:
    installed = await tasker("--version", folder=tmp_path)
    code = (
        "import importlib.metadata as m\n"
        "def missing(name): raise m.PackageNotFoundError(name)\n"
        "m.version = missing\n"
        "from tasker_temporal.cli.version import version; print(version())"
    )
    found = (await python("-c", code, folder=tmp_path)).strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", found)
    assert installed.out == f"tasker, version {found}\n"


async def test_a_shell_can_complete_the_command(tmp_path: Path) -> None:
    ended = await tasker(folder=tmp_path, _TASKER_COMPLETE="bash_complete", COMP_WORDS="tasker sta", COMP_CWORD="1")
    assert ended.out.split() == ["plain,start", "plain,status"]


SHELL = """
eval "$(_TASKER_COMPLETE=bash_source tasker)"
complete -p tasker >/dev/null || exit 1
ask() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  _tasker_completion tasker "${@: -1}" ""
  echo "${COMPREPLY[*]}"
}
ask tasker sched
ask tasker start --wa
ask tasker schedule tri
ask tasker graph --machine st
ask tasker start shop.g
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
async def test_bash_completes_verbs_options_choices_and_templates(tmp_path: Path) -> None:
    assert (await tasker("new", "shop", folder=tmp_path)).code == 0
    # The shell calls it by its name.
    installed = write(tmp_path, {"tasker": f'#!/bin/sh\nexec "{sys.executable}" -m tasker_temporal "$@"\n'}) / "tasker"
    installed.chmod(0o755)
    seen = environment(tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", SHELL, cwd=tmp_path / "shop", env=seen,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert out.decode().splitlines() == ["schedule", "--wait", "trigger", "step", "shop.greet"]


@pytest.mark.parametrize(("shell", "holds"), [("zsh", "#compdef tasker"), ("fish", "complete --no-files --command ta")])
async def test_other_shells_get_a_script_of_their_own(shell: str, holds: str, tmp_path: Path) -> None:
    ended = await tasker(folder=tmp_path, _TASKER_COMPLETE=f"{shell}_source")
    assert (ended.code, holds in ended.out) == (0, True), ended


async def test_a_new_project_has_a_test_that_passes(tmp_path: Path) -> None:
    made = await tasker("new", "my-shop", folder=tmp_path)
    assert made.code == 0
    assert len((tmp_path / "my-shop" / "README.md").read_text().splitlines()) <= 10
    told, drawn, again, wrong = await asyncio.gather(
        python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", folder=tmp_path / "my-shop"),
        tasker("graph", "my_shop.greet", folder=tmp_path / "my-shop"),
        tasker("new", "my-shop", folder=tmp_path),
        tasker("new", "../shop", folder=tmp_path),
    )
    assert "1 passed" in told
    assert "deliver" in drawn.out
    assert (again.code, again.err[:50]) == (2, "Error: there is a folder or file 'my-shop' already")
    assert (wrong.code, wrong.err[:43]) == (2, "Error: '../shop' cannot be a project's name")
    assert ROOT not in (tmp_path / "my-shop").parents
