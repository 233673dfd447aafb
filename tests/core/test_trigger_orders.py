"""With triggers too, the final states depend on how the steps end, never on the order in which they do.

Every graph of up to four steps, with every word on its edges, every way in which its steps can end, and every order of
their ends. What must come of it is worked out beside the core, from the rules as the docs tell them. Left out is what
the declaration itself makes a race: `any_of` with `failed`, which handles only what has failed when it fires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import pytest

from tasker_temporal.core.template import StepTemplate, Template
from tests.core.driving import step, template
from tests.core.test_orders import ends

Fates = Mapping[str, str]

WORDS: Mapping[str, Callable[[list[str]], Any]] = {
    "after": lambda others: None,
    "completed": lambda others: {"all_of": [{"completed": other} for other in others]},
    "failed": lambda others: {"all_of": [{"failed": other} for other in others]},
    "ended": lambda others: {"all_of": [{"ended": other} for other in others]},
    "skipped": lambda others: {"any_of": [{"skipped": other} for other in others]},
    "most": lambda others: {"at_least": (len(others) + 1) // 2, "of": [{"completed": other} for other in others]},
}
"""For each word, the trigger that asks it of all that the step waits for."""

OVER = {"complete", "skipped", "handled"}


def flows(size: int, words: Sequence[str]) -> Iterator[tuple[Template, dict[str, str]]]:
    """All graphs of so many steps, the n-th of which asks the n-th word."""
    names = "abcd"[:size]
    pairs = list(combinations(names, 2))
    asked = dict(zip(names, words, strict=True))
    for chosen in product([False, True], repeat=len(pairs)):
        edges = [pair for pair, taken in zip(pairs, chosen, strict=True) if taken]
        before = {name: [a for a, b in edges if b == name] for name in names}
        yield template(step("gate"), *(_asking(name, before[name], asked[name]) for name in names)), asked


def _asking(name: str, others: list[str], word: str) -> StepTemplate:
    if not others or word == "after":
        return step(name, after=others or ["gate"])
    return step(name, on=WORDS[word](others))


def expected(flow: Template, asked: Mapping[str, str], fates: Fates) -> dict[str, str]:
    """How the steps must end; `handled` is a failure that holds up nothing. Found by asking until nothing changes."""
    handled: set[str] = set()
    while True:
        found = _given(flow, asked, fates, handled)
        runs = {name for name, end in found.items() if end in ("complete", "error", "handled")}
        named = {other for known in flow.steps if asked.get(known.name) == "failed" for other in known.named}
        more = {
            other
            for other in named
            for known in flow.steps
            if asked.get(known.name) == "failed" and other in known.named and known.name in runs
        }
        if more <= handled:
            return found
        handled |= more


def _given(flow: Template, asked: Mapping[str, str], fates: Fates, handled: set[str]) -> dict[str, str]:
    found = {"gate": "complete"}
    for known in flow.steps[1:]:
        others = [found[name] for name in known.needs]
        word = asked[known.name] if known.named else "after"
        says = SAYS[word](others)
        if fates[known.name] == "skipped" and known.needs == ("gate",):
            found[known.name] = "skipped"
        elif says == "yes":
            fate = fates[known.name]
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
    return "yes" if set(others) == {"complete"} else "not yet"


def _failed(others: list[str]) -> str:
    if {"skipped", "complete"} & set(others):
        return "never"
    return "yes" if set(others) <= {"error", "handled"} else "not yet"


def _ended(others: list[str]) -> str:
    return "yes" if "pending" not in others else "not yet"


def _skipped(others: list[str]) -> str:
    if "skipped" in others:
        return "yes"
    return "never" if set(others) <= {"complete", "handled"} else "not yet"


def _most(others: list[str]) -> str:
    wanted = (len(others) + 1) // 2
    if others.count("complete") >= wanted:
        return "yes"
    lost = others.count("skipped") + others.count("handled")
    return "never" if len(others) - lost < wanted else "not yet"


SAYS: Mapping[str, Callable[[list[str]], str]] = {
    "after": _after,
    "completed": _completed,
    "failed": _failed,
    "ended": _ended,
    "skipped": _skipped,
    "most": _most,
}


def check(size: int, words: Sequence[str]) -> int:
    """How many tasks were played."""
    played = 0
    for flow, asked in flows(size, words):
        names = [known.name for known in flow.steps[1:]]
        for chosen in product(["complete", "error", "skipped"], repeat=size):
            fates = dict(zip(names, chosen, strict=True))
            if any(fates[known.name] == "skipped" and known.needs != ("gate",) for known in flow.steps[1:]):
                continue  # Only what waits for the gate is skipped by hand: the rest is skipped by the rules.
            must = expected(flow, asked, fates)
            for task in ends(flow, fates):
                found = {
                    name: "handled" if known.handled is not None else str(known.state)
                    for name, known in task.steps.items()
                }
                assert found == must, (flow, fates)
                assert task.state == ("error" if {"error", "pending"} & set(must.values()) else "complete")
                played += 1
    return played


@pytest.mark.parametrize("words", list(product(WORDS, repeat=2)), ids="-".join)
def test_every_order_of_ends_of_three_steps_leads_to_the_same_states(words: tuple[str, str]) -> None:
    assert check(3, ["after", *words]) > 100


@pytest.mark.parametrize("word", ["failed", "most"])
def test_every_order_of_ends_of_four_steps_with_one_word_leads_to_the_same_states(word: str) -> None:
    assert check(4, ["after", word, word, word]) > 1000


@pytest.mark.long
@pytest.mark.parametrize("words", list(product(WORDS, repeat=3)), ids="-".join)
def test_every_order_of_ends_of_four_steps_leads_to_the_same_states(words: tuple[str, str, str]) -> None:
    check(4, ["after", *words])
