"""Tasks, their steps and their audits as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from tasker_temporal.core.machine import State
from tasker_temporal.core.report import StepReport, TaskReport
from tasker_temporal.core.rows import Row
from tasker_temporal.graph.labels import plain

STYLES: Mapping[str, str] = {
    State.COMPLETE: "green",
    State.ERROR: "red",
    State.IN_PROGRESS: "cyan",
    State.PENDING: "dim",
    State.CANCELLED: "yellow",
    State.SKIPPED: "dim",
    "refused": "yellow",
    "open": "cyan",
}

SHOWN = 40
"""Steps that a terminal shows of a larger task: what moves or failed first."""

URGENCY = (State.ERROR, State.IN_PROGRESS, State.COMPLETE, State.PENDING)

NARROW = (0, 2, 0, 0)


def cell(value: str | Text) -> Text:
    """What stands in a table as it is: not as markup, and with nothing in it that would move a terminal's cursor."""
    return value if isinstance(value, Text) else Text(plain(value))


def cells(*values: str | Text) -> Iterator[Text]:
    return map(cell, values)


def styled(state: str | None) -> Text:
    """The state in its colour."""
    return Text(state or "", style=STYLES.get(state or "", ""))


def headline(report: TaskReport) -> Text:
    """The task in three lines: its state, its times, its counts."""
    counts = [f"{count} {state}" for state, count in report.counts.items() if state != "total"]
    state = "being cancelled" if report.cancelling else str(report.state)
    told = Text.assemble((report.task_id, "bold"), "  ", styled(state) if state in STYLES else (state, "yellow"))
    told.append(f"  {report.completion_percentage:g} %\n{report.template} {report.version}{_times(report)}\n")
    told.append(f"{report.counts['total']} steps: {', '.join(counts) or 'none'}")
    if report.recommended_action == "handle_failures":
        told.append("\nit cannot go on by itself", style="red")
    for problem in report.problems:
        place = ".".join(str(part) for part in problem["loc"]) or "the whole"
        told.append(f"\nthe context is not valid: {place}: {problem['msg']}", style="red")
    return told


def _times(report: TaskReport) -> str:
    if report.started_at is None:
        return ", has not begun"
    began = f", began {report.started_at:%Y-%m-%d %H:%M:%S} UTC"
    return began + (f", took {_span(report.ended_at - report.started_at)}" if report.ended_at else "")


def step_table(report: TaskReport, most: int | None = None) -> Table:
    """One line for each step in declared order; of more than `most`, those that matter most."""
    table = Table(box=None, padding=NARROW)
    table.add_column("step", overflow="fold")
    for name in ("state", "attempt", "began", "took"):
        table.add_column(name, no_wrap=True, justify="right" if name in ("attempt", "took") else "left")
    table.add_column("note", overflow="fold")
    names = _most_urgent(report, most)
    for name in names:
        step = report.steps[name]
        began = f"{step.started_at:%H:%M:%S}" if step.started_at else ""
        table.add_row(*cells(name, styled(step.state), str(step.attempt or ""), began, _took(step), _note(step)))
    if hidden := len(report.steps) - len(names):
        table.add_row(Text(f"and {hidden} more", style="dim"))
    return table


def _most_urgent(report: TaskReport, most: int | None) -> Sequence[str]:
    names = list(report.steps)
    if most is None or len(names) <= most:
        return names
    rank = {state: number for number, state in enumerate(URGENCY)}
    return sorted(names, key=lambda name: rank.get(report.steps[name].state, len(URGENCY)))[:most]


def _took(step: StepReport) -> str:
    return _span(step.ended_at - step.started_at) if step.started_at and step.ended_at else ""


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds:.2f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _note(step: StepReport) -> str:
    parts = []
    if step.last_error is not None:
        error = step.last_error
        parts.append(f"{error.type}: {error.message}" if error.message else error.type)
    if step.next_attempt_at is not None:
        parts.append(f"again at {step.next_attempt_at:%H:%M:%S}")
    if step.waits_for:
        more = f" and {len(step.waits_for) - 3} more" if len(step.waits_for) > 3 else ""
        parts.append(f"waits for {', '.join(step.waits_for[:3])}{more}")
    return "; ".join(parts)


def audit_table(rows: Sequence[Row]) -> Table:
    """One line for each row. `because` names the row that led to it, or who asked for it."""
    table = Table(box=None, padding=NARROW)
    table.add_column("row", justify="right")
    table.add_column("after", justify="right", no_wrap=True)
    for name in ("who", "what", "event"):
        table.add_column(name, overflow="fold")
    table.add_column("because", overflow="fold")
    for row in rows:
        after = datetime.fromisoformat(row.at) - datetime.fromisoformat(rows[0].at)
        told = (str(row.sort_key), _span(after), row.step or row.entity, moved(row), row.event, because(row))
        table.add_row(*cells(*told))
    return table


def moved(row: Row) -> Text:
    """The move that a row records, or that it records none."""
    if row.kind != "transition":
        return styled(row.kind)
    return Text.assemble(styled(row.from_state), " → " if row.from_state else "→ ", styled(row.to_state))


def because(row: Row) -> str:
    """What led to a row: another row, or somebody, with a reason."""
    if row.cause is not None:
        return f"row {row.cause}"
    return f"{row.actor}: {row.reason}" if row.reason else row.actor


def list_table(tasks: Iterable[Mapping[str, Any]], *, head: bool = True) -> Table:
    """One line for each task that visibility has found."""
    table = Table(box=None, padding=NARROW, show_header=head)
    for name in ("task", "template"):
        table.add_column(name, overflow="fold")
    for name in ("state", "began (UTC)", "ended (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("waits for", "failed"):
        table.add_column(name, overflow="fold")
    for task in tasks:
        began, ended = (moment(task[name]) for name in ("started_at", "ended_at"))
        told = (", ".join(task[name]) for name in ("waiting_for", "failed_steps"))
        table.add_row(*cells(task["task_id"], task["template"], styled(task["state"]), began, ended, *told))
    return table


def moment(at: str | None) -> str:
    """A time of JSON for people."""
    return "" if at is None else f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S}"
