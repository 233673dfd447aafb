"""Shapes of graphs."""

from __future__ import annotations

from datetime import datetime, timedelta

from tasker_temporal import Limits, State
from tasker_temporal.testing import Fail, Ok
from tests.conformance.case import FAST, Case, Seen
from tests.conformance.plays import Edges, graph

DIAMOND: Edges = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
TREE: Edges = {"root": []} | {f"t{n}": ["root" if n < 3 else f"t{n // 3 - 1}"] for n in range(12)}
MIXED: Edges = {f"m{n}": sorted({f"m{n // 2}", f"m{n // 3}", f"m{n - 1}"}) if n % 5 else [] for n in range(30)}
WIDE: Edges = {"root": []} | {f"w{n}": ["root"] for n in range(200)} | {"end": [f"w{n}" for n in range(200)]}
LARGEST: Edges = {f"s{n}": [f"s{n - 50}"] if n >= 50 else [] for n in range(5000)}
LARGE: Edges = {name: LARGEST[name] for name in list(LARGEST)[:2000]}


def follow_edges(seen: Seen) -> None:
    """No step begins before all that it waits for are over."""
    edges = {"diamond": DIAMOND, "tree": TREE, "mixed": MIXED}[seen.report.template]
    for step, dependencies in edges.items():
        begun = _key(seen, step, State.IN_PROGRESS)
        assert all(_key(seen, dependency, State.COMPLETE) < begun for dependency in dependencies)


def _key(seen: Seen, step: str, state: State) -> int:
    return next(row.sort_key for row in seen.audit if row.step == step and row.to_state == state)


def keep_to_the_window(seen: Seen) -> None:
    """At most 64 steps run at once, and as many do."""
    running = most = 0
    for row in seen.audit:
        if row.step is not None:
            running += (row.to_state == State.IN_PROGRESS) - (row.from_state == State.IN_PROGRESS)
            most = max(most, running)
    assert most == 64


def tell_times(seen: Seen) -> None:
    """The chain's steps follow one another in time; in memory to the microsecond."""
    ends = [seen.at(step, State.COMPLETE) for step in "abcde"]
    assert ends == sorted(ends)
    if not seen.on_server:
        assert ends == [seen.begin + timedelta(milliseconds=20 * n) for n in range(1, 6)]


def takes_a_little(begin: datetime) -> dict[str, list[Ok]]:
    return {step: [Ok(step.upper(), takes=0.02)] for step in "abcde"}


CASES = [
    Case(
        name="linear",
        template=graph("linear", {"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "e": ["d"]}),
        outcomes=takes_a_little,
        paths={"task": "pending in_progress complete", "c": "pending in_progress complete"},
        results={"a": "A", "e": "E"},
        law=tell_times,
    ),
    Case(name="diamond", template=graph("diamond", DIAMOND), law=follow_edges),
    Case(name="tree", template=graph("tree", TREE), law=follow_edges),
    Case(
        name="mixed",
        template=graph("mixed", MIXED, retry=FAST),
        outcomes={"m7": [Fail(), Ok()], "m16": [Fail(), Fail(), Ok()]},
        paths={"m16": "pending in_progress error pending in_progress error pending in_progress complete"},
        law=follow_edges,
    ),
    Case(name="wide", template=graph("wide", WIDE), law=keep_to_the_window),
    Case(name="nothing", template=graph("nothing", {}), paths={"task": "pending in_progress complete"}),
    Case(name="large", template=graph("large", LARGE, limits=Limits(drain_events=5000))),
    Case(name="largest", template=graph("largest", LARGEST)),
]
