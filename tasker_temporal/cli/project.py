"""`tasker new`: a folder with a task that runs and a test that passes."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tasker_temporal.cli.process import CLEAN, WrongUse

PYPROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["tasker-temporal[dev]"]

[project.optional-dependencies]
test = ["pytest"]

[tool.setuptools]
py-modules = ["tasks"]

[tool.tasker]
app = "tasks:greet"

[tool.pytest.ini_options]
pythonpath = ["."]
"""

TASKS = '''\
"""The tasks of {name}: each step is a plain function."""

from pydantic import BaseModel

from tasker_temporal import TaskTemplate, result_of


class Guest(BaseModel):
    name: str


greet = TaskTemplate("{module}.greet", context=Guest, task_queue="{name}")


@greet.step
def compose(guest: Guest) -> str:
    return f"Hello, {{guest.name}}!"


@greet.step
async def deliver(text: str = result_of(compose)) -> int:
    print(text, flush=True)
    return len(text)
'''

TEST = """\
import asyncio

from tasks import Guest, compose, deliver, greet

from tasker_temporal import State
from tasker_temporal.testing import run_task


def test_a_guest_is_greeted() -> None:
    run = asyncio.run(run_task(greet, Guest(name="Ada")))
    assert run.report.state is State.COMPLETE
    assert run.result_of(compose) == "Hello, Ada!"
    assert run.result_of(deliver) == 11
"""

README = """\
# {name}

`tasks.py` declares a task of two steps, `test_tasks.py` runs it in memory.

    pip install 'tasker-temporal[dev]' pytest   # unless this environment has them
    pytest
    tasker dev                                  # a Temporal server for development
    tasker worker                               # in a second terminal, in this folder too
    tasker start {module}.greet --context '{{"name": "Ada"}}' --wait    # in a third one
"""

TRIED = """\
  cd {name}
  pip install pytest && pytest    # its test needs no server
  tasker dev                      # a Temporal server for development; leave it running
  tasker worker                   # in a second terminal, in {name}/ too; leave it running
  tasker start {module}.greet --context '{{"name": "Ada"}}' --wait    # in a third one
Each terminal needs the environment that `tasker` is installed in."""

FILES = {"pyproject.toml": PYPROJECT, "tasks.py": TASKS, "test_tasks.py": TEST, "README.md": README}


async def make(name: str, as_json: bool) -> int:
    """Make the project in a new folder. Returns the exit code."""
    folder = Path(name)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise WrongUse(f"{name!r} cannot be a project's name: expected letters, digits, - and _, a letter first")
    try:
        folder.mkdir()
        _write(folder, name)
    except FileExistsError as error:
        raise WrongUse(f"there is a folder or file {name!r} already: take another name, or remove it") from error
    except OSError as error:
        raise WrongUse(f"folder {name!r} cannot be made: {error.strerror}") from error
    _tell(name, as_json)
    return CLEAN


def _module(name: str) -> str:
    return name.replace("-", "_").lower()


def _write(folder: Path, name: str) -> None:
    for file, text in FILES.items():
        (folder / file).write_text(text.format(name=name, module=_module(name)), encoding="utf-8")


def _tell(name: str, as_json: bool) -> None:
    if as_json:
        from tasker_temporal.cli.screen import screen

        screen().json({"folder": name, "files": list(FILES)})
        return
    click.echo(f"{name}/ has {', '.join(FILES)}. Try it:")
    click.echo(TRIED.format(name=name, module=_module(name)))
