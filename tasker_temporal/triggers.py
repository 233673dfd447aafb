"""When a step runs, in the words of the declaration: `on=all_of(completed(charge), elapsed(timedelta(hours=1)))`.

Each takes the declared steps themselves, so a name that does not exist fails at import.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar, cast, overload

from pydantic import ValidationError

from tasker_temporal.core import triggers as core
from tasker_temporal.core import wording
from tasker_temporal.declare import DeclaredStep
from tasker_temporal.expression import DeclaredEvent, On, OnEvent
from tasker_temporal.failed_step import FailedStep
from tasker_temporal.signature import EventOf, FailureOf

T = TypeVar("T")
AnyStep = DeclaredStep[..., Any, Any]


def completed(step: AnyStep) -> On:
    """The step is complete, or was resolved by hand. Never once it was skipped, cancelled, or its failure handled."""
    return _on(core.Completed, (step,), completed=_name(step))


def failed(step: AnyStep) -> On:
    """The step has failed for good. What runs because of it handles the failure: the task may still complete."""
    return _on(core.Failed, (step,), failed=_name(step))


def ended(step: AnyStep) -> On:
    """The step is over, however; a failure for good included. It forgives nothing."""
    return _on(core.Ended, (step,), ended=_name(step))


def skipped(step: AnyStep) -> On:
    """The step was skipped."""
    return _on(core.Skipped, (step,), skipped=_name(step))


def chosen(decision: AnyStep, branch: str) -> On:
    """The decision has chosen this branch, alone or among others."""
    return _on(core.Chosen, (decision,), chosen=_name(decision), branch=branch)


@overload
def received(event: DeclaredEvent[T], *, match: str = "") -> OnEvent[T]: ...
@overload
def received(event: str, *, match: str = "") -> OnEvent[Any]: ...
def received(event: DeclaredEvent[Any] | str, *, match: str = "") -> OnEvent[Any]:
    """The event has come. `match` is an expression over `event` and `context` that its payload has to fulfil."""
    made = _on(core.Received, received=_name(event), match=match)
    return OnEvent(made.trigger, events=(event,), mistakes=made.mistakes)


def elapsed(time: timedelta) -> On:
    """So much time is over, counted from when all holds that has to hold beside it; else from the task's start."""
    return _on(core.Elapsed, elapsed=time)


def all_of(*parts: On) -> On:
    """Each of them."""
    return _group(core.AllOf, parts, all_of=_plain(parts))


def any_of(*parts: On) -> On:
    """One of them."""
    return _group(core.AnyOf, parts, any_of=_plain(parts))


def at_least(count: int, *parts: On) -> On:
    """So many of them."""
    return _group(core.AtLeast, parts, at_least=count, of=_plain(parts))


def failure_of(step: AnyStep) -> FailedStep:
    """Hand over how `step` failed, for a step that runs `on=failed(step)` or `on=ended(step)`."""
    return cast(FailedStep, FailureOf(step))


@overload
def event_of(event: DeclaredEvent[T]) -> T: ...
@overload
def event_of(event: str) -> Any: ...
def event_of(event: Any) -> Any:
    """Hand over the payload of the event that the step was waiting for with `on=received(event)`."""
    return EventOf(event)


def _name(named: Any) -> str:
    return str(getattr(named, "name", named))


def _plain(parts: Iterable[Any]) -> tuple[core.Trigger, ...]:
    return tuple(part.trigger for part in parts if isinstance(part, On))


def _on(kind: type[core.Leaf | core.Group], steps: tuple[Any, ...] = (), **fields: Any) -> On:
    """What does not validate is made all the same, so that it is told with all else that is wrong with the step."""
    try:
        return On(kind(**fields), steps)
    except ValidationError as error:
        told = (f"its trigger {next(iter(fields))}(...): {mistake}" for mistake in wording.told(error, kind, fields))
        return On(kind.model_construct(**fields), steps, mistakes=tuple(told))


def _group(kind: type[core.Group], parts: tuple[Any, ...], **fields: Any) -> On:
    made, known = _on(kind, **fields), [part for part in parts if isinstance(part, On)]
    strange = [
        f"its trigger {next(iter(fields))}(...) is made of {wording.shown(part)}: expected triggers, as completed(step)"
        for part in parts
        if not isinstance(part, On)
    ]
    return On(
        made.trigger,
        tuple(step for part in known for step in part.steps),
        tuple(event for part in known for event in part.events),
        (*strange, *(() if strange else made.mistakes), *(mistake for part in known for mistake in part.mistakes)),
    )
