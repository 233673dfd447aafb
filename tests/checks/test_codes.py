"""Every code has its section in the reference, every section its code, and every code is used."""

from __future__ import annotations

import re
from pathlib import Path

from tasker_temporal.checks import CODES as FINDINGS
from tasker_temporal.yaml.codes import CODES as MISTAKES
from tests.yaml import test_declaring, test_mistakes

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/codes.md").read_text()


def test_every_code_has_its_section_and_every_section_its_code() -> None:
    assert re.findall(r"^### (.*)$", PAGE, re.MULTILINE) == [*MISTAKES, *FINDINGS]


def test_a_section_begins_with_what_the_code_is_about() -> None:
    titles = dict(re.findall(r"^### (.*)\n\n\*\*(.*?)\.\*\*", PAGE, re.MULTILINE))
    told = {code: title[0].upper() + title[1:] for code, title in MISTAKES.items()}
    told |= {code: f"{severity.capitalize()}: {title}" for code, (severity, title) in FINDINGS.items()}
    assert titles == told


def test_the_code_of_the_package_uses_every_code_and_no_other() -> None:
    files = [*(ROOT / "tasker_temporal").rglob("*.py")]
    tables = ("yaml/codes.py", "checks/finding.py")
    used = {
        code
        for file in files
        if not str(file).endswith(tables)
        for code in re.findall(r"TT-[A-Z]\d+", file.read_text())
    }
    assert used == {*MISTAKES, *FINDINGS}


def test_every_mistake_is_made_by_some_test() -> None:
    made = {case[0] for case in (*test_mistakes.WRONG, *test_declaring.WRONG)} | {"TT-Y001", "TT-Y030", "TT-Y033"}
    assert set(MISTAKES) - made == set()
