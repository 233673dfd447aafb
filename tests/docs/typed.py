"""A page's Python as modules that a type checker can read, each statement on the line that it has on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.docs.blocks import Block, blocks, namespace


def modules(page: Path) -> Iterator[tuple[str, str]]:
    """The names of the page's modules, and their text: its files as they are, and the rest as one."""
    python = [block for block in blocks(page) if block.language == "python"]
    for block in python:
        if block.title:
            yield block.title, block.text
    rest = [block for block in python if not block.title]
    if rest:
        yield f"{namespace(page).replace('-', '_')}.py", _joined(rest)


def _joined(rest: Sequence[Block]) -> str:
    lines = ["from temporalio.client import Client", "async def page(client: Client) -> None:"]
    for block in rest:
        lines += [""] * (block.line - 1 - len(lines))
        lines += [f"    {line}" for line in block.text.splitlines()]
    return "\n".join(lines) + "\n"
