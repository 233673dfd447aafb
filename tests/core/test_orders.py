"""The final states depend on how the steps end, never on the order in which they do.

Every graph of up to four steps, every way in which its steps can end, and every order of their ends are tried out.
What must come of it is worked out beside the core, from the join rule as the design tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, product

import pytest

from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Command, Content, Failure, RunStep, Start, StepFailed, StepSucceeded
from tasker_temporal.core.requests import SkipStep
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import StepTemplate, Template
from tests.core.driving import BEGIN, KEY, step, template

RESULT, FOR_GOOD = Content(b"1"), Failure("Boom", "it broke", retryable=False)
Fates = Mapping[str, str]


def graphs(size: int) -> Iterator[Template]:
    """All graphs of steps that wait for earlier ones. A gate holds those that wait for none until steps are skipped."""
    names = "abcd"[:size]
    pairs = list(combinations(names, 2))
    for chosen in product([False, True], repeat=len(pairs)):
        edges = [pair for pair, taken in zip(pairs, chosen, strict=True) if taken]
        yield template(step("gate"), *(_waiting(name, [a for a, b in edges if b == name]) for name in names))


def _waiting(name: str, others: list[str]) -> StepTemplate:
    """The step requires the results of its direct neighbour and the one after the next; the others it only follows."""
    takes = [other for other in others if (ord(name) - ord(other)) % 2]
    return step(name, *takes, after=[other for other in others if other not in takes] if others else ["gate"])


def ways(flow: Template) -> Iterator[tuple[Fates, dict[str, str]]]:
    """All fates of the steps that make a difference, each with the final states to which it must lead."""
    names = [known.name for known in flow.steps[1:]]
    for chosen in product(["complete", "error", "skipped"], repeat=len(names)):
        fates = dict(zip(names, chosen, strict=True))
        must = expected(flow, fates)
        if all(must[name] == "error" for name in names if fates[name] == "error"):
            yield fates, must


def expected(flow: Template, fates: Fates) -> dict[str, str]:
    """How the steps must end."""
    ends = {"gate": "complete"}
    for known in flow.steps[1:]:
        waits_for = [ends[name] for name in known.dependencies]
        if fates[known.name] == "skipped":
            ends[known.name] = "skipped"
        elif {"error", "pending"} & set(waits_for):
            ends[known.name] = "pending"
        elif set(waits_for) == {"skipped"} or "skipped" in {ends[name] for name in known.required}:
            ends[known.name] = "skipped"
        else:
            ends[known.name] = fates[known.name]
    return ends


def ends(flow: Template, fates: Fates) -> Iterator[Task]:
    """The task at its end, once for each order in which what runs at a time can end."""
    choices: list[list[str]] = []
    while True:
        yield _played(flow, fates, choices)
        while choices and len(choices[-1]) == 1:
            choices.pop()
        if not choices:
            return
        choices[-1].pop()


def _played(flow: Template, fates: Fates, choices: list[list[str]]) -> Task:
    """Play one order: the last of each of the `choices`, which go on with what is found to run."""
    task = Task("task-1", flow, Content(b"{}"), KEY)
    engine = Engine(task)
    engine.apply(Start(), BEGIN)
    running: set[str] = set()
    for name, fate in fates.items():
        if fate == "skipped" and task.steps[name].state == "pending":
            running |= _begun(engine.apply(SkipStep(step=name, actor="ann", reason="r"), BEGIN))
    running |= _ordered(engine, "gate", "complete")
    place = 0
    while running:
        if place == len(choices):
            choices.append(sorted(running))
        name = choices[place][-1]
        running = (running - {name}) | _ordered(engine, name, fates[name])
        place += 1
    return task


def _ordered(engine: Engine, name: str, fate: str) -> set[str]:
    end = StepSucceeded(name, 1, RESULT) if fate == "complete" else StepFailed(name, 1, FOR_GOOD)
    return _begun(engine.apply(end, BEGIN))


def _begun(commands: Iterable[Command]) -> set[str]:
    return {command.step for command in commands if isinstance(command, RunStep)}


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_every_order_of_ends_leads_to_the_same_final_states(size: int) -> None:
    for flow in graphs(size):
        for fates, must in ways(flow):
            for task in ends(flow, fates):
                assert {name: str(known.state) for name, known in task.steps.items()} == must
                assert task.state == ("error" if "error" in must.values() else "complete")


def test_the_orders_are_all_tried() -> None:
    """Four steps that wait for nothing end in 4! orders, and a diamond in two."""
    names = dict.fromkeys("abcd", "complete")
    free = template(step("gate"), *(step(name, after=["gate"]) for name in "abcd"))
    diamond = template(step("gate"), step("a", after=["gate"]), step("b", "a"), step("c", "a"), step("d", "b", "c"))
    assert len({tuple(row.entity for row in task.rows) for task in ends(free, names)}) == 24
    assert len({tuple(row.entity for row in task.rows) for task in ends(diamond, names)}) == 2
