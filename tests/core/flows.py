"""Small flows, all of them: every graph, with every word on what each step waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, permutations, product
from typing import Any

from tasker_temporal.core.template import StepTemplate, Template
from tests.core.driving import step, template


def _on(trigger: Callable[[list[str]], Any]) -> Callable[[list[str]], dict[str, Any]]:
    return lambda others: {"on": trigger(others)}


def _of(word: str, others: list[str]) -> list[dict[str, str]]:
    return [{word: other} for other in others]


WORDS: Mapping[str, Callable[[list[str]], dict[str, Any]]] = {
    "after": lambda others: {"after": others},
    "completed": _on(lambda others: {"all_of": _of("completed", others)}),
    "failed": _on(lambda others: {"all_of": _of("failed", others)}),
    "ended": _on(lambda others: {"all_of": _of("ended", others)}),
    "skipped": _on(lambda others: {"any_of": _of("skipped", others)}),
    "most": _on(lambda others: {"at_least": (len(others) + 1) // 2, "of": _of("completed", others)}),
    "left": _on(lambda others: {"any_of": [{"chosen": other, "branch": "left"} for other in others]}),
    "takes": _on(lambda others: {"all_of": _of("ended", others)}),
    "when": lambda others: {"after": others, "when": " && ".join(f"result.{other} != null" for other in others)},
}
"""For each word, what asks it of all that the step waits for. `takes` requires their results, once they ended."""

Edges = tuple[tuple[str, str], ...]
Told = tuple[list[tuple[str, str]], list[tuple[str, str]]]
Asked = Mapping[str, str]
"""The word of each step that waits for others. The rest waits for the gate."""


def graphs(size: int) -> Iterator[Edges]:
    """All graphs of so many steps that wait for earlier ones."""
    pairs = list(combinations("abcd"[:size], 2))
    for chosen in product([False, True], repeat=len(pairs)):
        yield tuple(pair for pair, taken in zip(pairs, chosen, strict=True) if taken)


def questions(edges: Edges, words: Sequence[str] = tuple(WORDS)) -> Iterator[Asked]:
    """All ways in which the steps of the graph can ask one of the words each."""
    waiting = sorted({waits for _, waits in edges})
    for chosen in product(words, repeat=len(waiting)):
        yield dict(zip(waiting, chosen, strict=True))


def is_first_of_its_kind(edges: Edges, asked: Asked) -> bool:
    """No other names for the steps make an earlier flow of it. They differ in the order of declaration alone."""
    renamed = (dict(zip("abcd", names, strict=True)) for names in permutations("abcd"))
    return all(
        _told(edges, asked, dict(zip("abcd", "abcd", strict=True))) <= told for told in _all_told(edges, asked, renamed)
    )


def _all_told(edges: Edges, asked: Asked, renamed: Iterable[Mapping[str, str]]) -> Iterator[Told]:
    """The flow under other names, as far as its steps still wait for earlier ones."""
    for names in renamed:
        if all(names[a] < names[b] for a, b in edges):
            yield _told(edges, asked, names)


def _told(edges: Edges, asked: Asked, names: Mapping[str, str]) -> Told:
    return sorted((names[a], names[b]) for a, b in edges), sorted((names[name], word) for name, word in asked.items())


def name_of(edges: Edges) -> str:
    return " ".join(map("".join, edges)) or "free"


def flow_of(size: int, edges: Edges, asked: Asked) -> Template:
    decisions = {other for other, waits in edges if asked[waits] == "left"}
    return template(step("gate"), *(_step(name, edges, asked, name in decisions) for name in "abcd"[:size]))


def _step(name: str, edges: Edges, asked: Asked, decides: bool) -> StepTemplate:
    others = [a for a, b in edges if b == name]
    branches = ("left", "right") if decides else ()
    if not others:
        return step(name, after=["gate"], branches=branches)
    taken = others if asked[name] == "takes" else []
    return step(name, *taken, branches=branches, **WORDS[asked[name]](others))
