"""The code blocks of a page, in its order."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*) *(?:title=\"(?P<title>[^\"]+)\")?(?P<rest>.*)$")


class Block(NamedTuple):
    """One fenced block. `line` is that of its first line of text; `title` is a file's name, if it has one."""

    page: Path
    line: int
    language: str
    title: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page that shows code."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def namespace(page: Path) -> str:
    """A name of the page that is no other page's: `docs-how-to-start`."""
    return "-".join(page.relative_to(ROOT).with_suffix("").parts)


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of the page.

    Raises:
        ValueError: a fence is not closed, or its first line is not understood.
    """
    lines = iter(enumerate(page.read_text().splitlines(), start=1))
    for number, line in lines:
        if not line.lstrip().startswith("```"):
            continue
        fence = _FENCE.match(line)
        if fence is None or fence["rest"].strip():
            raise ValueError(f"{page}:{number}: {line!r} is no fence that is understood here")
        yield Block(page, number + 1, fence["language"], fence["title"] or "", _text(lines, page, number))


def _text(lines: Iterator[tuple[int, str]], page: Path, number: int) -> str:
    found: list[str] = []
    for _, line in lines:
        if line.strip() == "```":
            return textwrap.dedent("\n".join(found)) + "\n"
        found.append(line)
    raise ValueError(f"{page}:{number}: the fence is not closed")
