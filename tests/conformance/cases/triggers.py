"""When steps run: failures that are handled, branches, conditions, time, events from outside, one at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel

from tasker_temporal import (
    FailedStep,
    Retry,
    Route,
    State,
    TaskTemplate,
    all_of,
    any_of,
    at_least,
    chosen,
    completed,
    elapsed,
    ended,
    event_of,
    failed,
    failure_of,
    received,
    result_of,
    skipped,
)
from tasker_temporal.core.requests import SendEvent
from tasker_temporal.testing import Fail, Ok
from tests.conformance.case import Asked, Case, Seen
from tests.conformance.plays import play

SHORT = timedelta(milliseconds=100)
ONCE = Retry(attempts=1)


class Order(BaseModel):
    id: str = "o-1"
    total: float = 1500


class Captured(BaseModel):
    order: str
    amount: int


def template(name: str, **options: Any) -> TaskTemplate[Order]:
    return TaskTemplate(f"triggers.{name}", context=Order, **options)


# A failure that another step handles.

handling = template("handling")
charge = handling.add_step("charge", play, retry=ONCE)


@handling.step(on=failed(charge))
def refund(why: FailedStep = failure_of(charge)) -> str:
    return f"{why.step}: {why.type}: {why.message} ({why.attempts})"


ship = handling.add_step("ship", play, after=[charge])
bill = handling.add_step("bill", play, on=completed(charge))
audit = handling.add_step("audit", play, on=ended(charge))
console = handling.add_step("console", play, on=all_of(skipped(ship), skipped(bill)))
close = handling.add_step("close", play, after=[refund, charge])


def say_who_handled_it(seen: Seen) -> None:
    assert seen.report.steps["charge"].handled_by == "refund"
    (row,) = [row for row in seen.audit if row.event == "step.failure_handled"]
    assert (row.step, dict(row.metadata)) == ("charge", {"by": "refund"})
    reasons = {row.step: row.reason for row in seen.audit if row.to_state == State.SKIPPED}
    assert reasons == {
        "ship": "nothing it waits for is complete: the failure of charge is handled by refund",
        "bill": "completed(charge) will never be: the failure of charge is handled by refund",
    }


# A handler that fails is why its task fails.

unhandled = template("handler_fails")
broken = unhandled.add_step("broken", play, retry=ONCE)
rescue = unhandled.add_step("rescue", play, on=failed(broken), retry=ONCE)
late = unhandled.add_step("late", play, after=[rescue])


# Branches, and a join after them.

branching = template("branches")


@branching.decision(branches=["premium", "basic", "trial"])
def plan(order: Order) -> Literal["premium", "basic", "trial"] | list[str]:
    return ["premium", "trial"] if order.total > 1000 else "basic"


branches = [branching.add_step(name, play, on=chosen(plan, name)) for name in ("premium", "basic", "trial")]
branching.add_step("welcome", play, after=branches)

lost = template("lost_decision")


@lost.decision(branches=["left", "right"])
def way() -> str:
    return "up"


lost.add_step("left", play, on=chosen(way, "left"))


# Conditions.

judging = template("conditions")


@judging.step
def cart(order: Order) -> Captured:
    return Captured(order=order.id, amount=3)


judging.add_step("large", play, when="context.total > 1000 && result.cart.amount == 3", after=[cart])
judging.add_step("small", play, when="context.total <= 1000.0", after=[cart])
odd = judging.add_step("odd", play, when="[1, 2].exists(n, n / int(context.total - 1500.0) > 1)", after=[cart])
judging.add_step("mend", play, on=failed(odd), when="failure.odd.type == 'ConditionError'")


# Groups, and time.

timed = template("time")
first = timed.add_step("first", play)
slow = timed.add_step("slow", play)
timed.add_step("soon", play, on=elapsed(SHORT))
timed.add_step("then", play, on=all_of(completed(first), elapsed(SHORT)))
timed.add_step("either", play, on=any_of(completed(slow), elapsed(SHORT)))
timed.add_step("two", play, on=at_least(2, completed(first), completed(slow), elapsed(SHORT)), after=[first])


def count_time_from_what_it_stands_beside(seen: Seen) -> None:
    assert seen.at("soon", State.IN_PROGRESS) - seen.at("first", State.IN_PROGRESS) >= SHORT
    assert seen.at("then", State.IN_PROGRESS) - seen.at("first", State.COMPLETE) >= SHORT
    assert seen.at("either", State.IN_PROGRESS) < seen.at("slow", State.COMPLETE)


# Events from outside.

paying = template("events")
captured = paying.event("payment.captured", Captured)
noted = paying.event("note.added")
begin = paying.add_step("begin", play)
payment = paying.wait_for(
    "payment", received(captured, match="event.order == context.id"), after=[begin], deadline=timedelta(days=1)
)


@paying.step
def receipt(paid: Captured = result_of(payment)) -> int:
    return paid.amount


@paying.step(on=all_of(received(captured), received(noted)))
def book(paid: Captured = event_of(captured), note: Any = event_of("note.added")) -> str:
    return f"{paid.order}: {note}"


never = paying.wait_for("never", received(noted, match="event == 'never'"), deadline=SHORT, on_deadline="skip")
paying.add_step("anyway", play, on=skipped(never))


def event(name: str, payload: Any, id: str | None = None) -> Asked:
    sent = SendEvent(name=name, payload=payload, id=id)
    return Asked(after=0.5, when=("anyway", State.COMPLETE), request=sent)


def tell_of_each_event_once(seen: Seen) -> None:
    told = [row for row in seen.audit if row.event == "external.received"]
    assert [(row.metadata["name"], row.metadata["taken_by"]) for row in told] == [
        ("payment.captured", ["book"]),
        ("payment.captured", ["payment"]),
        ("note.added", ["book"]),
    ]
    assert all(set(row.metadata["payload"]) == {"size", "sha256"} for row in told)


# Modes and routes.

routed = template(
    "routed",
    routes=[
        Route(name="small", when="context.total < 10", mode="high_priority"),
        Route(name="large", when="context.total > 1000", mode="sequential_only"),
    ],
)
last = routed.add_step("z", play)
for one in "yx":
    routed.add_step(one, play)
routed.add_step("w", play, after=[last])


def run_one_at_a_time(seen: Seen) -> None:
    (row,) = [row for row in seen.audit if row.event == "task.routed"]
    assert dict(row.metadata) == {"rule": "large", "mode": "sequential_only"}
    moves = [(row.step, row.to_state) for row in seen.audit if row.step and row.from_state is not None]
    assert moves == [(step, state) for step in "zyxw" for state in (State.IN_PROGRESS, State.COMPLETE)]


CASES = [
    Case(
        name="handled-failure",
        template=handling,
        context=Order(),
        outcomes={"charge": [Fail("declined", type="Declined")]},
        real=frozenset({"refund"}),
        steps={"charge": State.ERROR, "ship": State.SKIPPED, "bill": State.SKIPPED},
        results={"refund": "charge: Declined: declined (1)"},
        law=say_who_handled_it,
    ),
    Case(
        name="unhandled-failure",
        template=handling,
        context=Order(),
        steps={"refund": State.SKIPPED, "console": State.SKIPPED},
        real=frozenset({"refund"}),
    ),
    Case(
        name="handler-fails",
        template=unhandled,
        context=Order(),
        outcomes={"broken": [Fail("no")], "rescue": [Fail("no", type="Lost")]},
        state=State.ERROR,
        steps={"broken": State.ERROR, "rescue": State.ERROR, "late": State.PENDING},
        errors={"rescue": "Lost"},
    ),
    Case(
        name="branches",
        template=branching,
        context=Order(),
        real=frozenset({"plan"}),
        steps={"basic": State.SKIPPED},
        results={"plan": ["premium", "trial"]},
    ),
    Case(
        name="branch-unknown",
        template=lost,
        context=Order(),
        real=frozenset({"way"}),
        state=State.ERROR,
        steps={"way": State.ERROR, "left": State.PENDING},
        errors={"way": "BranchUnknown"},
    ),
    Case(
        name="conditions",
        template=judging,
        context=Order(),
        real=frozenset({"cart"}),
        steps={"small": State.SKIPPED, "odd": State.ERROR},
        paths={"odd": "pending error", "small": "pending skipped"},
        errors={"odd": "ConditionError"},
    ),
    Case(
        name="time",
        template=timed,
        context=Order(),
        outcomes={"slow": [Ok(takes=1)]},
        law=count_time_from_what_it_stands_beside,
        asked=[Asked(after=0.9, when=("either", State.COMPLETE))],
    ),
    Case(
        name="external-events",
        template=paying,
        context=Order(),
        real=frozenset({"receipt", "book"}),
        asked=[
            event("payment.captured", {"order": "o-2", "amount": 1}, "p-1"),
            event("payment.captured", {"order": "o-1", "amount": 7}, "p-1"),
            event("payment.captured", {"order": "o-1", "amount": 7}, "p-2"),
            event("note.added", "fragile"),
        ],
        steps={"never": State.SKIPPED, "payment": State.COMPLETE},
        paths={"payment": "pending in_progress complete"},
        results={"receipt": 7, "book": "o-2: fragile", "payment": {"order": "o-1", "amount": 7}},
        law=tell_of_each_event_once,
    ),
    Case(name="routed", template=routed, context=Order(), law=run_one_at_a_time),
]
