"""A file and the handlers that were registered for it are the same template as the one in Python."""

from __future__ import annotations

import types
from datetime import timedelta
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from tasker_temporal import (
    Retry,
    StepContext,
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
from tasker_temporal.approval_notice import ApprovalNotice
from tasker_temporal.core.approval import Approval
from tasker_temporal.core.routes import Route
from tasker_temporal.core.template import Sink
from tasker_temporal.errors import YamlError
from tasker_temporal.failed_step import FailedStep
from tasker_temporal.testing import run_task
from tests.yaml import shop


class Order(BaseModel):
    id: str
    total: int = 0


class Price(BaseModel):
    cents: int


class Captured(BaseModel):
    order: str


class Signed(BaseModel):
    comment: str


async def told(notice: ApprovalNotice) -> None:
    raise AssertionError(notice)


async def asked(notice: ApprovalNotice) -> None:
    raise AssertionError(notice)


everything = TaskTemplate(
    "shop.everything",
    version="3",
    context=Order,
    task_queue="shop",
    on_error="hold",
    hold_for=timedelta(days=2),
    max_concurrency=7,
    type="critical",
    approval=Approval(approvers=("ann", "group:chiefs"), quorum=2, deadline=timedelta(days=1)),
    notify=told,
    sinks=[Sink(name="ledger", events=("step.*",), within=None)],
    routes=[Route(when="context.total > 1000", mode="high_priority", priority=1)],
)
captured = everything.event("payment.captured", Captured)


@everything.step(retry=Retry(attempts=5), timeout=timedelta(seconds=30), config={"on": [1, None]})
async def price(order: Order, context: StepContext, tries: int = 3) -> Price:
    return Price(cents=order.total + tries)


@everything.step(when="context.total > 10")
def gift(order: Order) -> str:
    return order.id


@everything.decision(branches=["small", "large"])
def size(of: Price = result_of(price)) -> str:
    return "large" if of.cents > 10 else "small"


payment = everything.wait_for(
    "payment",
    received(captured, match="event.order == context.id"),
    after=[price],
    deadline=timedelta(days=3),
    on_deadline="skip",
)


signed = everything.approval(
    "sign", form=Signed, approvers=["group:chiefs"], after=[price], deadline=timedelta(hours=4), notify=asked
)
waved = everything.approval("wave", approvers=["*"], not_requester=False)


@everything.step
def file(paper: Signed = result_of(signed)) -> str:
    return paper.comment


@everything.step(on=failed(price), formerly=["sorry"])
def apologize(why: FailedStep = failure_of(price)) -> None:
    raise AssertionError(why.message)


@everything.step(
    on=any_of(
        all_of(completed(gift), elapsed(timedelta(hours=1))),
        at_least(1, chosen(size, "large"), ended(price), skipped(gift)),
    )
)
def wrap(order: Order, kind: Annotated[str | None, result_of(size)]) -> str:
    return f"{order.id} {kind}"


@everything.step(on=received(captured))
def thank(paid: Captured = event_of(captured)) -> None:
    raise AssertionError(paid.order)


HANDLERS = {name: step.function for name, step in everything.handlers.items()} | {
    "Captured": Captured, "Signed": Signed, "told": told, "asked": asked,
}  # fmt: skip


def test_a_template_with_every_form_keeps_its_digest_from_python_to_yaml_and_back() -> None:
    text = everything.to_yaml()
    again = TaskTemplate.from_yaml(text, handlers=HANDLERS)
    assert again.compiled == everything.compiled
    assert again.compiled.digest == everything.compiled.digest
    assert again.to_yaml() == text
    assert (again.notify, again.declared[4].notify) == (told, asked)  # type: ignore[attr-defined]


def test_a_file_need_not_repeat_what_the_signatures_say() -> None:
    terse = """\
name: shop.flow
context: Order
steps:
  price:
  ship: {after: price}
"""
    written = TaskTemplate("shop.flow", context=shop.Order)
    first = written.add_step("price", shop.price)
    written.add_step("ship", shop.ship, after=[first])
    assert TaskTemplate.from_yaml(terse, handlers=shop).compiled == written.compiled


FLOW = """\
name: shop.flow
context: Order
steps:
  # A step may stand before what it waits for.
  send: {handler: ship, after: price}
  charge: {takes: {price: price}}
  price:
"""


async def test_a_template_from_yaml_runs() -> None:
    flow = TaskTemplate.from_yaml(FLOW, handlers=shop)
    run = await run_task(flow, shop.Order(id="a", total=3))
    assert run.report.state == "complete"
    assert run.result_of("charge") == "a: 3 cents"


class Handlers:
    """Handlers with a state of their own."""

    def __init__(self, postage: int) -> None:
        self._postage = postage

    def price(self, order: shop.Order) -> shop.Price:
        return shop.Price(cents=order.total + self._postage)

    def ship(self, order: shop.Order) -> None:
        raise AssertionError(order.id)


@pytest.mark.parametrize(
    "handlers",
    [
        shop,
        {"price": shop.price, "ship": shop.ship, "Order": shop.Order},
        types.SimpleNamespace(price=shop.price, ship=shop.ship),
        Handlers(postage=5),
    ],
    ids=["module", "mapping", "namespace", "object"],
)
def test_handlers_are_registered_by_name(handlers: Any) -> None:
    text = "name: shop.flow\ncontext: Order\nsteps: {price: , ship: {after: price}}\n"
    assert list(TaskTemplate.from_yaml(text, handlers=handlers).handlers) == ["price", "ship"]


@pytest.mark.parametrize("name", ["system", "os.system", "os:system", "_hidden", "BaseModel", "subprocess.run"])
def test_what_a_module_only_imports_or_hides_cannot_be_named(name: str) -> None:
    with pytest.raises(YamlError, match="TT-Y030") as raised:
        TaskTemplate.from_yaml(f"name: shop.flow\nsteps: {{price: {{handler: '{name}'}}}}\n", handlers=shop)
    assert [problem.code for problem in raised.value.problems] == ["TT-Y030"]


WRONG = [
    ("TT-Y030", "{price: {handler: pric}}", "no handler 'pric' is registered; did you mean 'price'?"),
    ("TT-Y031", "{price: {takes: {ordr: context}}}", "its handler has no parameter 'ordr'; did you mean 'order'?"),
    ("TT-Y031", "{price: , charge: }", "would each take the context"),
    ("TT-Y032", "{ship: , charge: {takes: {price: ship}}}", "'price' expects Price, but the result of 'ship' is None"),
    ("TT-Y034", "{price: {result: Order}}", "its result is 'Order', but its handler returns 'Price'"),
    ("TT-Y034", "{price: , charge: {takes: {price: {step: price, optional: true}}}}", "does not accept None"),
]


@pytest.mark.parametrize(("code", "steps", "said"), WRONG)
def test_a_handler_that_does_not_fit_is_told_with_its_line(code: str, steps: str, said: str) -> None:
    with pytest.raises(YamlError) as raised:
        TaskTemplate.from_yaml(f"name: shop.flow\ncontext: Order\nsteps: {steps}\n", handlers=shop)
    problem = raised.value.problems[0]
    assert (problem.code, problem.line) == (code, 3), problem
    assert said in problem.message


def test_a_misspelled_parameter_is_told_once() -> None:
    text = "name: shop.flow\ncontext: Order\nsteps:\n  price:\n  charge: {takes: {prise: price}}\n"
    with pytest.raises(YamlError) as raised:
        TaskTemplate.from_yaml(text, handlers=shop)
    [problem] = raised.value.problems
    assert (problem.code, problem.line, problem.column) == ("TT-Y031", 5, 20)
    assert problem.message.endswith("its handler has no parameter 'prise'; did you mean 'price'?")


def test_what_is_no_type_is_not_known_as_one() -> None:
    with pytest.raises(YamlError, match="; known are Any, None, bool, dict, float, int, list, str\n") as raised:
        TaskTemplate.from_yaml("name: shop.flow\ncontext: Order\nsteps: {}\n", handlers={"price": lambda order: 1})
    assert len(raised.value.problems) == 1


def test_who_is_told_of_an_approval_must_be_registered() -> None:
    text = "name: shop.flow\nsteps:\n  sign:\n    awaits: approval\n    approval: {approvers: ann, notify: pric}\n"
    with pytest.raises(YamlError, match=r"5:32: TT-Y030.*'pric'.*did you mean 'price'"):
        TaskTemplate.from_yaml(text, handlers=shop)
    template = TaskTemplate.from_yaml(text.replace("pric}", "price}"), handlers=shop)
    assert template.compiled.steps[0].approval == Approval(approvers=("ann",), notify=True)
    assert "notify: price" in template.to_yaml()


class Priced(BaseModel):
    cents: int


priced = everything.custom_event("order.priced", Priced)
FLOW_WITH_SINK = """\
name: shop.flow
context: Order
sinks: {ledger: {events: [order.priced]}}
steps: {price: }
"""


def test_a_custom_event_may_stand_among_the_handlers() -> None:
    template = TaskTemplate.from_yaml(FLOW_WITH_SINK, handlers={"price": shop.price, "priced": priced})
    assert template.custom_events == [priced]
    with pytest.raises(YamlError, match=r"its pattern 'order.priced' fits no event"):
        TaskTemplate.from_yaml(FLOW_WITH_SINK, handlers=shop)


def test_a_type_that_nobody_knows_is_told() -> None:
    with pytest.raises(YamlError, match=r"TT-Y033.*'Ordr'.*did you mean 'Order'") as raised:
        TaskTemplate.from_yaml("name: shop.flow\ncontext: Ordr\nsteps: {price: }\n", handlers=shop)
    assert len(raised.value.problems) == 1


def test_a_context_beside_the_file_must_be_the_one_it_names() -> None:
    text = "name: shop.flow\ncontext: Order\nsteps: {price: }\n"
    assert TaskTemplate.from_yaml(text, handlers=shop, context=shop.Order).context is shop.Order
    with pytest.raises(YamlError, match=r"TT-Y034.*'Order', but 'Price' was given"):
        TaskTemplate.from_yaml(text, handlers={"price": shop.price}, context=shop.Price)


def test_a_handler_under_another_name_is_said_in_the_file() -> None:
    template = TaskTemplate("shop.flow", context=shop.Order)
    template.add_step("first", shop.price)
    assert "first:\n    handler: price\n" in template.to_yaml()
    again = TaskTemplate.from_yaml(template.to_yaml(), handlers=shop)
    assert again.compiled == template.compiled
