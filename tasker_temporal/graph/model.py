"""What is drawn: nodes, edges and a title, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE, State, Table
from tasker_temporal.core.report import StepReport, TaskReport
from tasker_temporal.core.task_types import OVER, Move, TaskType
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import Chosen, Elapsed, Leaf, Received, leaves, said, step_of

EdgeKind = Literal["result", "after", "trigger", "move"]

DASHED: Final[frozenset[EdgeKind]] = frozenset({"after", "trigger"})
"""What hands over nothing."""

NEW = "new"
"""What stands in a machine's picture for having no state yet."""

NAMED = 2
"""So many dependencies that are waited for are named; more are counted."""


class Node(NamedTuple):
    """A step, or a state of a machine. `name` is unique in its graph, `label` is what people read."""

    name: str
    label: str
    state: State | None = None
    """None in a picture of a template."""
    note: str = ""
    """What else there is to know about the run: `attempt 2, ConnectionError`, `waits for charge`."""


class Edge(NamedTuple):
    """From a step to one that waits for it, or from a state to one that can follow.

    A `result` is handed over (drawn solid), `after` is order only (dashed), a `trigger` asks what became of the source
    (dashed, or solid if its result is taken too), a `move` is one of a machine (solid).
    """

    source: str
    target: str
    kind: EdgeKind
    label: str = ""
    """The event that the move publishes, or what the trigger asks: `failed`."""


class Graph(NamedTuple):
    """Something to draw. Both ends of every edge are names of nodes."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    title: str


def graph_of(template: Template, report: TaskReport | None = None) -> Graph:
    """The steps of a template in declared order; with a report of one of its tasks, also where each of them stands."""
    reports = {} if report is None else report.steps
    nodes = tuple(_node(step, reports.get(step.name)) for step in template.steps)
    edges = tuple(edge for step in template.steps for edge in _edges(step))
    title = f"{template.name} {template.version}"
    return Graph(nodes, edges, title if report is None else f"{title}, task {report.task_id}: {report.state}")


def machine_of(entity: Literal["task", "step"] | TaskType) -> Graph:
    """The states of a task, of a step, or of a type of tasks, each move with the event that it publishes.

    A row of a type also has its guard, and says if it is taken because somebody asks for it.
    """
    if isinstance(entity, TaskType):
        table, whose, rows = entity.table, f"a {entity.name} task", entity.rows
    else:
        table, whose, rows = TASK_TABLE if entity == "task" else STEP_TABLE, f"a {entity}", ()
    states = dict.fromkeys(state for move in table for state in move)
    nodes = (Node(str(s or NEW), str(s or NEW), s if isinstance(s, State) else None) for s in states)
    return Graph(tuple(nodes), tuple(_moves(table, rows)), f"The states of {whose}")


def _moves(table: Table, rows: Sequence[Move]) -> Iterator[Edge]:
    for (source, target), event in table.items():
        ways = dict.fromkeys(_way(row) for row in rows if (row.source, row.to) == (source, target))
        yield Edge(str(source or NEW), str(target), "move", event + " or".join(ways))


def _way(row: Move) -> str:
    """Nothing of a row that is taken by itself as soon as every step is over."""
    asked = " on request" if row.by == "request" else ""
    return asked + (f" if {row.when}" if row.when != OVER else "")


def _edges(step: StepTemplate) -> Iterator[Edge]:
    for dependency in step.dependencies:
        if dependency not in step.named:
            yield Edge(dependency, step.name, "result" if dependency in step.takes else "after")
    for named in step.named:
        asked = dict.fromkeys(_asked(leaf) for leaf in leaves_of(step) if step_of(leaf) == named)
        yield Edge(named, step.name, "result" if named in step.takes else "trigger", " or ".join(asked))


def leaves_of(step: StepTemplate) -> tuple[Leaf, ...]:
    return () if step.trigger is None else tuple(leaves(step.trigger))


def _asked(leaf: Leaf) -> str:
    return f"chosen {leaf.branch}" if isinstance(leaf, Chosen) else type(leaf).__name__.lower()


def _node(step: StepTemplate, report: StepReport | None) -> Node:
    about = _about(step)
    if report is None:
        return Node(step.name, step.name, note=about)
    return Node(step.name, step.name, report.state, ", ".join(part for part in (_note(report), about) if part))


def _about(step: StepTemplate) -> str:
    """What no edge says of when the step runs."""
    parts = [f"chooses {' or '.join(step.branches)}"] if step.branches else []
    if step.awaits == "event" and step.on is not None:
        parts.append(f"waits for {said(step.on)}")
    parts += [f"on {said(leaf)}" for leaf in leaves_of(step) if isinstance(leaf, (Received, Elapsed))]
    return ", ".join([*parts, *([f"if {step.when}"] if step.when else [])])


def _note(report: StepReport) -> str:
    parts = []
    if report.attempt > 1 or report.state is State.ERROR:
        parts.append(f"attempt {report.attempt}")
    if report.last_error is not None and report.state not in (State.COMPLETE, State.SKIPPED):
        parts.append(report.last_error.type)
    if report.next_attempt_at is not None:
        parts.append(f"again at {report.next_attempt_at:%H:%M:%S} UTC")
    if report.waits_for:
        count = len(report.waits_for)
        parts.append("waits for " + (" and ".join(report.waits_for) if count <= NAMED else f"{count} steps"))
    return ", ".join(parts)
