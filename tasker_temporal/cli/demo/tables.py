"""What the demo shows when all is over: what became of the orders, and how one of them went."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from tasker_temporal.cli.demo.orders import OrderRun
from tasker_temporal.cli.tables import styled
from tasker_temporal.core.machine import State
from tasker_temporal.core.rows import Row

FITS_80_COLUMNS = (0, 1, 0, 0)


def outcome_table(runs: Iterable[OrderRun]) -> Table:
    """One line for each order."""
    table = Table("order", "state", box=None, padding=(0, 2, 0, 0))
    for name in ("steps", "attempts", "time"):
        table.add_column(name, justify="right")
    table.add_column("what went wrong")
    for run in runs:
        overcome = run.outcome == State.COMPLETE
        table.add_row(run.id, styled(run.outcome), *_figures(run), Text(run.why, style="dim" if overcome else ""))
    return table


def _figures(run: OrderRun) -> tuple[str, str, str]:
    if run.report is None:
        return "-", "-", "-"
    counts = run.report.counts
    return f"{counts.get(State.COMPLETE, 0)}/{counts['total']}", str(run.attempts), f"{run.seconds:.1f} s"


def audit_table(rows: Sequence[Row]) -> Table:
    """One line for each row of an audit; `by` is the row that led to it."""
    table = Table(box=None, padding=FITS_80_COLUMNS)
    table.add_column("row", justify="right")
    table.add_column("sec", justify="right")
    for name in ("who", "moved", "at the event"):
        table.add_column(name, no_wrap=True)
    table.add_column("by", justify="right")
    start = datetime.fromisoformat(rows[0].at)
    for row in rows:
        after = (datetime.fromisoformat(row.at) - start).total_seconds()
        cause = "" if row.cause is None else str(row.cause)
        table.add_row(str(row.sort_key), f"{after:.2f}", row.step or row.entity, _move(row), row.event, cause)
    return table


def _move(row: Row) -> Text:
    return Text.assemble(styled(row.from_state), " → " if row.from_state else "→ ", styled(row.to_state))
