"""`tasker --version`, also of a copy that was never installed."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path


def version() -> str:
    """The version of the installed package, else that of the pyproject.toml beside it."""
    beside = Path(__file__).parents[2] / "pyproject.toml"
    try:
        return installed("tasker-temporal")
    except PackageNotFoundError:
        return _declared(beside) if beside.is_file() else "unknown (not installed)"


def _declared(file: Path) -> str:
    project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    return str(project["version"]) if project.get("name") == "tasker-temporal" else "unknown (not installed)"
