"""One order of the demo: its task is started, watched, and told about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from tasker_temporal.client import start_task
from tasker_temporal.core.machine import State
from tasker_temporal.core.report import StepReport, TaskReport
from tasker_temporal.errors import ContextInvalid, TaskEnded
from tasker_temporal.handle import TaskHandle

LOOK_SECONDS = 0.2
"""How often a running task is asked for its report."""

REFUSED = "refused"
"""What became of an order that is not valid: no task was started."""


@dataclass(eq=False)
class OrderRun:
    """What is known of one order and its task."""

    order: Mapping[str, Any]
    handle: TaskHandle | None = None
    report: TaskReport | None = None
    problem: str = ""
    """Why it was refused."""

    @property
    def id(self) -> str:
        return str(self.order["id"])

    @property
    def steps(self) -> Mapping[str, StepReport]:
        return self.report.steps if self.report else {}

    @property
    def outcome(self) -> str:
        """The task's state, or that there is no task."""
        return REFUSED if self.problem else str(self.report.state if self.report else State.PENDING)

    @property
    def is_over(self) -> bool:
        return bool(self.problem or (self.report and self.report.ended_at))

    @property
    def attempts(self) -> int:
        return sum(step.attempt for step in self.steps.values())

    @property
    def seconds(self) -> float:
        """From its task's start to its end."""
        if self.report is None or self.report.started_at is None or self.report.ended_at is None:
            return 0.0
        return (self.report.ended_at - self.report.started_at).total_seconds()

    @property
    def why(self) -> str:
        """What went wrong, for good or for a while."""
        said = [f"{name}: {step.last_error.message}" for name, step in self.steps.items() if step.last_error]
        return self.problem or "; ".join(said)


Tell = Callable[[OrderRun, str, str], None]
"""Is told of news: the order, what happened, and a style for it."""


async def run_order(run: OrderRun, client: Client, template: str, tell: Tell) -> None:
    """Start the order's task, and follow it to its end."""
    try:
        run.handle = await start_task(client, template, run.order, id=run.id, actor="tasker demo", reason="a new order")
    except ContextInvalid as error:
        first = error.problems[0]
        run.problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        tell(run, f"refused, no task was started: {run.problem}", "yellow")
    else:
        await _follow(run, run.handle, tell)


async def _follow(run: OrderRun, handle: TaskHandle, tell: Tell) -> None:
    ended = asyncio.ensure_future(handle.result())
    try:
        while not ended.done():
            _see(run, await handle.report(), tell)
            await asyncio.wait([ended], timeout=LOOK_SECONDS)
    except BaseException:
        # Whoever is interrupted does not ask any more how it ended, and asyncio would complain of that.
        ended.cancel()
        raise
    try:
        run.report = await ended
        tell(run, f"complete after {run.seconds:.1f} s", "green")
    except TaskEnded as error:
        run.report = error.report
        tell(run, f"{run.outcome}: {run.why or error}", "red")


def _see(run: OrderRun, report: TaskReport, tell: Tell) -> None:
    before, run.report = run.steps, report
    for name, step in report.steps.items():
        if step.next_attempt_at and (name not in before or before[name].next_attempt_at != step.next_attempt_at):
            error = step.last_error.message if step.last_error else "failed"
            tell(run, f"{name}, attempt {step.attempt}: {error}; it is tried again", "yellow")
