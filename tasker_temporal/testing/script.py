"""Scripted outcomes: how each execution of a step ends, instead of its handler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasker_temporal.errors import ScriptError

Delay = float | timedelta
"""Seconds, or a timedelta."""


def duration(delay: Delay) -> timedelta:
    return delay if isinstance(delay, timedelta) else timedelta(seconds=delay)


@dataclass(frozen=True)
class Ok:
    """The handler returns `value` after `takes`, also if it is told to stop meanwhile."""

    value: object = None
    takes: Delay = 0


@dataclass(frozen=True)
class Fail:
    """The handler raises after `takes`, also if it is told to stop meanwhile."""

    message: str = ""
    type: str = ""
    """The exception's class name; `RetryableError`, or `PermanentError` if it is permanent, unless said."""
    retry_after: float | timedelta | datetime | str | None = None
    """As `RetryableError` takes it."""
    permanent: bool = False
    """No attempt follows."""
    takes: Delay = 0

    @property
    def kind(self) -> str:
        return self.type or ("PermanentError" if self.permanent else "RetryableError")


@dataclass(frozen=True)
class Hang:
    """The handler goes on until its timeout. Told to stop, it acknowledges at once, unless it is `deaf`."""

    deaf: bool = False


@dataclass(frozen=True)
class NoHandler:
    """No worker that takes the execution has its handler."""


Outcome = Ok | Fail | Hang | NoHandler

Outcomes = Mapping[str, Sequence[Outcome]]


def outcome_of(outcomes: Outcomes, step: str, execution: int) -> Outcome:
    """How execution number `execution`, counted from 1, ends. The last outcome is repeated if it is `Ok`.

    Raises:
        ScriptError: the script has no outcome for it.
    """
    script = outcomes[step]
    if execution <= len(script):
        return script[execution - 1]
    if script and isinstance(script[-1], Ok):
        return script[-1]
    raise ScriptError(f"step {step!r}: its execution {execution} has no outcome, the script has {len(script)}")
