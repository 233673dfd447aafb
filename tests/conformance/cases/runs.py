"""Tasks that go on in a new run."""

from __future__ import annotations

from typing import Any

from tasker_temporal import Limits, State, TaskTemplate, result_of
from tasker_temporal.core.requests import CancelTask
from tasker_temporal.declare import DeclaredStep
from tasker_temporal.testing import Fail, Hang, Ok
from tests.conformance.case import FAST, Asked, Case, Law, Seen
from tests.conformance.cases.requests import HEEDFUL
from tests.conformance.plays import Edges, graph, play

CHAIN: Edges = {f"c{n}": [f"c{n - 1}"] if n else [] for n in range(20)}
LARGE: Edges = {"large": [], "next": ["large"], "last": ["next"]}
FAN: Edges = {"root": []} | {f"f{n}": ["root"] for n in range(60)} | {"end": [f"f{n}" for n in range(60)]}


def takes_runs(least: int) -> Law:
    """At least so many on the server, and each but the first begins with a row that says so."""

    def law(seen: Seen) -> None:
        continued = [row for row in seen.audit if row.event == "workflow.run_continued"]
        assert len(continued) == seen.runs - 1
        assert seen.runs >= (least if seen.on_server else 1)

    return law


def takes_runs_and_waits(seen: Seen) -> None:
    """A backoff goes on in the next run, for the rest of its time."""
    takes_runs(2)(seen)
    failed, tried = seen.at("c4", State.ERROR), seen.at("c4", State.IN_PROGRESS, 1)
    assert (tried - failed).total_seconds() >= 1.5
    between = [row.event for row in seen.audit if failed.isoformat() < row.at <= tried.isoformat()]
    assert "workflow.run_continued" in between or not seen.on_server


sums = TaskTemplate("sums_over_runs", limits=Limits(drain_events=20))
total: DeclaredStep[..., Any, Any] = sums.add_step("n0", play)


def _add(name: str) -> None:
    global total
    before = total

    async def plus_one(so_far: int = result_of(before)) -> int:
        return so_far + 1

    total = sums.add_step(name, plus_one)


for number in range(1, 12):
    _add(f"n{number}")


CASES = [
    Case(
        name="chain-over-runs",
        template=graph("chain_over_runs", CHAIN, limits=Limits(drain_events=30)),
        paths={"task": "pending in_progress complete", "c19": "pending in_progress complete"},
        law=takes_runs(3),
    ),
    Case(
        name="fan-out-over-runs",
        template=graph("fan_over_runs", FAN, limits=Limits(drain_events=60, in_flight=8)),
        paths={"end": "pending in_progress complete"},
        law=takes_runs(3),
    ),
    Case(
        name="backoff-over-runs",
        template=graph("backoff_over_runs", CHAIN, retry=FAST, limits=Limits(drain_events=26)),
        outcomes={"c4": [Fail("busy", retry_after=1.5), Ok()]},
        paths={"c4": "pending in_progress error pending in_progress complete"},
        law=takes_runs_and_waits,
    ),
    Case(
        name="bytes-over-runs",
        template=graph("bytes_over_runs", LARGE, limits=Limits(drain_bytes=100_000)),
        outcomes={"large": [Ok("x" * 150_000)]},
        paths={"last": "pending in_progress complete"},
        law=takes_runs(2),
    ),
    Case(
        name="results-over-runs",
        template=sums,
        outcomes={"n0": [Ok(5)]},
        real=frozenset(f"n{n}" for n in range(1, 12)),
        results={"n0": 5, "n11": 16},
        law=takes_runs(2),
    ),
    Case(
        name="cancel-over-runs",
        template=graph("cancel_over_runs", CHAIN, heartbeat_timeout=HEEDFUL, limits=Limits(drain_events=30)),
        outcomes={"c10": [Hang()]},
        asked=[Asked(after=5, when=("c10", State.IN_PROGRESS), request=CancelTask(actor="ann", reason="enough"))],
        state=State.CANCELLED,
        steps={f"c{n}": State.CANCELLED for n in range(10, 20)},
        law=takes_runs(2),
    ),
]
