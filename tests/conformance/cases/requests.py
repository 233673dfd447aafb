"""What people ask of a running task: to stop, and to go on without a step."""

from __future__ import annotations

from datetime import timedelta

from tasker_temporal import State, TaskTemplate, result_of
from tasker_temporal.core.requests import Ask, CancelTask, SkipStep
from tasker_temporal.testing import Fail, Hang, Ok
from tests.conformance.case import Asked, Case, Law, Seen
from tests.conformance.plays import Edges, graph, play, play_in_thread

CANCEL = CancelTask(actor="ann", reason="customer called")
HEEDFUL = timedelta(seconds=3)
"""So short a heartbeat timeout lets a handler hear of a stop within a second."""

LONG = timedelta(minutes=10)
"""A grace that is over only if a handler has not heard."""

PAIR: Edges = {"charge": [], "ship": ["charge"]}
STOPPED = "pending in_progress cancelled"


def cancelled_by(actor: str | None) -> Law:
    """The task's last row names who asked and why; None is the client's identity."""

    def law(seen: Seen) -> None:
        last = seen.audit[-1]
        assert (last.entity, last.to_state) == ("task", State.CANCELLED)
        assert last.reason == CANCEL.reason
        assert last.actor == actor if actor is not None else "@" in last.actor or not seen.on_server
        assert [row.sort_key for row in seen.audit if row.event == "task.cancel_requested"] == [last.cause]

    return law


def abandoned(seen: Seen) -> None:
    [row] = [row for row in seen.audit if row.step == "charge" and row.to_state == State.CANCELLED]
    assert row.metadata["abandoned"]


def heeded(seen: Seen) -> None:
    """The handler heard that it was to stop, and did."""
    cancelled_by("ann")(seen)
    [row] = [row for row in seen.audit if row.step == "charge" and row.to_state == State.CANCELLED]
    assert "abandoned" not in row.metadata


def at(step: str, state: State, request: Ask, natively: bool = False) -> list[Asked]:
    return [Asked(after=5, when=(step, state), request=request, natively=natively)]


def skip(step: str) -> list[Asked]:
    """Asked while `gate` runs, so that everything behind it is pending."""
    return at("gate", State.IN_PROGRESS, SkipStep(step=step, actor="ann", reason="not needed"))


def begins_after(step: str, state: State) -> Law:
    """The offer begins in the very moment in which the last that it waited for was over."""

    def law(seen: Seen) -> None:
        cause = next(row for row in seen.audit if row.step == "offer" and row.to_state == State.IN_PROGRESS).cause
        led_by = next(row for row in seen.audit if row.sort_key == cause)
        assert (led_by.step, led_by.to_state) == (step, state)

    return law


JOIN: Edges = {"gate": [], "quote": ["gate"], "check": ["gate"], "offer": ["quote", "check"]}
HELD = {"gate": [Ok(takes=10)]}

demanding = TaskTemplate("skip_never")
d_gate = demanding.add_step("gate", play)
d_quote = demanding.add_step("quote", play, after=[d_gate])
d_check = demanding.add_step("check", play, after=[d_gate])


@demanding.step(after=[d_check])
async def offer(quote: int = result_of(d_quote)) -> str:
    return f"for {quote}"


demanding.add_step("send", play, after=[offer])
demanding.add_step("close", play, after=[d_gate, offer])

modest = TaskTemplate("skip_optional")
m_gate = modest.add_step("gate", play)
m_quote = modest.add_step("quote", play, after=[m_gate])


@modest.step(after=[m_gate], name="offer")
async def offer_anyway(quote: int | None = result_of(m_quote)) -> str:
    return f"for {quote}"


CASES = [
    Case(
        name="cancel-while-running",
        template=graph("cancel_running", PAIR, heartbeat_timeout=HEEDFUL, cancel_grace=LONG),
        outcomes={"charge": [Hang()]},
        asked=at("charge", State.IN_PROGRESS, CANCEL),
        state=State.CANCELLED,
        steps={"charge": State.CANCELLED, "ship": State.CANCELLED},
        paths={"charge": STOPPED, "ship": "pending cancelled", "task": STOPPED},
        law=heeded,
    ),
    Case(
        name="cancel-in-a-thread",
        template=graph("cancel_in_thread", PAIR, play_in_thread, heartbeat_timeout=HEEDFUL, cancel_grace=LONG),
        outcomes={"charge": [Hang()]},
        asked=at("charge", State.IN_PROGRESS, CANCEL),
        state=State.CANCELLED,
        steps={"charge": State.CANCELLED, "ship": State.CANCELLED},
        paths={"charge": STOPPED, "ship": "pending cancelled", "task": STOPPED},
        law=heeded,
    ),
    Case(
        name="cancel-natively",
        template=graph("cancel_natively", PAIR, heartbeat_timeout=HEEDFUL),
        outcomes={"charge": [Hang()]},
        asked=at("charge", State.IN_PROGRESS, CANCEL, natively=True),
        state=State.CANCELLED,
        steps={"charge": State.CANCELLED, "ship": State.CANCELLED},
        paths={"charge": STOPPED, "ship": "pending cancelled", "task": STOPPED},
        law=cancelled_by(None),
    ),
    Case(
        name="cancel-too-late-for-a-handler",
        template=graph("cancel_too_late", PAIR, play_in_thread, heartbeat_timeout=HEEDFUL),
        outcomes={"charge": [Ok("paid", takes=10)]},
        asked=at("charge", State.IN_PROGRESS, CANCEL),
        state=State.CANCELLED,
        steps={"ship": State.CANCELLED},
        paths={"charge": "pending in_progress complete", "ship": "pending cancelled", "task": STOPPED},
        results={"charge": "paid"},
        law=cancelled_by("ann"),
    ),
    Case(
        name="cancel-a-deaf-handler",
        template=graph("cancel_deaf", PAIR, play_in_thread, cancel_grace=timedelta(seconds=0.5)),
        outcomes={"charge": [Hang(deaf=True)]},
        asked=at("charge", State.IN_PROGRESS, CANCEL),
        state=State.CANCELLED,
        steps={"charge": State.CANCELLED, "ship": State.CANCELLED},
        paths={"charge": STOPPED, "task": STOPPED},
        law=abandoned,
    ),
    Case(
        name="cancel-while-backing-off",
        template=graph("cancel_backing_off", PAIR),
        outcomes={"charge": [Fail("busy", retry_after=60)]},
        asked=at("charge", State.ERROR, CANCEL),
        state=State.CANCELLED,
        steps={"charge": State.CANCELLED, "ship": State.CANCELLED},
        paths={"charge": "pending in_progress error cancelled", "task": STOPPED},
        law=cancelled_by("ann"),
    ),
    Case(
        name="skip-yes",
        template=graph("skip_yes", JOIN),
        outcomes=HELD,
        asked=skip("quote"),
        steps={"quote": State.SKIPPED},
        paths={"quote": "pending skipped", "offer": "pending in_progress complete"},
        law=begins_after("check", State.COMPLETE),
    ),
    Case(
        name="skip-never",
        template=demanding,
        outcomes=HELD,
        asked=skip("quote"),
        steps=dict.fromkeys(["quote", "offer", "send"], State.SKIPPED),
        paths={"offer": "pending skipped", "send": "pending skipped", "close": "pending in_progress complete"},
    ),
    Case(
        name="skip-optional",
        template=modest,
        outcomes=HELD,
        real=frozenset({"offer"}),
        asked=skip("quote"),
        steps={"quote": State.SKIPPED},
        results={"offer": "for None"},
    ),
    Case(
        name="skip-not-yet",
        template=graph("skip_not_yet", JOIN),
        outcomes={"quote": [Fail("busy", retry_after=60)], "check": [Ok(takes=10)]},
        asked=at("quote", State.ERROR, SkipStep(step="quote", actor="ann", reason="not needed")),
        steps={"quote": State.SKIPPED},
        paths={"quote": "pending in_progress error skipped", "offer": "pending in_progress complete"},
        law=begins_after("check", State.COMPLETE),
    ),
    Case(
        name="skip-the-last-that-is-waited-for",
        template=graph("skip_last", JOIN),
        outcomes={"quote": [Fail("busy", retry_after=60)]},
        asked=at("quote", State.ERROR, SkipStep(step="quote", actor="ann", reason="not needed")),
        steps={"quote": State.SKIPPED},
        paths={"offer": "pending in_progress complete"},
    ),
]
