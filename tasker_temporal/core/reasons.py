"""Why a step is skipped: the sentence that stands in its row. It names what it comes from, and is true of it.

A run keeps the sentences of its interpreter: what a row says is part of the audit's digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tasker_temporal.core.answers import answer_of
from tasker_temporal.core.arguments import argument_of, is_named
from tasker_temporal.core.joins import says_never
from tasker_temporal.core.machine import State
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.template import Argument
from tasker_temporal.core.triggers import Chosen, Group, Leaf, parts, said, step_of

NAMED: Final = 5
"""So many steps are named; the others are counted."""

TRIGGER_LENGTH: Final = 200
"""Characters of a trigger that are told."""

FATES: Final = {
    State.COMPLETE: "is complete",
    State.SKIPPED: "was skipped",
    State.RESOLVED_MANUALLY: "was resolved by hand",
    State.CANCELLED: "was cancelled",
}


def why_never(task: Task, step: Step) -> str:
    """Why the step, which can never run, never can."""
    if task.interpreter < 2:
        return _as_first_told(step)
    if says_never(step):
        return _of_trigger(task, step)
    over = [task.steps[name] for name in step.template.dependencies]
    if step.lacking:
        lacked = [named for named in over if named.name in step.template.required and named.result is None]
        return f"a required result will not come: {_listed(map(fate, lacked))}"
    return f"nothing it waits for is complete: {_listed(map(fate, over))}"


def why_late(task: Task, step: Step) -> str:
    """Why a wait is over without what it waited for."""
    assert step.template.on is not None
    awaited = "what it waits for" if task.interpreter < 2 else _cut(said(step.template.on))
    return f"{awaited} did not come within {step.template.deadline}"


def fate(step: Step) -> str:
    """What has become of the step, as far as it can be told in a word."""
    if step.handled is not None:
        return f"the failure of {step.name} is handled by {step.handled}"
    if step.has_failed:
        return f"{step.name} has failed"
    return f"{step.name} {FATES.get(step.state, 'is not over')}"  # type: ignore[arg-type]


def _of_trigger(task: Task, step: Step) -> str:
    trigger = step.template.trigger
    assert trigger is not None
    if step.told == "never":
        return f"{_cut(said(trigger))} will never be: {_listed(_lost(task, step, trigger))}"
    missed = next(argument for argument in step.template.arguments if _is_missed(task, step, argument))
    if missed.event is not None:
        return f"the event {missed.event!r}, which it takes, has not come"
    return (
        f"the {missed.part} of {missed.step!r}, which it requires, is not there: {fate(task.steps[missed.step or ''])}"
    )


def _is_missed(task: Task, step: Step, argument: Argument) -> bool:
    return is_named(step, argument) and not argument.optional and argument_of(task, step, argument) is None


def _lost(task: Task, step: Step, trigger: Leaf | Group) -> Iterator[str]:
    """What has become of the steps for which the trigger, or a part of it, says never."""
    if not isinstance(trigger, Group):
        yield _otherwise(task.steps[step_of(trigger) or ""], trigger)
        return
    for part in parts(trigger):
        if answer_of(task, step, part) == "never":
            yield from _lost(task, step, part)


def _otherwise(named: Step, leaf: Leaf) -> str:
    if isinstance(leaf, Chosen) and named.state is State.COMPLETE:
        return f"{named.name} did not choose {leaf.branch!r}"
    return fate(named)


def _listed(found: Iterable[str]) -> str:
    """Each once, and not too many."""
    told = list(dict.fromkeys(found))
    more = [f"and {len(told) - NAMED} more"] if len(told) > NAMED else []
    return ", ".join([*told[:NAMED], *more])


def _cut(text: str) -> str:
    return text if len(text) <= TRIGGER_LENGTH else f"{text[: TRIGGER_LENGTH - 1]}…"


def _as_first_told(step: Step) -> str:
    """The sentences of the interpreter 1."""
    if says_never(step):
        assert step.template.trigger is not None
        return step.missing or f"this will never be: {said(step.template.trigger)}"
    return "a required result did not come" if step.lacking else "everything it waits for was skipped"
