"""Tasks run in memory: real handlers are called as a worker would call them, scripted ones end as they are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

import pytest
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from tasker_temporal import (
    ContextInvalid,
    PermanentError,
    RequestRefused,
    Retry,
    RetryableError,
    State,
    StepContext,
    TaskTemplate,
    received,
    result_of,
)
from tasker_temporal.core.requests import SendEvent
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RecordError, ScriptError
from tasker_temporal.testing import (
    CancelTask,
    Fail,
    Hang,
    NoHandler,
    Ok,
    SkipStep,
    assert_transitions,
    feed_again,
    run_task,
)
from tasker_temporal.testing.run import BEGIN

STEADY = Retry(base_delay=timedelta(hours=1), max_delay=timedelta(hours=24), jitter="none")
"""Three attempts, 4 hours apart: the exponent is 2 after the first and after the second."""


class Order(BaseModel):
    lines: int


class Cart(BaseModel):
    total: int


order = TaskTemplate("order", context=Order)
called: list[tuple[str, StepContext]] = []


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    called.clear()


@order.step
async def price(order: Order, step: StepContext) -> Cart:
    called.append(("price", step))
    return Cart(total=10 * order.lines)


@order.step(retry=STEADY, config={"gateway": "test"})
def charge(step: StepContext, cart: Cart = result_of(price)) -> str:
    called.append(("charge", step))
    return f"paid {cart.total}"


def one(handler: Any, **options: Any) -> TaskTemplate[Any]:
    template = TaskTemplate[Any]("one", **options)
    template.add_step("act", handler, retry=STEADY)
    return template


def raises(error: Exception) -> Any:
    async def act() -> int:
        raise error

    return act


async def test_handlers_without_a_script_are_called_with_what_they_ask_for() -> None:
    run = await run_task(order, Order(lines=3))
    assert run.report.state is State.COMPLETE
    assert run.result_of(price) == Cart(total=30)
    assert run.result_of(charge) == "paid 30"
    assert [name for name, _ in called] == ["price", "charge"]


async def test_a_handler_is_told_which_attempt_it_is() -> None:
    await run_task(order, Order(lines=3), task_id="t-1")
    step = called[-1][1]
    assert (step.task_id, step.step, step.attempt, step.attempts_left, step.execution) == ("t-1", "charge", 1, 2, 1)
    assert step.idempotency_key == "t-1/charge/1"
    assert step.config == {"gateway": "test"}


async def test_a_scripted_step_is_not_called_and_its_value_is_handed_on() -> None:
    run = await run_task(order, Order(lines=3), {price: Ok(Cart(total=7))})
    assert [name for name, _ in called] == ["charge"]
    assert run.result_of(charge) == "paid 7"


async def test_a_result_has_the_type_that_its_handler_returns() -> None:
    run = await run_task(order, Order(lines=3), {price: Ok({"total": 7})})
    assert assert_type(run.result_of(price), Cart) == Cart(total=7)
    assert run.result_of("price") == {"total": 7}


async def test_a_step_that_did_not_complete_has_no_result() -> None:
    run = await run_task(order, Order(lines=3), {"price": Fail(permanent=True)})
    with pytest.raises(RecordError, match="'charge' of task 'task' is pending"):
        run.result_of(charge)


async def test_the_context_is_validated_before_anything_happens() -> None:
    with pytest.raises(ContextInvalid, match=r"lines: .* valid integer"):
        await run_task(order, {"lines": "many"})
    assert called == []


async def test_the_context_may_be_what_the_type_can_be_made_of() -> None:
    assert (await run_task(order, {"lines": "4"})).result_of(price) == Cart(total=40)


@pytest.mark.parametrize(
    ("error", "kind", "executions"),
    [
        (RetryableError("busy"), "RetryableError", 3),
        (PermanentError("no such card"), "PermanentError", 1),
        (KeyError("card"), "KeyError", 3),
        (ApplicationError("full", type="Full"), "Full", 3),
        (ApplicationError("full", type="Full", non_retryable=True), "Full", 1),
    ],
)
async def test_what_a_handler_raises_is_judged_as_on_a_worker(error: Exception, kind: str, executions: int) -> None:
    run = await run_task(one(raises(error)))
    assert run.report.state is State.ERROR
    last = run.report.steps["act"].last_error
    assert last is not None
    assert last.type == kind
    assert run.executions == {"act": executions}


async def test_a_handler_that_asks_for_a_later_attempt_gets_it_in_virtual_time() -> None:
    run = await run_task(one(raises(RetryableError("busy", retry_after=120))))
    assert run.elapsed == timedelta(seconds=2 * 120)


async def test_a_result_of_the_wrong_type_fails_its_step() -> None:
    async def act() -> int:
        return "three"  # type: ignore[return-value]  # the mistake that this test is about

    last = (await run_task(one(act))).report.steps["act"].last_error
    assert last is not None
    assert last.type == "StepResultInvalid"
    assert last.message.startswith("it returned str, not int: ")


async def test_a_result_that_is_no_json_fails_its_step() -> None:
    class Socket:
        pass

    async def act() -> object:
        return Socket()

    last = (await run_task(one(act))).report.steps["act"].last_error
    assert last is not None
    assert last.type == "StepResultInvalid"
    assert last.message.startswith("it returned object, which cannot be sent: ")


async def test_an_error_without_a_message_says_that_it_has_none() -> None:
    last = (await run_task(one(raises(TimeoutError())))).report.steps["act"].last_error
    assert last is not None
    assert (last.type, last.message) == ("TimeoutError", "raised without a message")


async def test_the_n_th_execution_ends_as_the_n_th_outcome_says() -> None:
    run = await run_task(order, Order(lines=3), {charge: [Fail("busy"), Fail("late", type="Late"), Ok("paid")]})
    assert run.result_of(charge) == "paid"
    assert run.executions == {"price": 1, "charge": 3}
    last = run.report.steps["charge"].last_error
    assert last is not None
    assert (last.type, last.message) == ("Late", "late")


async def test_hours_of_backoff_are_over_at_once_and_to_the_microsecond() -> None:
    run = await run_task(order, Order(lines=3), {charge: [Fail(), Fail(), Ok("paid")]})
    assert run.elapsed == timedelta(hours=4 + 4)
    assert run.report.ended_at == BEGIN + timedelta(hours=8)


@pytest.mark.parametrize(
    "retry_after",
    [90, timedelta(seconds=90), BEGIN + timedelta(seconds=100), "90", "Thu, 01 Jan 2026 00:01:40 GMT"],
    ids=["seconds", "timedelta", "datetime", "header-seconds", "header-date"],
)
async def test_every_form_of_retry_after_is_kept_to_the_second(retry_after: Any) -> None:
    """The attempt takes 10 s, so 90 s after it is 100 s after the beginning."""
    run = await run_task(order, Order(lines=3), {charge: [Fail(retry_after=retry_after, takes=10), Ok("paid")]})
    assert run.elapsed == timedelta(seconds=100)


async def test_a_script_that_is_too_short_names_the_step_and_the_execution() -> None:
    with pytest.raises(ScriptError, match="step 'charge': its execution 2 has no outcome, the script has 1"):
        await run_task(order, Order(lines=3), {charge: [Fail()]})


async def test_a_scripted_value_that_the_handler_could_not_return_names_the_step() -> None:
    with pytest.raises(ScriptError, match=r"step 'charge': .* returned int, not str"):
        await run_task(order, Order(lines=3), {charge: Ok(3)})


async def test_a_scripted_value_that_is_too_large_fails_its_step() -> None:
    run = await run_task(order, Order(lines=3), {charge: Ok("x" * 2_100_000)})
    last = run.report.steps["charge"].last_error
    assert last is not None
    assert last.type == "StepResultTooLarge"


async def test_a_script_for_a_step_that_is_not_there_names_it() -> None:
    with pytest.raises(ScriptError, match="the script names chrage: expected steps of 'order'"):
        await run_task(order, Order(lines=3), {"chrage": Ok()})


async def test_a_compiled_template_runs_if_every_step_is_scripted() -> None:
    run = await run_task(order.compiled, {"lines": 3}, {"price": Ok({"total": 1}), "charge": Ok("paid")})
    assert run.report.state is State.COMPLETE
    assert run.result_of("charge") == "paid"


async def test_a_compiled_template_has_no_handlers_of_its_own() -> None:
    with pytest.raises(ScriptError, match="step 'charge' has no handler here"):
        await run_task(order.compiled, {"lines": 3}, {"price": Ok()})


async def test_steps_that_run_at_once_take_as_long_as_the_longest() -> None:
    in_a_row = {price: Ok({"total": 1}, takes=timedelta(minutes=2)), charge: Ok("paid", takes=30)}
    assert (await run_task(order, Order(lines=3), in_a_row)).elapsed == timedelta(seconds=150)
    both = TaskTemplate("both")
    both.add_step("a", raises(KeyError()))
    both.add_step("b", raises(KeyError()))
    assert (await run_task(both, None, {"a": Ok(1, takes=5), "b": Ok(2, takes=3)})).elapsed == timedelta(seconds=5)


@pytest.mark.parametrize("slow", [Hang(), Ok("late", takes=601), Fail(takes=601)])
async def test_what_takes_longer_than_the_timeout_is_a_timeout(slow: Any) -> None:
    run = await run_task(order, Order(lines=3), {charge: [slow, Ok("paid")]})
    assert run.elapsed == timedelta(minutes=10) + timedelta(hours=4)
    last = run.report.steps["charge"].last_error
    assert last is not None
    assert (last.type, last.message) == ("StepTimeout", "attempt 1 was not over within 0:10:00")


async def test_without_a_worker_that_has_the_handler_the_step_fails_after_the_grace() -> None:
    run = await run_task(order, Order(lines=3), {charge: [NoHandler()] * 30})
    last = run.report.steps["charge"].last_error
    assert last is not None
    assert last.type == "HandlerMissing"
    assert run.elapsed == timedelta(minutes=10)


async def test_a_handler_that_comes_late_costs_no_attempt() -> None:
    run = await run_task(order, Order(lines=3), {charge: [NoHandler(), NoHandler(), Ok("paid")]})
    assert (run.report.steps["charge"].attempt, run.executions["charge"]) == (1, 3)


CANCEL = CancelTask(actor="ann", reason="customer called")


@pytest.mark.parametrize(
    ("outcome", "state", "elapsed"),
    [(Hang(), "cancelled", 5), (Hang(deaf=True), "cancelled", 35), (Ok("paid", takes=12), "complete", 12)],
    ids=["heeds-the-stop", "deaf", "ends-by-itself"],
)
async def test_a_cancelled_task_waits_for_what_runs(outcome: Any, state: str, elapsed: float) -> None:
    run = await run_task(order, Order(lines=3), {charge: outcome}, requests=[(5, CANCEL)])
    assert run.report.state is State.CANCELLED
    assert run.report.steps["charge"].state == state
    assert run.elapsed == timedelta(seconds=elapsed)
    assert (run.audit[-1].actor, run.audit[-1].reason) == ("ann", "customer called")


async def test_a_step_that_waits_for_a_handler_can_be_cancelled() -> None:
    run = await run_task(order, Order(lines=3), {charge: [NoHandler()]}, requests=[(timedelta(seconds=0.5), CANCEL)])
    assert run.report.state is State.CANCELLED
    assert run.elapsed == timedelta(seconds=0.5)


async def test_a_request_is_made_at_its_time() -> None:
    skip = SkipStep(step="charge", actor="ann", reason="paid by invoice")
    run = await run_task(order, Order(lines=3), {charge: [Fail(), Ok("paid")]}, requests=[(60, skip)])
    assert run.report.steps["charge"].state is State.SKIPPED
    assert run.elapsed == timedelta(minutes=1)


@pytest.mark.parametrize("after", [0, 60], ids=["while-it-runs", "after-its-end"])
async def test_a_request_that_is_refused_is_raised(after: float) -> None:
    skip = SkipStep(step="price", actor="ann", reason="not needed")
    with pytest.raises(RequestRefused):
        await run_task(order, Order(lines=3), {price: Ok(Cart(total=1), takes=5)}, requests=[(after, skip)])


async def test_two_runs_of_one_script_are_the_same_to_the_byte() -> None:
    runs = [await run_task(order, Order(lines=3), {charge: [Fail(), Ok("paid", takes=2)]}) for _ in range(2)]
    assert runs[0].audit == runs[1].audit
    assert runs[0].messages == runs[1].messages


async def test_what_the_core_was_fed_gives_the_same_audit_again() -> None:
    run = await run_task(order, Order(lines=3), {charge: [Fail(), Hang()]}, requests=[(15000, CANCEL)])
    fresh = Task(run.task.id, run.task.template, run.task.context, run.task.key)
    assert [row.plain() for row in feed_again(fresh, run.messages)] == [row.plain() for row in run.audit]


async def test_the_audit_has_every_transition() -> None:
    run = await run_task(order, Order(lines=3))
    expected = [
        ("task", None, State.PENDING),
        ("step:price", None, State.PENDING),
        ("step:charge", None, State.PENDING),
        ("task", State.PENDING, State.IN_PROGRESS),
        ("step:price", State.PENDING, State.IN_PROGRESS),
        ("step:price", State.IN_PROGRESS, State.COMPLETE),
        ("step:charge", State.PENDING, State.IN_PROGRESS),
        ("step:charge", State.IN_PROGRESS, State.COMPLETE),
        ("task", State.IN_PROGRESS, State.COMPLETE),
    ]
    assert_transitions(run.audit, expected)


async def test_an_event_that_does_not_validate_is_refused_as_a_worker_would() -> None:
    template = TaskTemplate("waiting")
    paid = template.event("paid", Cart)
    template.wait_for("payment", received(paid))
    told = [SendEvent(name="paid", payload=payload) for payload in ({"total": "much"}, {"total": "12"})]
    requests = [(number, event) for number, event in enumerate(told)]
    run = await run_task(template, requests=requests, refusals="keep")
    assert ["the payload of event 'paid' is not valid: total: " in str(error) for error in run.refusals] == [True]
    assert run.result_of("payment") == {"total": 12}
