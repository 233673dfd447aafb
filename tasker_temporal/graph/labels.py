"""What a node says, line by line, and how many columns that takes."""

from __future__ import annotations

from unicodedata import combining, east_asian_width

from tasker_temporal.graph.model import Node
from tasker_temporal.graph.palette import LOOKS


def lines(node: Node, *, signs: bool = True, limit: int | None = None) -> list[str]:
    """The node's label, its state (`✓ complete`) and its note, as far as it has them.

    No line is longer than `limit`: the note is folded at its commas, and what is still too long is cut.
    """
    sign = f"{LOOKS[node.state].sign} " if node.state is not None and signs else ""
    heads = [sign + node.label] if node.label == node.state else [node.label, f"{sign}{node.state or ''}"]
    said = [plain(line) for line in heads if line] + _folded(plain(node.note), limit)
    return [cut(line, limit) for line in said]


def _folded(note: str, limit: int | None) -> list[str]:
    if limit is None or columns(note) <= limit:
        return [note] if note else []
    folded: list[str] = []
    for part in note.split(", "):
        if folded and columns(f"{folded[-1]}, {part}") <= limit:
            folded[-1] += f", {part}"
        else:
            folded.append(part)
    return folded


def plain(text: str) -> str:
    """The text with everything spelled out that would move a cursor, break a line or be no character of XML."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()


def cut(text: str, limit: int | None) -> str:
    """The text, or as much of its beginning as fits before an ellipsis."""
    if limit is None or columns(text) <= limit:
        return text
    while columns(text) > limit - 3:
        text = text[:-1]
    return text + "..."


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: East Asian characters two, combining ones none."""
    return len(text) if text.isascii() else sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
