"""A declared step that waits for an event from outside."""

from __future__ import annotations

import functools
from typing import Any, NoReturn, TypeVar

from tasker_temporal.declare.steps import DeclaredStep
from tasker_temporal.signature import Signature

T = TypeVar("T", covariant=True)


class DeclaredWait(DeclaredStep[[], NoReturn, T]):
    """A step that no handler runs: it waits for an event from outside, whose payload is its result."""

    awaits = "event"

    @functools.cached_property
    def signature(self) -> Signature:
        on = self.options.get("on")
        models = [getattr(event, "model", Any) for event in getattr(on, "events", ())]
        return Signature((), models[0] if len(models) == 1 else Any, ())


def no_handler() -> NoReturn:
    raise TypeError("a step that waits for an event has no handler to be called")
