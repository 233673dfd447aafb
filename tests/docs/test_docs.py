"""The documentation says what is: its code runs, its commands exist, its types fit, and the site builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tasker_temporal.dev import DevServer
from tests.docs.blocks import ROOT, blocks, namespace, pages
from tests.docs.commands import commands, mistake
from tests.docs.reading import Reading
from tests.docs.typed import modules

LANGUAGES = {"python", "text", "console", "sh", "json", "yaml", "toml", "mermaid"}
"""What a block may be; of these only the first, and commands, can be tried."""

EVERY_PAGE = [pytest.param(page, id=namespace(page)) for page in pages()]


@pytest.mark.parametrize("page", EVERY_PAGE)
async def test_the_code_of_every_page_runs_and_prints_what_the_page_says(
    page: Path, tmp_path: Path, library: DevServer
) -> None:
    await Reading(page, tmp_path, library).read()


def test_the_code_of_every_page_type_checks(tmp_path: Path) -> None:
    found = [module for page in pages() for module in modules(page)]
    names = [name for name, _ in found]
    assert len(names) == len(set(names)), "two pages have a file of one name"
    for name, text in found:
        (tmp_path / name).write_text(text)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", "."],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "docs")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_every_block_says_what_it_is_and_every_command_exists(page: Path) -> None:
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block.place}: {block.language!r} is none of {sorted(LANGUAGES)}"
        for command in commands(block) if block.language in ("console", "sh") else ():
            assert mistake(command) is None, f"{block.place}: {mistake(command)}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A link that leads nowhere, a name that is not there: any warning fails the build."""
    target = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return target


def test_the_site_has_a_page_for_every_page(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        path = page.relative_to(ROOT / "docs").with_suffix("")
        built = site / ("" if path.name == "index" else path) / "index.html"
        assert built.exists(), page


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe)[^>]*\bsrc=\"?(https?:)?//|<link[^>]*rel=\"?(?:stylesheet|preconnect)[^>]*//"
    )
    for built in site.rglob("*.html"):
        assert not loads.search(built.read_text()), built


def test_every_generated_part_is_generated(site: Path) -> None:
    for built in site.rglob("*.html"):
        assert "generated:" not in built.read_text(), built


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    assert not re.search(r"/home/|/root/|/Users/|/tmp/|/work/", page.read_text())
