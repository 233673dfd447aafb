"""What the tests of the doors share: tasks that stand where a request is legal or not, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasker_temporal.core.requests import (
    Ask,
    CancelTask,
    ChangeStep,
    CompleteStep,
    PauseTask,
    ResolveStep,
    ResolveTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
    SkipStep,
)
from tasker_temporal.errors import RequestRefused
from tests.core.driving import ONCE, STEADY, Drive, dump, seconds, started, step, template

BY: dict[str, Any] = {"actor": "ann", "reason": "a call"}

REQUESTS: dict[str, Ask] = {
    "cancel": CancelTask(**BY),
    "pause": PauseTask(**BY),
    "resume": ResumeTask(**BY),
    "retry": RetryTask(**BY),
    "resolve": ResolveTask(**BY),
    "skip": SkipStep(step="a", **BY),
    "retry_step": RetryStep(step="a", **BY),
    "retry_from": RetryFrom(step="a", **BY),
    "resolve_step": ResolveStep(step="a", **BY),
    "complete_step": CompleteStep(step="a", result=1, **BY),
    "change_step": ChangeStep(step="a", attempts=7, **BY),
}
TWICE = STEADY.model_copy(update={"attempts": 2})
OF_TASK = ("cancel", "pause", "resume", "retry", "resolve")


# Where a task can stand. Its steps: `a` comes after `gate`, and `other` keeps the task busy unless it fails.


def begun(state: str, **options: Any) -> Drive:
    """A task in progress whose step `a` is in the state."""
    drive = started(step("gate"), step("a", after=["gate"], retry=STEADY), step("other", retry=ONCE), **options)
    if state != "pending":
        drive.succeed("gate")
        STEP_WAYS[state](drive)
    assert drive.states["a"] == state.split(",")[0]
    return drive


STEP_WAYS: dict[str, Callable[[Drive], object]] = {
    "in_progress": lambda drive: None,
    "complete": lambda drive: drive.succeed("a"),
    "error": lambda drive: drive.fail("a"),
    "error, for good": lambda drive: drive.fail("a", retryable=False),
    "skipped": lambda drive: (drive.fail("a"), drive.skip("a")),
    "resolved_manually": lambda drive: (drive.fail("a"), drive.ask(ResolveStep, step="a")),
}
STEP_STATES = ["pending", *STEP_WAYS]

STEP_LEGAL = {
    "pending": {"skip", "resolve_step", "complete_step", "change_step"},
    "in_progress": {"complete_step"},
    "complete": {"retry_from", "change_step"},
    "error": {"skip", "retry_step", "resolve_step", "complete_step", "change_step"},
    "error, for good": {"skip", "retry_step", "resolve_step", "complete_step", "change_step"},
    "skipped": {"retry_from", "change_step"},
    "resolved_manually": {"retry_from", "change_step"},
}


def paused(state: str = "pending") -> Drive:
    drive = begun(state)
    drive.ask(PauseTask)
    return drive


def held() -> Drive:
    drive = started(step("a", retry=ONCE), step("b", retry=ONCE), on_error="hold")
    drive.fail("a")
    drive.fail("b")
    return drive


def failed() -> Drive:
    drive = started(step("a", retry=ONCE))
    drive.fail("a")
    return drive


def completed() -> Drive:
    drive = started(step("a"))
    drive.succeed("a")
    return drive


def cancelled() -> Drive:
    drive = failed_step()
    drive.cancel()
    return drive


def failed_step() -> Drive:
    drive = started(step("a", retry=STEADY))
    drive.fail("a")
    return drive


def cancelling() -> Drive:
    drive = started(step("a"))
    drive.cancel()
    return drive


def resolved() -> Drive:
    drive = held()
    drive.ask(ResolveTask)
    return drive


TASK_LEGAL: dict[str, tuple[Callable[[], Drive], set[str]]] = {
    "not begun": (lambda: Drive(template(step("a"))), set()),
    "in_progress": (lambda: begun("in_progress"), {"cancel", "pause"}),
    "paused": (paused, {"cancel", "resume"}),
    "held": (held, {"cancel", "retry", "resolve"}),
    "reopened": (lambda: failed().reopened(), {"cancel", "retry", "resolve"}),
    "being cancelled": (cancelling, set()),
    "error": (failed, set()),
    "complete": (completed, set()),
    "cancelled": (cancelled, set()),
    "resolved_manually": (resolved, set()),
}


def refused(drive: Drive, request: Ask) -> RequestRefused:
    """The refusal, of which nothing is left, whether it is asked or planned."""
    before, said = dump(drive.task), list(drive.said)
    with pytest.raises(RequestRefused) as planned:
        drive.engine.plan(request, drive.now + seconds(1))
    with pytest.raises(RequestRefused) as caught:
        drive.engine.apply(request, drive.now + seconds(1))
    assert (dump(drive.task), drive.said) == (before, said)
    assert str(planned.value) == str(caught.value)
    return caught.value


def rule_against(drive: Drive, request: Ask) -> str:
    """Why the request is refused; it changed nothing."""
    return refused(drive, request).rule


def taken(drive: Drive, request: Ask) -> None:
    """The request is applied, as it was planned, and the plan left no trace."""
    before, said = dump(drive.task), list(drive.said)
    planned = drive.engine.plan(request, drive.now)
    assert (dump(drive.task), drive.said) == (before, said)
    first = drive.task.sort_key
    drive.tell(request)
    done = [row for row in drive.rows if row.sort_key > first]
    assert done[: len(planned)] == planned
    assert (done[0].actor, done[0].reason, done[0].cause) == ("ann", "a call", None)
