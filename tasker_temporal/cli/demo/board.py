"""The demo's live board in a terminal: one bar for each step, and the news above it. Elsewhere only the news."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from tasker_temporal.cli.demo.orders import OrderRun
from tasker_temporal.core.machine import State
from tasker_temporal.core.report import StepReport


class Board:
    """Shows where the orders stand for as long as the `with` block lasts."""

    def __init__(self, console: Console, runs: Sequence[OrderRun], steps: Sequence[str]) -> None:
        self._runs = runs
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._whole = self._progress.add_task("[bold]orders", total=len(runs), note="")
        self._bars = {step: self._progress.add_task(f"  {step}", total=len(runs), note="") for step in steps}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def tell(self, run: OrderRun, news: str, style: str) -> None:
        """Print a line of news; in a terminal not for what goes well, because the bars show it."""
        if style != "green" or not self._progress.console.is_terminal:
            self._progress.console.print(Text.assemble((f"{run.id}  ", "bold"), (news, style)), soft_wrap=True)
        self.refresh()

    def refresh(self) -> None:
        """Bring the bars up to date."""
        self._progress.update(self._whole, completed=sum(run.is_over for run in self._runs))
        for step, bar in self._bars.items():
            self._show(bar, [run.steps[step] for run in self._runs if step in run.steps])

    def _show(self, bar: TaskID, reports: Sequence[StepReport]) -> None:
        retried = sum(report.next_attempt_at is not None for report in reports)
        states = [report.state for report in reports]
        counts = {
            "running": states.count(State.IN_PROGRESS),
            "will be tried again": retried,
            "failed": states.count(State.ERROR) - retried,
        }
        note = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        total = sum(not run.problem for run in self._runs)
        self._progress.update(bar, completed=states.count(State.COMPLETE), total=total, note=note)
