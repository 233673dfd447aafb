"""Every way a task can go, as far as its declaration decides it: which steps can run, and which never will.

People can always step in: skip a step, or complete it by hand. That is left out, and so is cancelling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations, islice, product
from typing import Final, Literal

from tasker_temporal.checks.shape import ordered
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import (
    AllOf,
    AtLeast,
    Chosen,
    Completed,
    Ended,
    Failed,
    Group,
    Leaf,
    Skipped,
    leaves,
    parts,
    step_of,
)

End = Literal["complete", "failed", "skipped", "blocked"]
"""How a step ends; `blocked` if it never begins, and is not skipped either."""

Answer = Literal["yes", "never", "not yet"]
Fate = tuple[End, tuple[str, ...]]
"""How a step ends, and which branches it chooses."""

MANY: Final = 4096
"""So many scenarios of one step are looked at; of one that has more, nothing is claimed."""

SEVERAL = ("list", "tuple", "Sequence", "Any", "Iterable", "set")
"""Return types of decisions that may choose more than one branch."""


class Scenarios:
    """The ways that tasks of one template can go."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._order = [template.step(name) for name in ordered(template)]
        self._failure_counts = frozenset(
            name for step in template.steps for leaf in _leaves(step) if (name := _counts_failure(leaf)) is not None
        )
        self._handled = frozenset(
            leaf.failed for step in template.steps for leaf in _leaves(step) if isinstance(leaf, Failed)
        )
        self._skips_count = any(isinstance(leaf, (Skipped, Ended)) for step in template.steps for leaf in _leaves(step))

    def never_run(self) -> list[str]:
        """The steps that run in no scenario, in declared order."""
        ran: set[str] = set()
        for scenario in self._usual():
            ran |= _ran(self.play(scenario, self._order))
        left = [step.name for step in self._template.steps if step.name not in ran]
        return [name for name in left if not self.can_run(name)]

    def can_run(self, name: str) -> bool:
        """It runs in some scenario; also if there are too many of them to tell."""
        cone = self._cone(name)
        fates = [self._fates(step) for step in cone]
        count = 0
        for chosen in islice(product(*fates), MANY + 1):
            count += 1
            scenario = dict(zip((step.name for step in cone), chosen, strict=True))
            if name in _ran(self.play(scenario, cone)):
                return True
        return count > MANY

    def can_be_true(self, name: str) -> bool:
        """The step's own trigger is true for some ends of the steps that it names, whatever leads to them."""
        step = self._template.step(name)
        named = [self._template.step(other) for other in step.named]
        fates = [self._all_fates(other) for other in named]
        found = islice(product(*fates), MANY)
        return any(
            _triggered(step, dict(zip((other.name for other in named), chosen, strict=True))) == "yes"
            for chosen in found
        )

    def play(self, scenario: Mapping[str, Fate], steps: Sequence[StepTemplate]) -> dict[str, Fate]:
        """What becomes of the steps, if those that run end as the scenario says."""
        fates: dict[str, Fate] = {}
        for step in steps:
            answer = self._answer(step, fates)
            if answer == "yes":
                fates[step.name] = scenario.get(step.name, ("complete", ()))
            else:
                fates[step.name] = ("skipped" if answer == "never" else "blocked", ())
        return fates

    def _answer(self, step: StepTemplate, fates: Mapping[str, Fate]) -> Answer:
        joined = self._joined(step, fates)
        triggered = _triggered(step, fates)
        if "never" in (joined, triggered):
            return "never"
        return "yes" if joined == triggered == "yes" else "not yet"

    def _joined(self, step: StepTemplate, fates: Mapping[str, Fate]) -> Answer:
        ends = {name: fates[name][0] for name in step.dependencies}
        if any(end == "blocked" or (end == "failed" and name not in self._handled) for name, end in ends.items()):
            return "not yet"
        if any(ends.get(name, "complete") != "complete" for name in step.required if name in ends):
            return "never"
        return "never" if ends and all(end in ("skipped", "failed") for end in ends.values()) else "yes"

    # What is left open by the declaration.

    def _usual(self) -> Iterator[dict[str, Fate]]:
        """All goes well; the decisions choose their first branch, their second, and so on."""
        most = max((len(step.branches) for step in self._template.steps), default=0)
        for number in range(max(most, 1)):
            yield {
                step.name: ("complete", step.branches[number % len(step.branches) :][:1])
                for step in self._template.steps
                if step.branches
            }

    def _fates(self, step: StepTemplate) -> list[Fate]:
        """How it can end in ways that make a difference to others, if it runs."""
        ends: list[Fate] = [("complete", chosen) for chosen in _choices(step)]
        if step.name in self._failure_counts and _may_fail(step):
            ends.append(("failed", ()))
        if self._skips_count and _may_be_skipped(step):
            ends.append(("skipped", ()))
        return ends

    def _all_fates(self, step: StepTemplate) -> list[Fate]:
        ends: list[Fate] = [("complete", chosen) for chosen in _choices(step)]
        return [*ends, ("failed", ()), ("skipped", ())]

    def _cone(self, name: str) -> list[StepTemplate]:
        """The step and all that decides about it, in an order in which they can be played."""
        found, left = {name}, [name]
        while left:
            new = [other for other in self._template.step(left.pop()).needs if other not in found]
            found.update(new)
            left += new
        return [step for step in self._order if step.name in found]


def _leaves(step: StepTemplate) -> Iterator[Leaf]:
    return leaves(step.trigger) if step.trigger is not None else iter(())


def _counts_failure(leaf: Leaf) -> str | None:
    return step_of(leaf) if isinstance(leaf, (Failed, Ended)) else None


def _may_fail(step: StepTemplate) -> bool:
    return step.awaits != "event" or (step.deadline is not None and step.on_deadline == "fail")


def _may_be_skipped(step: StepTemplate) -> bool:
    return bool(step.when) or step.on_deadline == "skip"


def _choices(step: StepTemplate) -> list[tuple[str, ...]]:
    """The branches that it may choose together."""
    if not step.branches:
        return [()]
    single: list[tuple[str, ...]] = [(branch,) for branch in step.branches]
    if not any(word in step.result for word in SEVERAL) or len(step.branches) > 6:
        return single if len(step.branches) <= 6 else [*single, step.branches]
    sizes = range(len(step.branches) + 1)
    return list(chain.from_iterable(combinations(step.branches, size) for size in sizes))


def _ran(fates: Mapping[str, Fate]) -> set[str]:
    """A step that is skipped because of its condition was reached, too: it has a fate that the scenario gave it."""
    return {name for name, (end, _) in fates.items() if end in ("complete", "failed")}


def _triggered(step: StepTemplate, fates: Mapping[str, Fate]) -> Answer:
    if step.trigger is None:
        return "yes"
    answer = _combined(step.trigger, fates)
    if answer == "yes" and any(_lacks(step, name, fates[name][0]) for name in step.named):
        return "never"
    return answer


def _lacks(step: StepTemplate, name: str, end: End) -> bool:
    """It requires something of the named step that is not there at such an end."""
    there = {"complete": "result", "failed": "failure"}.get(end)
    return any(a.step == name and not a.optional and a.part != there for a in step.arguments)


def _combined(trigger: Leaf | Group, fates: Mapping[str, Fate]) -> Answer:
    if not isinstance(trigger, Group):
        return _leaf(trigger, fates)
    found = [_combined(part, fates) for part in parts(trigger)]
    wanted = len(found) if isinstance(trigger, AllOf) else trigger.at_least if isinstance(trigger, AtLeast) else 1
    if found.count("yes") >= wanted:
        return "yes"
    return "never" if len(found) - found.count("never") < wanted else "not yet"


MEANS: Final[Mapping[type, Mapping[End, Answer]]] = {
    Completed: {"complete": "yes", "failed": "never", "skipped": "never", "blocked": "not yet"},
    Failed: {"complete": "never", "failed": "yes", "skipped": "never", "blocked": "not yet"},
    Ended: {"complete": "yes", "failed": "yes", "skipped": "yes", "blocked": "not yet"},
    Skipped: {"complete": "never", "failed": "never", "skipped": "yes", "blocked": "not yet"},
    Chosen: {"complete": "yes", "failed": "never", "skipped": "never", "blocked": "not yet"},
}
"""What an end of the named step means to each word. A failure stays, or is handled."""


def _leaf(leaf: Leaf, fates: Mapping[str, Fate]) -> Answer:
    name = step_of(leaf)
    if name is None:
        return "yes"
    end, chosen = fates[name]
    if isinstance(leaf, Chosen) and end == "complete" and leaf.branch not in chosen:
        return "never"
    return MEANS[type(leaf)][end]
