"""What an option like `--context` says: JSON, or where the JSON is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tasker_temporal.cli.process import WrongUse


def read_context(given: str | None) -> Any:
    """The context that `given` names, as `read_json`; None without one."""
    return None if given is None else read_json(given, "--context")


def read_json(given: str, option: str) -> Any:
    """What `given` names: JSON, `@FILE`, or `-` for standard input.

    Raises:
        WrongUse: there is no such file, or it is not JSON.
    """
    source, text = _text(given, option)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise WrongUse(f"the JSON for {option} is nested too deeply") from error
    except ValueError as error:
        raise WrongUse(
            f"{source} is not JSON ({error}): expected JSON, as {option} '{{\"id\": 1}}', or @FILE, or -"
        ) from error


def _text(given: str, option: str) -> tuple[str, str]:
    if given == "-":
        return "standard input", sys.stdin.read()
    if not given.startswith("@"):
        return f"{option} {given!r}", given
    file = Path(given[1:])
    try:
        return f"file {str(file)!r}", file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise WrongUse(f"file {str(file)!r} cannot be read for {option}: {why}") from error
