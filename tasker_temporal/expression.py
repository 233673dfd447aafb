"""What people write after `on=`: a trigger, together with the declared steps and events that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tasker_temporal.core.triggers import Trigger

T = TypeVar("T", covariant=True)
U = TypeVar("U")


@dataclass(frozen=True)
class On:
    """A trigger. Made by `completed(step)`, `all_of(...)` and the like."""

    trigger: Trigger
    steps: tuple[Any, ...] = ()
    events: tuple[Any, ...] = ()
    mistakes: tuple[str, ...] = ()
    """What is wrong with it. It is told with the step that has it."""


@dataclass(frozen=True)
class OnEvent(On, Generic[T]):
    """`received(event)`: T is the type of the event's payload."""


@dataclass(frozen=True)
class DeclaredEvent(Generic[U]):
    """An event from outside, as `template.event(...)` declared it: its name, and the type of its payload."""

    template: Any
    name: str
    model: Any

    def __repr__(self) -> str:
        return f"<event {self.template.name}: {self.name}>"


def event_name(event: DeclaredEvent[Any] | str) -> str:
    return event if isinstance(event, str) else event.name
