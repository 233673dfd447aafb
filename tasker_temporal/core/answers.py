"""What a trigger says as things stand: yes, never, or not yet.

The answer of a step with `on` is found again whenever a step that it names changes, an event comes, or time is over:
that costs the trigger's own size, however large the task is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

from tasker_temporal.core import timers
from tasker_temporal.core.arguments import missing, weigh
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.triggers import (
    AllOf,
    AtLeast,
    Chosen,
    Completed,
    Elapsed,
    Ended,
    Failed,
    Group,
    Leaf,
    Received,
    Skipped,
    leaves,
    parts,
    step_of,
)
from tasker_temporal.core.values import after

Answer = Literal["yes", "never", "not yet"]

RESULTS: Final = frozenset({State.COMPLETE, State.RESOLVED_MANUALLY})


def _completed(leaf: Completed, step: Step) -> Answer:
    return "yes" if step.state in RESULTS else "never" if step.is_over else "not yet"


def _failed(leaf: Failed, step: Step) -> Answer:
    return "yes" if step.has_failed else "never" if step.is_over else "not yet"


def _ended(leaf: Ended, step: Step) -> Answer:
    return "yes" if step.is_over or step.has_failed else "not yet"


def _skipped(leaf: Skipped, step: Step) -> Answer:
    return "yes" if step.state is State.SKIPPED else "never" if step.is_over else "not yet"


def _chosen(leaf: Chosen, step: Step) -> Answer:
    if not step.is_over:
        return "not yet"
    return "yes" if leaf.branch in chosen(step) else "never"


ABOUT_STEPS: Final[Mapping[type, Callable[..., Answer]]] = {
    Completed: _completed,
    Failed: _failed,
    Ended: _ended,
    Skipped: _skipped,
    Chosen: _chosen,
}
"""What becomes of the named step, and what that means to each word."""


def chosen(step: Step) -> tuple[str, ...]:
    """The branches that a decision has chosen; none if it did not choose."""
    if step.state is not State.COMPLETE or step.result is None:
        return ()
    return branches_in(step.result) or ()


def branches_in(result: Content) -> tuple[str, ...] | None:
    """The branches that a decision's result names; None if it names none."""
    try:
        value = json.loads(result.data or b"null")
    except ValueError:
        return None
    found = value if isinstance(value, list) else [value]
    return tuple(found) if all(isinstance(branch, str) for branch in found) else None


def wrong_branch(step: Step, result: Content) -> str | None:
    """What is wrong with what a decision returned; None if it is one of its branches, or several."""
    if not step.template.branches:
        return None
    found = branches_in(result)
    if found is not None and set(found) <= set(step.template.branches):
        return None
    expected = ", ".join(map(repr, step.template.branches))
    return f"step {step.name!r} is a decision: expected one of its branches {expected}, or a list of them"


def combined(trigger: Leaf | Group, answers: Iterator[Answer]) -> Answer:
    """The answer of the whole, given those of its leaves in their order."""
    if not isinstance(trigger, Group):
        return next(answers)
    found = [combined(part, answers) for part in parts(trigger)]
    wanted = _wanted(trigger)
    if found.count("yes") >= wanted:
        return "yes"
    return "never" if len(found) - found.count("never") < wanted else "not yet"


def _wanted(group: Group) -> int:
    if isinstance(group, AtLeast):
        return group.at_least
    return len(group.all_of) if isinstance(group, AllOf) else 1


def reconsider(task: Task, step: Step) -> None:
    """Find the answer of the step's trigger anew. The step may be changed."""
    trigger = step.template.trigger
    if trigger is None:
        return
    found = list(leaves(trigger))
    _wind(task, step, trigger, found)
    answers = [_leaf(task, step, number, leaf) for number, leaf in enumerate(found)]
    step.told = combined(trigger, iter(answers))
    step.missing = missing(task, step) if step.told == "yes" else None
    if step.state is State.PENDING:
        weigh(task, step)
    _expect(task, step, _is_expecting(step, trigger, found, answers))


def answer_of(task: Task, step: Step, part: Leaf | Group) -> Answer:
    """The answer of a part of the step's trigger, as if of events and times nothing had come yet."""
    return combined(part, (_about_steps(task, leaf) for leaf in leaves(part)))


def _leaf(task: Task, step: Step, number: int, leaf: Leaf) -> Answer:
    if isinstance(leaf, Received):
        return "yes" if number in step.came else "not yet"
    if isinstance(leaf, Elapsed):
        return "yes" if number in step.passed else "not yet"
    return _about_steps(task, leaf)


def _about_steps(task: Task, leaf: Leaf) -> Answer:
    if (name := step_of(leaf)) is None:
        return "not yet"
    return ABOUT_STEPS[type(leaf)](leaf, task.steps[name])


# Time counts from when all holds that has to hold beside it, other times aside.


def _wind(task: Task, step: Step, trigger: Leaf | Group, found: Sequence[Leaf]) -> None:
    """Note when each time is over that counts now, and forget those that do not count any more."""
    if step.state is not State.PENDING or not any(isinstance(leaf, Elapsed) for leaf in found):
        return
    aside: list[Answer] = [
        "yes" if isinstance(leaf, Elapsed) else _leaf(task, step, number, leaf) for number, leaf in enumerate(found)
    ]
    counting = set(_counting(trigger, aside, 0, not step.waiting))
    clocks = {n: due for n, due in step.clocks.items() if n in counting}
    for number in sorted(counting - clocks.keys()):
        leaf = found[number]
        assert isinstance(leaf, Elapsed)
        clocks[number] = after(task.now, leaf.elapsed)
    if clocks != step.clocks:
        step.clocks, step.passed = clocks, step.passed & counting
        task.journal.append(task.wound, step.name)


def _counting(trigger: Leaf | Group, aside: Sequence[Answer], first: int, held: bool) -> Iterator[int]:
    """The numbers of the times beside which everything holds. `first` is the number of the trigger's first leaf."""
    if not held:
        return
    if not isinstance(trigger, Group):
        if isinstance(trigger, Elapsed):
            yield first
        return
    places, place = [], first
    for part in parts(trigger):
        places.append((part, place))
        place += sum(1 for _ in leaves(part))
    open_parts = {at for part, at in places if combined(part, iter(aside[at:])) != "yes"}
    for part, at in places:
        yield from _counting(part, aside, at, not isinstance(trigger, AllOf) or not open_parts - {at})


def times(step: Step) -> Iterator[int]:
    """The numbers of the times that its trigger asks for."""
    trigger = step.template.trigger
    found = leaves(trigger) if trigger is not None else iter(())
    return (number for number, leaf in enumerate(found) if isinstance(leaf, Elapsed))


def due_clocks(step: Step) -> dict[str, datetime]:
    """The timers that the step's trigger needs now."""
    if step.state is not State.PENDING or step.fired:
        return {}
    return {timers.clock(step.name, number): due for number, due in step.clocks.items() if number not in step.passed}


# Whether only the outside or time is missing.


def _is_expecting(step: Step, trigger: Leaf | Group, found: Sequence[Leaf], answers: Sequence[Answer]) -> bool:
    if step.state is not State.PENDING or step.fired or step.waiting or step.told != "not yet":
        return False
    hopes: list[Answer] = [
        "yes" if isinstance(leaf, (Received, Elapsed)) else known for leaf, known in zip(found, answers, strict=True)
    ]
    return combined(trigger, iter(hopes)) == "yes"


def _expect(task: Task, step: Step, expects: bool) -> None:
    task.expecting += expects - step.expects
    step.expects = expects


def stop_expecting(task: Task, step: Step) -> None:
    """The step is not pending any more."""
    _expect(task, step, False)
    if step.clocks:
        task.journal.append(task.wound, step.name)


def handles(task: Task, step: Step) -> tuple[str, ...]:
    """The failed steps whose failures it handles if it runs now."""
    trigger = step.template.trigger
    found = [leaf.failed for leaf in leaves(trigger) if isinstance(leaf, Failed)] if trigger is not None else []
    return tuple(name for name in dict.fromkeys(found) if task.steps[name].has_failed and not task.steps[name].handled)
