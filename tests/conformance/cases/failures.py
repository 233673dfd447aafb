"""Attempts that fail: how often, how late, and for how long they are followed by others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tasker_temporal import State, TaskTemplate
from tasker_temporal.testing import Fail, Hang, Ok
from tests.conformance.case import FAST, Asked, Case, Law, Script, Seen
from tests.conformance.plays import Edges, graph, play_in_thread

PAIR: Edges = {"charge": [], "ship": ["charge"]}
ONE: Edges = {"charge": []}
BRANCHES: Edges = {"charge": [], "ship": ["charge"], "pack": [], "label": ["pack"]}

ONCE_MORE = "pending in_progress error pending in_progress complete"
FAILED = "pending in_progress error"


def waits(least: float, most: float) -> Law:
    """Seconds between the first failure and the second attempt; in memory they are `least`."""

    def law(seen: Seen) -> None:
        gap = seen.at("charge", State.IN_PROGRESS, 1) - seen.at("charge", State.ERROR)
        assert timedelta(seconds=least) <= gap <= timedelta(seconds=most if seen.on_server else least)

    return law


def waits_until(moment: Callable[[datetime], datetime]) -> Law:
    """When the second attempt begins, given when the task began; in memory exactly then."""

    def law(seen: Seen) -> None:
        begun = seen.at("charge", State.IN_PROGRESS, 1)
        # A failure tells how many seconds it is until then, and the server adds them to its own clock.
        assert begun >= moment(seen.begin) - timedelta(milliseconds=1)
        assert seen.on_server or begun == moment(seen.begin)

    return law


def in_two_seconds(begin: datetime) -> datetime:
    """HTTP dates are whole seconds."""
    return (begin + timedelta(seconds=2)).replace(microsecond=0)


def asks_for(when: Callable[[datetime], Any]) -> Callable[[datetime], Script]:
    return lambda begin: {"charge": [Fail("busy", retry_after=when(begin)), Ok("paid")]}


def later(name: str, when: Callable[[datetime], Any], law: Law, **retry: Any) -> Case:
    return Case(
        name=f"retry-after-{name}",
        template=graph(f"retry_after_{name}", ONE, retry=FAST.model_copy(update=retry)),
        outcomes=asks_for(when),
        paths={"charge": ONCE_MORE},
        errors={"charge": "RetryableError"},
        results={"charge": "paid"},
        law=law,
    )


wrong = TaskTemplate("wrong_type")


@wrong.step(retry=FAST)
async def count() -> int:
    return "three"  # type: ignore[return-value]  # the mistake that this case is about


CASES = [
    Case(
        name="fail-then-succeed",
        template=graph("fail_then_succeed", PAIR, retry=FAST),
        outcomes={"charge": [Fail("busy"), Fail("busy", type="ConnectionError"), Ok(7)]},
        paths={
            "charge": "pending in_progress error pending in_progress error pending in_progress complete",
            "ship": "pending in_progress complete",
            "task": "pending in_progress complete",
        },
        errors={"charge": "ConnectionError"},
        results={"charge": 7},
        law=waits(0.04, 5),
    ),
    Case(
        name="attempts-used-up",
        template=graph("attempts_used_up", PAIR, retry=FAST),
        outcomes={"charge": [Fail("busy"), Fail("busy"), Fail("still busy", type="ConnectionError")]},
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        paths={
            "charge": "pending in_progress error pending in_progress error pending in_progress error",
            "ship": "pending",
            "task": "pending in_progress error",
        },
        errors={"charge": "ConnectionError"},
    ),
    Case(
        name="permanent",
        template=graph("permanent", PAIR, retry=FAST),
        outcomes={"charge": [Fail("no such card", permanent=True)]},
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        paths={"charge": FAILED},
        errors={"charge": "PermanentError"},
    ),
    Case(
        name="not-retryable",
        template=graph("not_retryable", PAIR, retry=FAST, retryable=False),
        outcomes={"charge": [Fail("busy")]},
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        paths={"charge": FAILED},
        errors={"charge": "RetryableError"},
    ),
    later("seconds", lambda begin: 0.5, waits(0.5, 5)),
    later("datetime", in_two_seconds, waits_until(in_two_seconds)),
    later("header_seconds", lambda begin: "1", waits(1, 5)),
    later("header_date", lambda begin: format_datetime(in_two_seconds(begin), True), waits_until(in_two_seconds)),
    later("too_late", lambda begin: 3600, waits(0.2, 5), max_retry_after=timedelta(seconds=0.2)),
    Case(
        name="timeout-async",
        template=graph("timeout_async", ONE, retry=FAST, timeout=timedelta(seconds=0.3)),
        outcomes={"charge": [Hang(), Ok("in time")]},
        paths={"charge": ONCE_MORE},
        errors={"charge": "StepTimeout"},
        results={"charge": "in time"},
    ),
    Case(
        name="timeout-sync",
        template=graph("timeout_sync", ONE, play_in_thread, retry=FAST, timeout=timedelta(seconds=0.3)),
        outcomes={"charge": [Hang(), Hang(deaf=True), Ok("in time")]},
        paths={"charge": "pending in_progress error pending in_progress error pending in_progress complete"},
        errors={"charge": "StepTimeout"},
        results={"charge": "in time"},
    ),
    Case(
        name="deadline-while-running",
        template=graph("deadline_running", PAIR, deadline=timedelta(seconds=0.4)),
        outcomes={"charge": [Hang()]},
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        paths={"charge": FAILED},
        errors={"charge": "StepDeadlineExceeded"},
    ),
    Case(
        name="deadline-while-backing-off",
        template=graph("deadline_backing_off", PAIR, deadline=timedelta(seconds=5)),
        outcomes={"charge": [Fail("busy", retry_after=60)]},
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        paths={"charge": FAILED, "task": "pending in_progress error"},
        errors={"charge": "RetryableError"},
        law=lambda seen: _noted_once(seen, "step.deadline_exceeded"),
    ),
    Case(
        name="wrong-type",
        template=wrong,
        real=frozenset({"count"}),
        state=State.ERROR,
        steps={"count": State.ERROR},
        paths={"count": FAILED},
        errors={"count": "StepResultInvalid"},
    ),
    Case(
        name="on-failure-continue",
        template=graph("on_failure_continue", BRANCHES, on_failure="continue"),
        outcomes={"charge": [Fail(permanent=True)], "pack": [Ok(takes=5)]},
        asked=[Asked(after=1, when=("charge", State.ERROR))],
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        paths={"label": "pending in_progress complete", "task": "pending in_progress error"},
    ),
    Case(
        name="on-failure-stop",
        template=graph("on_failure_stop", BRANCHES, on_failure="stop"),
        outcomes={"charge": [Fail(permanent=True)], "pack": [Ok(takes=5)]},
        asked=[Asked(after=1, when=("charge", State.ERROR))],
        state=State.ERROR,
        steps={"charge": State.ERROR, "ship": State.PENDING, "label": State.PENDING},
        paths={"pack": "pending in_progress complete", "label": "pending", "task": "pending in_progress error"},
    ),
]


def _noted_once(seen: Seen, event: str) -> None:
    assert [row.event for row in seen.audit if row.kind == "noted"] == [event]
