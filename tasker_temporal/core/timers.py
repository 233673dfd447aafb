"""The ids of a task's timers: whoever starts one, stops it or looks for it names it alike."""

from __future__ import annotations

from typing import Final

HOLD: Final = "hold"
GRACE: Final = "grace"
"""Of a task that is being cancelled."""


def backoff(step: str, execution: int) -> str:
    """After this execution."""
    return f"backoff:{step}:{execution}"


def handler(step: str, execution: int) -> str:
    """Until a worker is looked for once more that has the handler."""
    return f"handler:{step}:{execution}"


def deadline(step: str | None) -> str:
    """Of the step, or of the task's own approval."""
    return "approval:task" if step is None else f"deadline:{step}"


def clock(step: str, number: int) -> str:
    """Of one of the times that the step's trigger asks for."""
    return f"elapsed:{step}:{number}"
