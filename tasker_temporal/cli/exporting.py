"""`tasker export` and `tasker schema`: a template, or what templates in YAML look like, as text."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from pydantic_core import to_json

from tasker_temporal.cli.app import load_app
from tasker_temporal.cli.process import CLEAN, WRONG_USE, WrongUse
from tasker_temporal.cli.screen import put
from tasker_temporal.cli.templates import Found, find_template
from tasker_temporal.core.template import Template
from tasker_temporal.errors import TaskerError
from tasker_temporal.yaml import writing
from tasker_temporal.yaml.schema import published_schema


async def write_schema(output: Path | None) -> int:
    """Write the JSON Schema. Returns the exit code."""
    put(published_schema(), output)
    return CLEAN


async def write_template(what: str | None, app: str | None, form: str, output: Path | None) -> int:
    """Write the template. Returns the exit code."""
    found = find_template(what, app)
    if form == "json":
        put(to_json(plain(found.template), indent=2).decode(), output)
    else:
        put(_in_yaml(found), output)
    return CLEAN


def _in_yaml(found: Found) -> str:
    """With the names of the handlers, as far as they are known."""
    if found.declared is not None:
        return found.declared.to_yaml()
    assert found.document is not None
    return writing.write_template(found.template, found.document.handlers, found.document.notifiers)


def plain(template: Template) -> object:
    """As it travels with its tasks."""
    return template.model_dump(mode="json", exclude_defaults=True)


def main(app: str) -> int:
    """Print the templates of an app as one line of JSON, for another process. Returns the exit code."""
    try:
        found = [template.compiled for template in load_app(app, Path.cwd()).templates.values()]
    except (TaskerError, WrongUse) as error:
        click.echo(error.message if isinstance(error, WrongUse) else str(error), err=True)
        return WRONG_USE
    click.echo(to_json([plain(template) for template in found]).decode())
    return CLEAN


if __name__ == "__main__":
    from tasker_temporal.cli.process import leave

    leave(main(sys.argv[1]))
