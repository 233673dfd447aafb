"""When a step runs, in the words of the declaration: `on=all_of(completed(charge), elapsed(timedelta(hours=1)))`.

Each takes the declared steps themselves, so a name that does not exist fails at import.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar, cast, overload

from tasker_temporal.core import triggers as core
from tasker_temporal.declare import DeclaredStep
from tasker_temporal.expression import DeclaredEvent, On, OnEvent, event_name
from tasker_temporal.failed_step import FailedStep
from tasker_temporal.signature import EventOf, FailureOf

T = TypeVar("T")
AnyStep = DeclaredStep[..., Any, Any]


def completed(step: AnyStep) -> On:
    """The step is complete, or was resolved by hand. Never once it was skipped, cancelled, or its failure handled."""
    return On(core.Completed(completed=_name(step)), (step,))


def failed(step: AnyStep) -> On:
    """The step has failed for good. What runs because of it handles the failure: the task may still complete."""
    return On(core.Failed(failed=_name(step)), (step,))


def ended(step: AnyStep) -> On:
    """The step is over, however; a failure for good included. It forgives nothing."""
    return On(core.Ended(ended=_name(step)), (step,))


def skipped(step: AnyStep) -> On:
    """The step was skipped."""
    return On(core.Skipped(skipped=_name(step)), (step,))


def chosen(decision: AnyStep, branch: str) -> On:
    """The decision has chosen this branch, alone or among others."""
    return On(core.Chosen(chosen=_name(decision), branch=branch), (decision,))


@overload
def received(event: DeclaredEvent[T], *, match: str = "") -> OnEvent[T]: ...
@overload
def received(event: str, *, match: str = "") -> OnEvent[Any]: ...
def received(event: DeclaredEvent[Any] | str, *, match: str = "") -> OnEvent[Any]:
    """The event has come. `match` is an expression over `event` and `context` that its payload has to fulfil."""
    return OnEvent(core.Received(received=event_name(event), match=match), events=(event,))


def elapsed(time: timedelta) -> On:
    """So much time is over, counted from when all holds that has to hold beside it; else from the task's start."""
    return On(core.Elapsed(elapsed=time))


def all_of(*parts: On) -> On:
    """Each of them."""
    return _group(core.AllOf(all_of=_plain(parts)), parts)


def any_of(*parts: On) -> On:
    """One of them."""
    return _group(core.AnyOf(any_of=_plain(parts)), parts)


def at_least(count: int, *parts: On) -> On:
    """So many of them."""
    return _group(core.AtLeast(at_least=count, of=_plain(parts)), parts)


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


def _name(step: Any) -> str:
    return str(getattr(step, "name", step))


def _plain(parts: Iterable[On]) -> tuple[core.Trigger, ...]:
    return tuple(part.trigger for part in parts)


def _group(trigger: core.Group, parts: tuple[On, ...]) -> On:
    steps = tuple(step for part in parts for step in part.steps)
    return On(trigger, steps, tuple(event for part in parts for event in part.events))
