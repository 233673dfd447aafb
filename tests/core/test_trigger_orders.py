"""With triggers and conditions too, the final states depend on how the steps end, never on the order in which they do.

Every graph of up to four steps, with every word on what each step waits for, every way in which its steps can end, and
every order of their ends. What must come of it is worked out beside the core, from the rules as the docs tell them.
Left out is what the declaration itself makes a race: `any_of` with `failed`, which handles only what has failed when it
fires.

The whole of it was played on 22 November 2026: 17,920 flows of four steps, and 405,001 ways to their ends, in 525
seconds on a machine of two cores with a load of 15. `make soak` plays it again. What every run of the tests
plays is the flows of up to three steps, and those of four that ask at most two different words, each under one of its
orders of declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product

import pytest

from tasker_temporal.core.messages import Content
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.template import Template
from tests.core.endings import RESULT, Endings
from tests.core.flows import WORDS, Asked, Edges, flow_of, graphs, is_first_of_its_kind, name_of, questions
from tests.core.test_orders import ends

LEFT, RIGHT = Content(b'"left"'), Content(b'"right"')
"""What a decision returns."""

# What must come of it.

OVER = {"left", "right", "complete", "skipped", "handled"}
COMPLETE = {"left", "right", "complete"}
ENDED = {*OVER, "error"}


def expected(flow: Template, asked: Asked, fates: Mapping[str, str]) -> dict[str, str]:
    """How the steps must end; `handled` is a failure that holds up nothing. Found by asking until nothing changes."""
    handled: set[str] = set()
    while True:
        found = _given(flow, asked, fates, handled)
        handlers = [known for known in flow.steps if asked.get(known.name) == "failed"]
        more = {
            other for known in handlers for other in known.named if found[known.name] in {*COMPLETE, "error", "handled"}
        }
        if more <= handled:
            return found
        handled |= more


def _given(flow: Template, asked: Asked, fates: Mapping[str, str], handled: set[str]) -> dict[str, str]:
    found = {"gate": "complete"}
    for known in flow.steps[1:]:
        others = [found[name] for name in known.needs]
        says = SAYS[asked.get(known.name, "after")](others)
        fate = fates[known.name]
        if known.needs == ("gate",) and fate == "skipped":
            found[known.name] = "skipped"
        elif says == "yes":
            found[known.name] = "handled" if fate == "error" and known.name in handled else fate
        else:
            found[known.name] = "skipped" if says == "never" else "pending"
    return found


def _after(others: list[str]) -> str:
    if not set(others) <= OVER:
        return "not yet"
    return "never" if set(others) <= {"skipped", "handled"} else "yes"


def _completed(others: list[str]) -> str:
    if {"skipped", "handled"} & set(others):
        return "never"
    return "yes" if set(others) <= COMPLETE else "not yet"


def _failed(others: list[str]) -> str:
    if {"skipped", *COMPLETE} & set(others):
        return "never"
    return "yes" if set(others) <= {"error", "handled"} else "not yet"


def _ended(others: list[str]) -> str:
    return "yes" if set(others) <= ENDED else "not yet"


def _skipped(others: list[str]) -> str:
    if "skipped" in others:
        return "yes"
    return "never" if set(others) <= OVER else "not yet"


def _most(others: list[str]) -> str:
    wanted = (len(others) + 1) // 2
    if sum(other in COMPLETE for other in others) >= wanted:
        return "yes"
    lost = others.count("skipped") + others.count("handled")
    return "never" if len(others) - lost < wanted else "not yet"


def _left(others: list[str]) -> str:
    if "left" in others:
        return "yes"
    return "never" if set(others) <= OVER else "not yet"


def _takes(others: list[str]) -> str:
    if not set(others) <= ENDED:
        return "not yet"
    return "yes" if set(others) <= COMPLETE else "never"


def _when(others: list[str]) -> str:
    if not set(others) <= OVER:
        return "not yet"
    return "yes" if set(others) <= COMPLETE else "never"


SAYS: Mapping[str, Callable[[list[str]], str]] = {
    "after": _after,
    "completed": _completed,
    "failed": _failed,
    "ended": _ended,
    "skipped": _skipped,
    "most": _most,
    "left": _left,
    "takes": _takes,
    "when": _when,
}


# What comes of it.


def fate(known: Step) -> str:
    """How the step ended, or would have if it had run."""
    if known.state == "error" or (
        known.state == "skipped" and not known.template.named and known.template.after == ("gate",)
    ):
        return str(known.state)
    if known.template.branches and known.result is not None:
        return "left" if known.result == LEFT else "right"
    return "complete"


def found_in(task: Task) -> dict[str, str]:
    return {name: _found(known) for name, known in task.steps.items()}


def _found(known: Step) -> str:
    if known.state == "complete":
        return fate(known)
    return "handled" if known.handled is not None else str(known.state)


def endings(flow: Template) -> Endings:
    return Endings(
        flow,
        results=lambda name: [LEFT, RIGHT] if flow.step(name).branches else [RESULT],
        skippable=[known.name for known in flow.steps if known.needs == ("gate",)],
    )


def assert_as_expected(size: int, edges: Edges, asked: Asked) -> int:
    """Every order of every way in which the steps can end leads where the rules say.

    Returns:
        How many there are.
    """
    flow, orders = flow_of(size, edges, asked), 0
    for task in endings(flow):
        must = expected(flow, asked, {name: fate(known) for name, known in task.steps.items()})
        assert found_in(task) == must, flow
        assert task.state == ("error" if {"error", "pending"} & set(must.values()) else "complete"), flow
        orders += 1
    return orders


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_order_of_ends_of_few_steps_leads_to_the_same_states(size: int) -> None:
    for edges in graphs(size):
        for asked in questions(edges):
            assert assert_as_expected(size, edges, asked) > 1


@pytest.mark.parametrize("edges", list(graphs(4)), ids=name_of)
def test_every_order_of_ends_of_four_steps_with_two_words_leads_to_the_same_states(edges: Edges) -> None:
    for asked in questions(edges):
        if len(set(asked.values())) <= 2 and is_first_of_its_kind(edges, asked):
            assert_as_expected(4, edges, asked)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_order_of_ends_of_four_steps_leads_to_the_same_states() -> None:
    """All words, and all orders of declaration. What `pytest -s -m long` says stands at the top of this page."""
    orders = [assert_as_expected(4, edges, asked) for edges in graphs(4) for asked in questions(edges)]
    print(f"{len(orders):,} flows, {sum(orders):,} orders")
    assert len(orders) == 17_920


@pytest.mark.parametrize("word", [word for word in WORDS if word != "left"])
def test_a_task_that_was_put_back_goes_on_as_one_that_was_played_from_its_start(word: str) -> None:
    flow = flow_of(4, (("a", "b"), ("a", "d"), ("b", "d"), ("c", "d")), {"b": "after", "d": word})
    fates = ["complete", "error"], ["complete", "error", "skipped"]
    ways = [dict(zip("abcd", way, strict=True)) for way in product(fates[1], fates[0], fates[1], fates[0])]
    played = [tuple(found_in(task).items()) for way in ways for task in ends(flow, way)]
    assert {tuple(found_in(task).items()) for task in endings(flow)} == set(played)
