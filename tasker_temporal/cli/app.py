"""Finds what `--app MODULE:ATTRIBUTE` names."""

from __future__ import annotations

import importlib
import sys
import tomllib
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import tasker_temporal
from tasker_temporal.cli.process import WrongUse
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.errors import TaskerError, TemplateError
from tasker_temporal.plugin import TaskerPlugin


def needed_app(app: str | None, folder: Path) -> TaskerPlugin:
    """The app of the option or of the folder's project.

    Raises:
        WrongUse: neither names one, or it cannot be used.
        TemplateError: a template has mistakes.
    """
    found = find_app(app, folder)
    if found is None:
        raise WrongUse("Missing option '--app': pass MODULE:ATTRIBUTE, or set app in [tool.tasker] of ./pyproject.toml")
    return found


def find_app(app: str | None, folder: Path) -> TaskerPlugin | None:
    """As `needed_app`, but None if neither names one."""
    name = app or declared_app(folder)
    return load_app(name, folder) if name else None


def declared_app(folder: Path) -> str | None:
    """What the folder's project names, if it does.

    Raises:
        WrongUse: its pyproject.toml cannot be read.
    """
    file = folder / "pyproject.toml"
    if not file.is_file():
        return None
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("tasker", {})
    except ValueError as error:
        raise WrongUse(f"file {str(file)!r} is not TOML: {error}") from error
    app = table.get("app")
    if app is not None and not isinstance(app, str):
        raise WrongUse(f"app in [tool.tasker] of {str(file)!r} is {app!r}: expected a text, as 'shop.orders:fulfill'")
    return app


def load_app(app: str, folder: Path) -> TaskerPlugin:
    """The plugin that `app` names, or one made of the templates that it names.

    Args:
        app: As in `shop.orders:fulfill_order`.
        folder: Modules are looked for here first.

    Raises:
        WrongUse: it does not import, or is something else.
        TemplateError: a template has mistakes.
    """
    name, _, attribute = app.partition(":")
    if not attribute or not all(part.isidentifier() for part in name.split(".")):
        raise WrongUse(f"--app {app!r}: expected MODULE:ATTRIBUTE, as in shop.orders:fulfill_order")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = _imported(name, folder)
    if not hasattr(module, attribute):
        raise WrongUse(f"module {name!r} has no attribute {attribute!r}; {_known(module)}")
    return _plugin(app, getattr(module, attribute))


def _imported(name: str, folder: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except TemplateError:
        raise
    except SystemExit as error:
        raise WrongUse(f"module {name!r} ends the process when it is imported, with {error.code!r}") from error
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise WrongUse(f"there is no module {error.name!r} in {folder}, nor is one installed") from error
        told = " ".join(str(error).split())
        raise WrongUse(f"module {name!r} does not import: {type(error).__name__}: {told}{_place(error)}") from error


PACKAGE: Final = Path(tasker_temporal.__file__).parent


def _place(error: Exception) -> str:
    """Where it was raised, or what it says of a call of the library's was called; a syntax error says so itself."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame for frame in frames if not (isinstance(error, TaskerError) and PACKAGE in Path(frame.filename).parents)
    ]
    last = own[-1]
    return "" if isinstance(error, SyntaxError) else f" ({last.filename}, line {last.lineno})"


def _known(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, (TaskTemplate, TaskerPlugin))]
    return f"templates in it: {', '.join(names) or 'none'}"


def _plugin(app: str, found: Any) -> TaskerPlugin:
    if isinstance(found, TaskerPlugin):
        return found
    templates = list(found) if isinstance(found, (list, tuple)) else [found]
    strange = [template for template in templates if not isinstance(template, TaskTemplate)]
    if strange or not templates:
        what = f"of type {type(strange[0]).__name__}" if strange else "empty"
        raise WrongUse(f"--app {app!r} is {what}: expected a TaskTemplate, a list of them, or a TaskerPlugin")
    return TaskerPlugin(*templates)
