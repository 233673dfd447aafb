"""Finds the templates that a command is about: in a YAML file, in an exported JSON, or in the app."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from tasker_temporal.cli.app import find_app, needed_app
from tasker_temporal.cli.process import WrongUse
from tasker_temporal.core.template import Template
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.errors import YamlError
from tasker_temporal.yaml.document import Document
from tasker_temporal.yaml.reading import read_document
from tasker_temporal.yaml.source import is_path


class Found(NamedTuple):
    """A template, and where it is from: a YAML document, or an app."""

    template: Template
    document: Document | None = None
    declared: TaskTemplate[Any] | None = None


def find_templates(what: str | None, app: str | None) -> list[Found]:
    """Those of the app, the one of that name, or the one of a YAML file.

    Raises:
        WrongUse: there is none.
        YamlError: the file is not sound.
        TemplateError: a template of the app has mistakes.
    """
    if what is not None and is_path(what):
        return [in_yaml(Path(what))]
    plugin = needed_app(app, Path.cwd()) if what is None else find_app(app, Path.cwd())
    if plugin is None:
        raise WrongUse(f"{what!r} is no YAML file, and nothing names an app: pass FILE.yaml, or --app MODULE:ATTRIBUTE")
    if what is not None and what not in plugin.templates:
        raise WrongUse(f"the app has no template {what!r}: it has {', '.join(plugin.templates) or 'none'}")
    names = list(plugin.templates) if what is None else [what]
    declared = [plugin.templates[name] for name in names]
    return [Found(each.compiled, declared=each) for each in declared]


def find_template(what: str | None, app: str | None) -> Found:
    """The only one, or the one that was named.

    Raises:
        WrongUse: there is none, or it is not clear which.
    """
    found = find_templates(what, app)
    if len(found) != 1:
        names = ", ".join(each.template.name for each in found) or "none"
        raise WrongUse(f"the app has more or fewer than one template: name one of {names}")
    return found[0]


def in_yaml(path: Path) -> Found:
    if not path.is_file():
        what = f"{str(path)!r} is no file" if path.exists() else f"there is no file {str(path)!r}"
        raise WrongUse(what)
    document, template = read_document(path)
    document.source.check("" if template is None else template.name)
    assert template is not None
    return Found(template, document)


def old_templates(against: str, folder: Path | None) -> list[Template]:
    """The templates that `--against` names.

    Raises:
        WrongUse: it names none, or a file that is not sound.
    """
    if is_path(against):
        return [_in_old_yaml(Path(against))]
    if against.endswith(".json"):
        return [_in_json(Path(against))]
    if ":" in against:
        return _imported(against, folder or Path.cwd())
    raise WrongUse(f"--against {against!r}: expected FILE.yaml, FILE.json of `tasker export`, or MODULE:ATTRIBUTE")


def _in_old_yaml(path: Path) -> Template:
    """What is wrong in the old file is no finding about the new one."""
    try:
        return in_yaml(path).template
    except YamlError as error:
        more = f" (1 of {len(error.problems)} mistakes)" if len(error.problems) > 1 else ""
        first = error.problems[0]._replace(source="")
        raise WrongUse(f"--against {str(path)!r} is not sound: {first}{more}") from error


def _in_json(path: Path) -> Template:
    try:
        return Template.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WrongUse(f"file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        message = f"file {str(path)!r} is no template: expected what `tasker export --format json` writes"
        raise WrongUse(message) from error


def _imported(app: str, folder: Path) -> list[Template]:
    """In a process of its own: the module of that name that this one may have imported is another one."""
    command = [sys.executable, "-m", "tasker_temporal.cli.exporting", app]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WrongUse(f"--against {app!r} in {str(folder)!r}: {' '.join(done.stderr.split()).removeprefix('Error: ')}")
    return [Template.model_validate(plain) for plain in json.loads(done.stdout.splitlines()[-1])]
