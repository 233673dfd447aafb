"""What people ask of a task that is stuck, or that they want to go on otherwise."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tasker_temporal import PermanentError, State, TaskTemplate, result_of
from tasker_temporal.core.requests import (
    Ask,
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
from tasker_temporal.testing import Fail, Hang, Ok
from tests.conformance.case import FAST, Asked, Case, Law, Seen
from tests.conformance.plays import Edges, graph, play

BY: dict[str, Any] = {"actor": "ann", "reason": "the gateway is back"}
PAIR: Edges = {"charge": [], "ship": ["charge"]}
BESIDE: Edges = {"charge": [], "ship": ["charge"], "gate": []}
CHAIN: Edges = {"charge": [], "ship": ["charge"], "bill": ["ship"]}
"""Long enough for a handler to hear of a stop before the task is over."""

DOWN = Fail("down", permanent=True)
AGAIN = "pending in_progress error pending in_progress complete"


def at(step: str, state: State, *requests: Ask, after: float = 5) -> list[Asked]:
    return [Asked(after=after + number, when=(step, state), request=request) for number, request in enumerate(requests)]


def asked_by_ann(event: str, count: int = 1) -> Law:
    """So many rows of that event name who asked, and why."""

    def law(seen: Seen) -> None:
        rows = [row for row in seen.audit if row.event == event and row.actor == "ann"]
        assert [row.reason for row in rows] == ["the gateway is back"] * count

    return law


def held(name: str) -> TaskTemplate[Any]:
    return graph(name, PAIR, on_error="hold")


by_hand = TaskTemplate("by_hand", on_error="hold")


@by_hand.step
async def quote() -> dict[str, int]:
    raise PermanentError("down")


@by_hand.step
async def offer(found: dict[str, int] = result_of(quote)) -> str:
    return f"for {found['price']}"


again = TaskTemplate("again")
again.add_step("gate", play)
a_charge = again.add_step("charge", play)
again.add_step("ship", play, after=[a_charge])
again.add_step("bill", play, after=[a_charge])

CASES = [
    Case(
        name="pause-and-resume",
        template=graph("pause", BESIDE),
        outcomes={"gate": [Ok(takes=20)], "charge": [Fail("busy", retry_after=1), Ok()]},
        asked=at("charge", State.ERROR, PauseTask(**BY), ResumeTask(**BY), after=0.5),
        paths={"task": "pending in_progress paused in_progress complete", "charge": AGAIN},
        law=asked_by_ann("task.paused"),
    ),
    Case(
        name="retry-a-step-now",
        template=graph("retry_now", BESIDE),
        outcomes={"gate": [Ok(takes=20)], "charge": [Fail("busy", retry_after=100), Ok("paid")]},
        asked=at("charge", State.ERROR, RetryStep(step="charge", **BY)),
        paths={"charge": AGAIN},
        results={"charge": "paid"},
        law=asked_by_ann("step.retry_requested"),
    ),
    Case(
        name="retry-a-held-task",
        template=held("retry_held"),
        outcomes={"charge": [DOWN, Ok("paid")]},
        asked=at("charge", State.ERROR, RetryTask(**BY)),
        paths={"task": "pending in_progress error pending in_progress complete", "charge": AGAIN},
        results={"charge": "paid"},
        law=asked_by_ann("task.retry_requested"),
    ),
    Case(
        name="resolve-a-held-task",
        template=held("resolve_held"),
        outcomes={"charge": [DOWN]},
        asked=at("charge", State.ERROR, ResolveTask(**BY)),
        state=State.RESOLVED_MANUALLY,
        steps={"charge": State.ERROR, "ship": State.PENDING},
        law=asked_by_ann("task.resolved_manually"),
    ),
    Case(
        name="skip-the-last-failure",
        template=held("skip_held"),
        outcomes={"charge": [DOWN]},
        asked=at("charge", State.ERROR, SkipStep(step="charge", **BY)),
        steps={"charge": State.SKIPPED, "ship": State.SKIPPED},
        paths={"task": "pending in_progress error pending in_progress complete"},
    ),
    Case(
        name="resolve-the-last-failure",
        template=held("resolve_step_held"),
        outcomes={"charge": [DOWN]},
        asked=at("charge", State.ERROR, ResolveStep(step="charge", **BY)),
        steps={"charge": State.RESOLVED_MANUALLY},
        paths={"ship": "pending in_progress complete"},
    ),
    Case(
        name="complete-the-last-failure-by-hand",
        template=by_hand,
        outcomes={"quote": [DOWN]},
        real=frozenset({"offer"}),
        asked=at("quote", State.ERROR, CompleteStep(step="quote", result={"price": 7}, **BY)),
        paths={"quote": "pending in_progress error complete"},
        results={"offer": "for 7"},
        law=asked_by_ann("step.completed_manually"),
    ),
    Case(
        name="complete-a-running-step-by-hand",
        template=graph("complete_running", CHAIN, heartbeat_timeout=timedelta(seconds=1)),
        outcomes={"charge": [Hang()], "ship": [Ok(takes=0.9)], "bill": [Ok(takes=0.9)]},
        asked=at("charge", State.IN_PROGRESS, CompleteStep(step="charge", result="cash", **BY)),
        paths={"charge": "pending in_progress complete"},
        law=asked_by_ann("step.completed"),
    ),
    Case(
        name="retry-from-a-step",
        template=again,
        outcomes={"gate": [Ok(takes=20)], "charge": [Ok("wrong"), Ok("right")]},
        asked=[
            Asked(after=5, when=("ship", State.COMPLETE)),
            Asked(after=5, when=("bill", State.COMPLETE), request=RetryFrom(step="charge", **BY)),
            Asked(after=6, when=("bill", State.COMPLETE)),
        ],
        paths=dict.fromkeys(["charge", "ship", "bill"], "pending in_progress complete pending in_progress complete"),
        results={"charge": "right"},
        law=asked_by_ann("step.redo_requested", 3),
    ),
    Case(
        name="an-id-is-used-once",
        template=graph("id_used_once", {"charge": [], "ship": ["charge"], "bill": ["charge"]}),
        outcomes={"charge": [Ok(takes=20)]},
        asked=[
            Asked(after=1, when=("charge", State.IN_PROGRESS), request=SkipStep(step="ship", request_id="one", **BY)),
            Asked(after=2, when=("ship", State.SKIPPED), request=SkipStep(step="ship", request_id="one", **BY)),
            Asked(
                after=3,
                when=("ship", State.SKIPPED),
                request=SkipStep(step="bill", request_id="one", **BY),
                refused="request id 'one' was already used for skip of step 'ship' (sort_key ",
            ),
        ],
        steps={"ship": State.SKIPPED},
        law=asked_by_ann("step.skipped"),
    ),
    Case(
        name="change-a-step",
        template=graph("change", BESIDE, retry=FAST.model_copy(update={"attempts": 1})),
        outcomes={"gate": [Ok(takes=5)], "charge": [Fail("busy")], "ship": [Fail("busy"), Ok()]},
        asked=at(
            "charge",
            State.ERROR,
            ChangeStep(step="ship", attempts=2, **BY),
            SkipStep(step="charge", **BY),
            after=1,
        ),
        steps={"charge": State.SKIPPED, "ship": State.SKIPPED},
        law=asked_by_ann("step.changed"),
    ),
]
