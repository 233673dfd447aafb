"""Where the library for conditions is missing, templates without conditions work, and one with a condition says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MISSING = "import sys; sys.modules['cel_expr_python'] = None\n"

WITHOUT = """
import asyncio
from tasker_temporal import TaskTemplate
from tasker_temporal.testing import run_task
plain = TaskTemplate("shop.plain")
async def play(context: object) -> int:
    return 1
plain.add_step("a", play)
print(asyncio.run(run_task(plain, {})).report.state)
"""

WITH = """
from tasker_temporal import TaskTemplate
from tasker_temporal.errors import ConditionsUnavailable
asking = TaskTemplate("shop.asking")
async def play(context: object) -> int:
    return 1
asking.add_step("a", play, when="context.b")
try:
    asking.compiled
except ConditionsUnavailable as error:
    print(error)
"""

CHECK = """
from tasker_temporal.cli import main
sys.argv = ["tasker", "check", {file!r}]
main()
"""

SAID = "conditions need the package cel-expr-python"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", MISSING + code], capture_output=True, text=True)


def test_a_template_without_conditions_does_without_the_library() -> None:
    ended = python(WITHOUT)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("complete\n", "", 0)


def test_a_condition_is_refused_in_one_sentence_that_names_the_package() -> None:
    ended = python(WITH)
    (line,) = ended.stdout.splitlines()
    assert line.startswith(SAID)
    assert ended.returncode == 0


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text("name: shop.asking\nsteps:\n  a: {when: context.b}\n")
    ended = python(CHECK.format(file=str(file)))
    (line,) = ended.stderr.splitlines()
    assert SAID in line
    assert ended.returncode == 2
