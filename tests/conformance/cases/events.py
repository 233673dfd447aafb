"""What handlers publish is told with the outcome of their attempt."""

from __future__ import annotations

from pydantic import BaseModel

from tasker_temporal import Retry, State, StepContext, TaskTemplate
from tests.conformance.case import FAST, Case, Seen

QUEUE = "publishing"


class Priced(BaseModel):
    cents: int


shop = TaskTemplate("cases.publishing", task_queue=QUEUE, on_failure="continue")
tried = shop.custom_event("order.tried", Priced, description="A price was tried.")
priced = shop.custom_event("order.priced", Priced, description="The order has its price.")


@shop.step(retry=FAST)
async def price(told: StepContext) -> int:
    told.publish(tried, Priced(cents=told.attempt))
    if told.attempt == 1:
        raise ValueError("too cheap")
    told.publish(priced, Priced(cents=250))
    return 250


@shop.step(after=[price], retry=Retry(attempts=1))
def wrap(told: StepContext) -> None:
    """From a thread, and what does not validate fails the step."""
    told.publish(priced, Priced(cents=300))
    told.publish(priced, Priced.model_construct(cents="many"))


def each_is_told_once_with_its_attempt(seen: Seen) -> None:
    told = [(row.event, row.step, row.metadata["execution"]) for row in seen.audit if row.event.startswith("order.")]
    assert told == [
        ("order.tried", "price", 1),
        ("order.tried", "price", 2),
        ("order.priced", "price", 2),
        ("order.priced", "wrap", 1),
    ]
    assert all(row.metadata["size"] == len('{"cents":1}') for row in seen.audit if row.event == "order.tried")
    assert not any("cents" in str(row.metadata) for row in seen.audit)


CASES = [
    Case(
        name="publishing",
        template=shop,
        real=frozenset({"price", "wrap"}),
        state=State.ERROR,
        steps={"wrap": State.ERROR},
        errors={"wrap": "EventRefused"},
        paths={"price": "pending in_progress error pending in_progress complete"},
        results={"price": 250},
        law=each_is_told_once_with_its_attempt,
    )
]
