"""What is told of a task before it runs, and what a plan of it tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from tasker_temporal.core.messages import JSON, Content

ONE_SECOND: Final = timedelta(seconds=1)
RESULT_BYTES: Final = 100
"""What a result is taken to have that nobody told of."""


@dataclass(frozen=True)
class Expected:
    """What is told of one step beforehand."""

    takes: timedelta = ONE_SECOND
    result: Any = None
    bytes: int = RESULT_BYTES
    """The size of its result, if the result is not told."""

    @property
    def content(self) -> Content:
        data = to_json(self.result) if self.result is not None else b'"' + b"x" * max(self.bytes - 2, 0) + b'"'
        return Content(data, JSON)


class PlannedStep(NamedTuple):
    """When a step begins and ends, in seconds from the task's start. None: it does not run."""

    name: str
    state: str
    begins: float | None = None
    ends: float | None = None


class Condition(NamedTuple):
    """What a step's condition says. None: it reads what nobody told, and is taken to be true; or it has an error."""

    step: str
    when: str
    holds: bool | None
    error: str = ""


class Wave(NamedTuple):
    """Steps that begin at one moment."""

    at: float
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How a task goes if all goes well.

    Attributes:
        waves: The order in which steps begin.
        state: How the task ends.
        takes: Seconds from its start to its end.
        critical_path: The steps that nothing can be gained without: each begins when the one before it ends.
        events: History events, if ends at one moment meet in one workflow task.
        events_at_most: History events, if each end has a workflow task of its own.
        bytes: Of the history, about.
        conditions: What each `when` says on the context, and on the results that were told.
        assumptions: What was taken to be so, because nobody told.
    """

    template: str
    version: str
    digest: str
    waves: tuple[Wave, ...]
    steps: tuple[PlannedStep, ...]
    state: str
    takes: float
    critical_path: tuple[str, ...]
    events: int
    events_at_most: int
    bytes: int
    conditions: tuple[Condition, ...] = ()
    assumptions: tuple[str, ...] = ()
