"""Many tasks at once: those that a query finds, and what came of a request to each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import click
from rich.table import Table
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from tasker_temporal.cli.listing import line
from tasker_temporal.cli.screen import screen, screen_of_errors
from tasker_temporal.cli.tables import NARROW, cells, list_table
from tasker_temporal.errors import NoAnswer, RequestRefused, RequestUnanswered, TaskerError

SHOWN = 10
"""Tasks that a preview shows, and ids that a summary names for each reason."""

Put = Callable[[Client, str], Awaitable[Mapping[str, Any]]]
"""Makes the request of one task."""


class Found(NamedTuple):
    """A task, by the run that the query found."""

    id: str
    run: WorkflowExecution


async def find(client: Client, query: str) -> list[Found]:
    """The tasks that the query finds, each once."""
    wanted = f"({query}) AND ExecutionStatus != 'ContinuedAsNew'"
    found: dict[str, Found] = {}
    async for run in client.list_workflows(wanted):
        found.setdefault(run.id, Found(run.id, run))
    return list(found.values())


def preview(query: str, found: list[Found]) -> None:
    """Show a person what the query finds, beside the command's own output."""
    out = screen_of_errors()
    out.print(f"{len(found)} tasks are found by {query}", soft_wrap=True)
    out.show(list_table(line(task.run) for task in found[:SHOWN]))
    if len(found) > SHOWN:
        out.print(f"and {len(found) - SHOWN} more")


class Refused(NamedTuple):
    """A task that did not take the request, and why."""

    task_id: str
    rule: str
    legal: tuple[str, ...] = ()


@dataclass
class Answers:
    """What came of one request to many tasks.

    Attributes:
        request_id: The same for all, so that the whole can be asked again.
        found: How many tasks there are.
        plan: It was only planned.
        done: The tasks that took it, or would, each with the first and the last row that followed.
        unanswered: Those that may still take it.
        unchecked: Of a plan, what nobody has checked the type of.
    """

    request: str
    request_id: str
    query: str
    found: int
    plan: bool
    done: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    unchecked: str = ""

    async def collect(self, client: Client, put: Put, found: Iterable[Found], at_once: int) -> None:
        """Ask each task, so many at a time."""
        queue = iter(found)
        await asyncio.gather(*(self._work(client, put, queue) for _ in range(at_once)))

    async def _work(self, client: Client, put: Put, queue: Iterator[Found]) -> None:
        for task in queue:
            try:
                await _require_latest(client, task)
                answer = await put(client, task.id)
                self.unchecked = self.unchecked or answer.get("unchecked", "")
                self.done.append({"task_id": task.id, **_span(answer)})
            except RequestRefused as error:
                self.refused.append(Refused(task.id, error.rule, error.legal))
            except (RequestUnanswered, NoAnswer):
                self.unanswered.append(task.id)
            except (TaskerError, RPCError) as error:
                self.refused.append(Refused(task.id, str(error)))

    def show(self, as_json: bool) -> None:
        """Print the summary."""
        if as_json:
            told = {name: value for name, value in vars(self).items() if name != "plan"}
            screen().json(told | {"refused": [task._asdict() for task in self.refused]})
            return
        would = "would take it" if self.plan else "took it"
        click.echo(f"{len(self.done)} of {self.found} tasks {would}.")
        tell_unchecked(self.unchecked)
        if self.refused:
            screen().show(_reasons(self.refused))
        if self.unanswered:
            click.echo(
                f"{_some(self.unanswered)}: no answer, probably because no worker runs. The request may still be "
                f"applied: ask again with --request-id {self.request_id}"
            )


def tell_unchecked(what: str) -> None:
    """Say what a plan leaves open."""
    if what:
        click.echo(f"Not checked: whether {what} is of the right type. A worker checks it when it is asked.", err=True)


async def _require_latest(client: Client, task: Found) -> None:
    """The query may have found a run after which the task was reopened: then it is another one that would be asked."""
    if task.run.status is WorkflowExecutionStatus.RUNNING:
        return
    if (await client.get_workflow_handle(task.id).describe()).run_id != task.run.run_id:
        raise RequestRefused("the query found an earlier run of it, which was reopened since")


def _span(answer: Mapping[str, Any]) -> Mapping[str, int]:
    if "first" in answer:
        return {"first": answer["first"], "last": answer["last"]}
    keys = [row["sort_key"] for row in answer["rows"]]
    return {"first": keys[0], "last": keys[-1]} if keys else {}


def _reasons(refused: Iterable[Refused]) -> Table:
    """One line for each reason."""
    by_rule: dict[str, list[str]] = {}
    for task in refused:
        by_rule.setdefault(task.rule, []).append(task.task_id)
    table = Table(box=None, padding=NARROW)
    table.add_column("refused", justify="right")
    table.add_column("because", overflow="fold")
    table.add_column("tasks", overflow="fold")
    for rule, tasks in sorted(by_rule.items(), key=lambda item: -len(item[1])):
        table.add_row(*cells(str(len(tasks)), rule, _some(tasks)))
    return table


def _some(tasks: list[str]) -> str:
    return ", ".join(tasks[:SHOWN]) + (f" and {len(tasks) - SHOWN} more" if len(tasks) > SHOWN else "")
