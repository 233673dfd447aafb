"""`tasker plan`: prints how a task of a template goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from tasker_temporal.cli.context import read_context
from tasker_temporal.cli.process import CLEAN, WrongUse
from tasker_temporal.cli.screen import screen
from tasker_temporal.cli.templates import find_template
from tasker_temporal.durations import duration_text, parse_duration
from tasker_temporal.planning import Expected, Plan, plan

KEYS = ("takes", "result", "bytes")


async def show_plan(
    what: str | None, app: str | None, context: str | None, durations: Path | None, as_json: bool
) -> int:
    """Print the plan. Returns the exit code."""
    found = find_template(what, app)
    given = read_context(f"@{context}" if context is not None and context.endswith(".json") else context)
    try:
        made = plan(found.declared or found.template, given, {} if durations is None else _expected(durations))
    except ValueError as error:
        raise WrongUse(f"file {str(durations)!r}: {error}") from error
    if as_json:
        named = ("waves", "steps", "conditions")
        screen().json(asdict(made) | {name: [each._asdict() for each in getattr(made, name)] for name in named})
    else:
        for line in _told(made):
            click.echo(line)
    return CLEAN


def _expected(file: Path) -> dict[str, Expected]:
    """
    Raises:
        WrongUse: the file is not as it should be.
    """
    try:
        plain = json.loads(file.read_bytes())
    except ValueError as error:
        raise WrongUse(f"file {str(file)!r} is no JSON: {error}") from error
    if not isinstance(plain, dict):
        raise WrongUse(f'file {str(file)!r}: expected a mapping of steps, as {{"charge": "2s"}}')
    return {step: _of(file, step, told) for step, told in plain.items()}


def _of(file: Path, step: str, told: Any) -> Expected:
    said: dict[str, Any] = told if isinstance(told, dict) else {"takes": told}
    if unknown := sorted(said.keys() - set(KEYS)):
        raise WrongUse(f"file {str(file)!r}, step {step!r}: unknown key {unknown[0]!r}, expected {', '.join(KEYS)}")
    takes = said.get("takes", 1)
    try:
        time = parse_duration(str(takes)) if isinstance(takes, (str, int, float)) else None
    except ValueError as error:
        raise WrongUse(f"file {str(file)!r}, step {step!r}: {error}") from error
    size = said.get("bytes", Expected.bytes)
    if time is None or not isinstance(size, int) or size < 0:
        raise WrongUse(f"file {str(file)!r}, step {step!r}: expected takes as a duration, and bytes as a whole number")
    return Expected(time, said.get("result"), size)


def _told(made: Plan) -> Iterator[str]:
    yield f"{made.template} {made.version}: {made.state} after {_time(made.takes)}"
    yield ""
    for number, wave in enumerate(made.waves, start=1):
        yield f"{number:>3}  at {_time(wave.at):<8} {', '.join(wave.steps)}"
    yield ""
    if idle := [step for step in made.steps if step.begins is None]:
        yield f"not run        {', '.join(f'{step.name} ({step.state})' for step in idle)}"
    yield f"critical path  {' -> '.join(made.critical_path) or 'none'}"
    more = f", at most {made.events_at_most}" if made.events_at_most != made.events else ""
    yield f"history        {made.events} events{more}; about {_size(made.bytes)}"
    for known in made.conditions:
        value = known.error or {True: "true", False: "false", None: "not known, taken to be true"}[known.holds]
        yield f"condition      {known.step}: {known.when}: {value}"
    for assumption in made.assumptions:
        yield f"assumed        {assumption}"


def _time(seconds: float) -> str:
    return duration_text(timedelta(seconds=seconds))


def _size(count: int) -> str:
    """In two digits, for more nobody knows beforehand: 9.8 kB."""
    rounded = round(count, 2 - len(str(count)))
    unit, name = next(((unit, name) for unit, name in UNITS if rounded >= unit), UNITS[-1])
    return f"{rounded / unit:g} {name}"


UNITS = ((1_000_000, "MB"), (1_000, "kB"), (1, "bytes"))
