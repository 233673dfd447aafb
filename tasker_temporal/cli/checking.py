"""`tasker check`: prints what is found in templates, and what an edit of them changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from tasker_temporal.checks import Comparison, Finding, check, compare
from tasker_temporal.cli.process import CLEAN, FAILED
from tasker_temporal.cli.screen import screen
from tasker_temporal.cli.templates import Found, find_templates, old_templates
from tasker_temporal.core.template import Template
from tasker_temporal.errors import YamlError
from tasker_temporal.yaml.nodes import Place

STYLES = {"error": "red", "warning": "yellow", "info": "blue"}


class Asked(NamedTuple):
    """What the command's options ask for."""

    what: str | None
    app: str | None
    strict: bool
    against: str | None
    folder: Path | None
    as_json: bool


class Looked(NamedTuple):
    """One template, and all that is to be said of it."""

    found: Found
    findings: Sequence[Finding]
    comparison: Comparison | None


class Look(NamedTuple):
    """All that was looked at."""

    looked: Sequence[Looked]
    gone: Sequence[str] = ()
    """Templates that only `--against` has."""


def look(asked: Asked) -> Look:
    old = {} if asked.against is None else {each.name: each for each in old_templates(asked.against, asked.folder)}
    looked = []
    for found in find_templates(asked.what, asked.app):
        before = _before(found.template, old)
        comparison = None if before is None else compare(before, found.template)
        findings = [*check(found.template), *(comparison.findings if comparison is not None else ())]
        looked.append(Looked(found, findings, comparison))
    known = {each.found.template.name for each in looked}
    return Look(looked, [name for name in old if name not in known] if asked.what is None else ())


def _before(template: Template, old: dict[str, Template]) -> Template | None:
    """The old one of that name; the only one, if it had another name."""
    return old.get(template.name) or (next(iter(old.values())) if len(old) == 1 else None)


async def check_templates(asked: Asked) -> int:
    """Print what is found. Returns the exit code."""
    try:
        looked, gone = look(asked)
    except YamlError as error:
        return _refused(error, asked.as_json)
    if asked.as_json:
        screen().json([_plain(each) for each in looked])
    else:
        for each in looked:
            _tell(each, is_compared=asked.against is not None)
        for name in gone:
            click.echo(f"{name} is gone: its running tasks still need workers that serve it")
    counted = ("error", "warning") if asked.strict else ("error",)
    bad = [finding for each in looked for finding in each.findings if finding.severity in counted]
    return FAILED if bad else CLEAN


def _refused(error: YamlError, as_json: bool) -> int:
    """A file that is not sound is what the command looks for, and no wrong use of it."""
    if as_json:
        told = [problem._asdict() | {"severity": "error", "step": "", "field": ""} for problem in error.problems]
        screen().json([{"template": error.template, "findings": told}])
    else:
        for problem in error.problems:
            click.echo(str(problem))
        click.echo(f"{error.file}: {_counted(len(error.problems), 'error')}")
    return FAILED


def _tell(looked: Looked, *, is_compared: bool) -> None:
    out = screen()
    for finding in looked.findings:
        severity = f"[{STYLES[finding.severity]}]{finding.severity:<7}[/]"
        out.print(f"{_at(looked.found, finding)}{severity} {finding.code}", end=" ", soft_wrap=True)
        out.print(finding.message, markup=False, soft_wrap=True)
    counts: Counter[str] = Counter(finding.severity for finding in looked.findings)
    told = ", ".join(_counted(counts[severity], severity) for severity in STYLES)
    if looked.comparison is not None:
        for line in _compared(looked.comparison):
            click.echo(line)
    elif is_compared:
        click.echo("There was no such template before: all of it is new.")
    template = looked.found.template
    click.echo(f"{template.name} {template.version}: {_counted(len(template.steps), 'step')}, {told}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 or what == "info" else f"{count} {what}s"


def _at(found: Found, finding: Finding) -> str:
    place = _place(found, finding)
    return (
        "" if found.document is None or place is None else f"{found.document.source.name}:{place.line}:{place.column}: "
    )


def _place(found: Found, finding: Finding) -> Place | None:
    if found.document is None:
        return None
    if finding.step:
        return found.document.places.key(finding.step, finding.field)
    return found.document.places.at((finding.field,))


def _compared(comparison: Comparison) -> Iterator[str]:
    if comparison.same:
        yield f"No difference: the digest is still {comparison.new_digest}."
        return
    yield f"New tasks differ ({comparison.old_digest[:12]} -> {comparison.new_digest[:12]}):"
    for change in comparison.changes:
        about = f"step {change.step}: " if change.step else ""
        told = f"{change.what} {change.field}".strip()
        values = "" if change.what in ("added", "removed") else f": {_json(change.old)} -> {_json(change.new)}"
        yield f"  {about}{told}{values}"
    yield "Tasks that run are untouched: they keep the graph that they started with."
    if comparison.needed:
        yield f"As long as they run, workers must serve {', '.join(comparison.needed)}."


def _json(value: Any) -> str:
    return json.dumps(value)


def _plain(looked: Looked) -> dict[str, Any]:
    document = looked.found.document
    findings = []
    for finding in looked.findings:
        place = _place(looked.found, finding)
        where: dict[str, Any] = {"file": document.source.name if document is not None else None}
        where |= {"line": place.line if place else None, "column": place.column if place else None}
        findings.append(finding._asdict() | where)
    told: dict[str, Any] = {"template": looked.found.template.name, "findings": findings}
    if looked.comparison is not None:
        told |= {
            "changes": [change._asdict() for change in looked.comparison.changes],
            "needed": looked.comparison.needed,
            "old_digest": looked.comparison.old_digest,
            "new_digest": looked.comparison.new_digest,
        }
    return told
