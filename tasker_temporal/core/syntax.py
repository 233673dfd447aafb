"""What CEL's parser says of an expression that it cannot read, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

FOUND: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): Syntax error: ")

MEANT: Final[Mapping[str, str]] = {"and": "&&", "or": "||", "not": "!", "=": "=="}
"""What people write who think of another language."""

SHOWN: Final = 20
"""Characters that are shown of what cannot be read."""


def unreadable(expression: str, said: str) -> str | None:
    """From where on the expression cannot be read; None if the parser said something else."""
    found = FOUND.search(said)
    if found is None:
        return None
    lines = expression.split("\n")[int(found[1]) - 1 :]
    before, rest = lines[0][: int(found[2]) - 1], "\n".join(lines)[int(found[2]) - 1 :].strip()
    meant = next((f"; CEL writes {MEANT[word]} for {word}" for word in _near(before, rest) if word in MEANT), "")
    return f"it cannot be read from {rest[:SHOWN]!r} on{meant}" if rest else "it cannot be read: it ends too early"


def _near(before: str, rest: str) -> list[str]:
    """The words at which the parser stopped: the one that it cannot read, and the one before."""
    return [*rest.split()[:1], *before.split()[-1:]]
