"""A YAML file under examination: its text, and every mistake found in it."""

from __future__ import annotations

import os
from pathlib import Path

from tasker_temporal.errors import YamlError, YamlProblem
from tasker_temporal.yaml.nodes import Place

PATH_ENDINGS = (".yaml", ".yml")


class Source:
    """A text and where it came from. `problems` grows while it is read."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.lines = name, text.splitlines()
        self.text = text
        self.problems: list[YamlProblem] = []

    def tell(self, code: str, place: Place, message: str) -> None:
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        self.problems.append(YamlProblem(code, self.name, place.line, place.column, message, line))

    def error(self, template: str = "") -> YamlError:
        """All that was found, from top to bottom."""
        found = sorted(dict.fromkeys(self.problems), key=lambda problem: (problem.line, problem.column))
        return YamlError(template, self.name, found)

    def check(self, template: str = "") -> None:
        """
        Raises:
            YamlError: something was found.
        """
        if self.problems:
            raise self.error(template)


def open_source(path_or_text: str | os.PathLike[str]) -> Source:
    """The file of that path; a text that has more than one line, or no ending of YAML, is taken as it is.

    Raises:
        YamlError: the file cannot be read.
    """
    if isinstance(path_or_text, str) and not is_path(path_or_text):
        return Source("<text>", path_or_text)
    path = Path(path_or_text)
    try:
        return Source(str(path), path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"
        source = Source(str(path), "")
        source.tell("TT-Y001", Place(), f"the file cannot be read: {why}")
        raise source.error() from error


def is_path(text: str) -> bool:
    """It names a YAML file, and is none."""
    return "\n" not in text and text.endswith(PATH_ENDINGS)
