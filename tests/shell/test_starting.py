"""How tasks begin: by template, by name, by Temporal's own command; and what keeps them from beginning."""

from __future__ import annotations

import uuid
import warnings
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from pydantic import BaseModel, Field
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import Priority, RawValue, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from tasker_temporal import (
    ContextInvalid,
    TaskAlreadyStarted,
    TaskCancelled,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    TemplateError,
    result_of,
    start_task,
)
from tasker_temporal.core.template import PAYLOAD_LIMIT
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import OptionError, RecordError, TaskLost, UnknownTemplate
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import CommandFailed, Gate, history, kinds, said, temporal


class Order(BaseModel):
    customer: str
    euros: float = Field(gt=0)


orders = TaskTemplate("starting.orders", version="3.0.0", context=Order)


@orders.step
async def bill(order: Order) -> str:
    return f"{order.euros:g} euros of {order.customer}"


@orders.step(after=[bill])
async def thank(order: Order) -> str:
    return f"thanks, {order.customer}"


anything = TaskTemplate("starting.anything")


@anything.step
async def echo(given: Any) -> Any:
    return given


ANN: dict[str, Any] = {"customer": "ann", "euros": 5}
BY: dict[str, Any] = {"actor": "ann", "reason": "I said so"}


@dataclass
class Shop:
    """A worker that has both templates, a client that knows them, and one that knows none."""

    client: Client
    stranger: Client
    queue: str

    async def start(self, template: str, *arguments: Any) -> TaskHandle:
        """As another language's client does it."""
        task = TaskHandle(self.client, f"bare-{uuid.uuid4()}")
        await self.stranger.start_workflow(template, args=arguments, id=task.id, task_queue=self.queue)
        return task


@pytest.fixture
async def shop(server: DevServer, client: Connect, cache: int) -> Any:
    connected = await client(orders, anything)
    async with worker(connected, max_cached_workflows=cache) as running:
        yield Shop(connected, await server.client(), running.task_queue)


async def exists(client: Client, task_id: str) -> bool:
    try:
        await client.get_workflow_handle(task_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


# By template, and by name.


async def test_a_task_begins_with_who_started_it_and_why(shop: Shop) -> None:
    order = Order(customer="ann", euros=5)
    task = await start_task(shop.client, orders, order, task_queue=shop.queue, actor="clerk", reason="by phone")
    await task.result()
    first = (await task.audit())[0]
    assert (first.event, first.actor, first.reason) == ("task.initialize_requested", "clerk", "by phone")
    assert await task.result_of(bill) == "5 euros of ann"
    await replayed(task, orders)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ({"actor": ""}, "its actor is empty: expected a text of at least 1 character"),
        ({"actor": " \t"}, "its actor is .*: it is blank"),
        ({"actor": "a" * 201}, "its actor is .*: expected a text of at most 200 characters"),
        ({"actor": "ann\x1b[2J"}, r"its actor is .*: it has the control character '\\x1b'"),
        ({"actor": "a\ud800"}, "its actor is .*: expected a text"),
        ({"actor": 7}, "its actor is 7: expected a text"),
        ({"reason": " "}, "its reason is ' ': it is blank"),
        ({"reason": "r" * 2001}, "its reason is .*: expected a text of at most 2000 characters"),
        ({"reason": "why\x00"}, r"its reason is .*: it has the control character '\\x00'"),
        ({"actor": "", "reason": " "}, "its actor is .*; its reason is ' ': it is blank"),
    ],
)
@pytest.mark.parametrize("who", ["client", "stranger"])
async def test_who_starts_a_task_and_why_are_as_those_of_a_request_or_nothing_starts(
    shop: Shop, who: str, by: dict[str, Any], said: str
) -> None:
    id = f"by-{uuid.uuid4()}"
    options: Any = {"id": id, "task_queue": shop.queue, **by}
    with pytest.raises(OptionError, match=said):
        await start_task(getattr(shop, who), "starting.orders", ANN, **options)
    assert not await exists(shop.client, id)


async def test_what_a_memo_says_of_a_start_without_the_library_is_made_legible(shop: Shop) -> None:
    memo = {"tasker.actor": " an\x1bn" + "n" * 300, "tasker.reason": ["because", "of\x00"]}
    start = {"id": f"memo-{uuid.uuid4()}", "task_queue": shop.queue, "memo": memo}
    await shop.client.start_workflow("starting.orders", ANN, **cast(Any, start))
    task = TaskHandle(shop.client, cast(str, start["id"]))
    await task.result()
    first = (await task.audit())[0]
    assert (first.actor[:6], len(first.actor)) == ("an?nnn", 199)
    assert first.reason == "['because', 'of\\x00']"
    await replayed(task, orders)


async def test_a_clients_identity_that_no_request_could_have_starts_a_task(server: DevServer, shop: Shop) -> None:
    identity = "host\x07" + "x" * 300
    named = await server.client(plugins=[TaskerPlugin(orders)], identity=identity)
    task = await start_task(named, orders, Order(customer="ann", euros=5), task_queue=shop.queue)
    await task.result()
    actor = (await task.audit())[0].actor
    assert (actor[:6], len(actor)) == ("host?x", 200)


async def test_a_name_that_the_client_knows_is_as_good_as_the_template(shop: Shop) -> None:
    task = await start_task(shop.client, "starting.orders", ANN, task_queue=shop.queue)
    await task.result()
    assert "MARKER_RECORDED" not in kinds(await history(task)), "it was prepared by a worker"
    assert (await task.audit())[0].actor == shop.client.identity


async def test_a_name_that_it_does_not_know_is_prepared_by_a_worker(shop: Shop) -> None:
    theirs = await start_task(shop.stranger, "starting.orders", ANN, task_queue=shop.queue, **BY)
    task = TaskHandle(shop.client, theirs.id)
    report = await task.result()
    assert (report.version, report.counts) == ("3.0.0", {"total": 2, "complete": 2})
    first = (await task.audit())[0]
    assert (first.actor, first.reason) == ("ann", "I said so")
    assert kinds(await history(task)).count("MARKER_RECORDED") == 1
    await replayed(task, orders)


async def test_a_name_that_nobody_knows_needs_a_queue(shop: Shop) -> None:
    with pytest.raises(UnknownTemplate, match=r"'starting\.strange' run: .* has: starting\.orders"):
        await start_task(shop.client, "starting.strange", ANN)
    with pytest.raises(UnknownTemplate, match=r"'starting\.orders' run: pass task_queue=, or connect"):
        await start_task(shop.stranger, "starting.orders", ANN)


async def test_a_task_of_an_id_is_started_once(shop: Shop) -> None:
    task = await start_task(shop.client, anything, 1, id=f"once-{uuid.uuid4()}", task_queue=shop.queue)
    with pytest.raises(TaskAlreadyStarted) as refused:
        await start_task(shop.client, anything, 2, id=task.id, task_queue=shop.queue)
    assert refused.value.task_id == task.id
    await task.result()
    assert await task.result_of(echo) == 1


async def test_a_strict_identity_is_made_of_name_version_and_context(shop: Shop) -> None:
    """The order of a context's keys does not matter, everything else does."""
    name = f"strict.t{uuid.uuid4().hex}"
    made = ((name, "1"), (name, "2"), (f"{name}_more", "1"))
    versions = [TaskTemplate[Any](known, version=version) for known, version in made]
    contexts: list[Any] = [{"one": 1, "two": [1, 2]}, {"one": 1, "two": [2, 1]}, None]
    started = [
        (await start_task(shop.client, template, context, identity="strict", task_queue="nobody")).id
        for template in versions
        for context in contexts
    ]
    assert len(set(started)) == len(started)
    same: Any = {"two": [1, 2], "one": 1}
    with pytest.raises(TaskAlreadyStarted) as refused:
        await start_task(shop.client, versions[0], same, identity="strict", task_queue="nobody")
    again = await start_task(
        shop.client, versions[0], same, identity="strict", on_duplicate="return", task_queue="nobody"
    )
    assert again.id == refused.value.task_id == started[0]
    for id in started:
        await TaskHandle(shop.client, id).workflow.terminate()


async def test_temporal_is_told_when_and_how_a_task_is_to_be_started(shop: Shop) -> None:
    hour, priority, memo = timedelta(hours=1), Priority(priority_key=4, fairness_key="gold"), {"shop": "north"}
    task = await start_task(
        shop.stranger,
        "starting.orders",
        ANN,
        task_queue="nobody",
        start_delay=hour,
        priority=priority,
        memo=memo,
        **BY,
    )
    described = await task.workflow.describe()
    known = described.raw_description.workflow_execution_info
    assert described.execution_time is not None
    assert described.execution_time - described.start_time == hour
    assert (known.priority.priority_key, known.priority.fairness_key) == (4, "gold")
    assert await described.memo() == {**memo, "tasker.actor": "ann", "tasker.reason": "I said so"}
    await task.workflow.terminate()


async def test_the_id_of_a_task_that_is_over_is_used_again_only_if_somebody_says_so(shop: Shop) -> None:
    id = f"again-{uuid.uuid4()}"
    task = await start_task(shop.client, anything, 1, id=id, task_queue=shop.queue)
    await task.result()
    with pytest.raises(TaskAlreadyStarted):
        await start_task(shop.client, anything, 2, id=id, task_queue=shop.queue)
    policy = WorkflowIDReusePolicy.ALLOW_DUPLICATE
    task = await start_task(shop.client, anything, 2, id=id, task_queue=shop.queue, id_reuse_policy=policy)
    await task.result()
    assert await task.result_of(echo) == 2


# By Temporal's own command, and by other languages.


async def test_temporals_command_starts_a_task_with_json(server: DevServer, shop: Shop) -> None:
    task = TaskHandle(shop.client, f"cli-{uuid.uuid4()}")
    target = ["--workflow-id", task.id, "--task-queue", shop.queue, "--type", "starting.orders"]
    await temporal(server, "workflow", "start", *target, "--input", '{"customer": "bob",  "euros": 7}')
    assert (await task.result()).counts == {"total": 2, "complete": 2}
    assert await task.result_of(bill) == "7 euros of bob"
    first, *_, last = await task.audit()
    assert (first.actor, first.reason) == ("unknown", "started without the library's client")
    assert last.event == "task.completed"
    await replayed(task, orders)


async def test_without_input_the_context_is_null(server: DevServer, shop: Shop) -> None:
    task = TaskHandle(shop.client, f"cli-{uuid.uuid4()}")
    await temporal(
        server, "workflow", "start", "--workflow-id", task.id, "--task-queue", shop.queue, "--type", "starting.anything"
    )
    await task.result()
    assert await task.result_of(echo) is None
    assert said(await task.audit())[-1] == "task.completed"
    await replayed(task, anything)


async def test_what_the_command_itself_refuses_never_starts(server: DevServer, shop: Shop) -> None:
    task_id = f"cli-{uuid.uuid4()}"
    target = ["--workflow-id", task_id, "--task-queue", shop.queue, "--type", "starting.orders"]
    with pytest.raises(CommandFailed, match="not valid JSON"):
        await temporal(server, "workflow", "start", *target, "--input", "{customer")
    assert not await exists(shop.client, task_id)


def encoded(data: bytes, encoding: bytes) -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


@pytest.mark.parametrize(
    ("arguments", "place", "message"),
    [
        ([], "the whole", "should be a valid dictionary"),
        ([None], "the whole", "should be a valid dictionary"),
        ([["ann", 5]], "the whole", "should be a valid dictionary"),
        ([{"customer": "ann"}], "euros", "Field required"),
        ([{"customer": "ann", "euros": -1}], "euros", "should be greater than 0"),
        ([encoded(b"\x00\x01", b"binary/plain")], "the whole", "should be a valid dictionary"),
        ([encoded(b"{nope", b"json/plain")], "the whole", "it cannot be decoded, its encoding is 'json/plain'"),
        ([encoded(b"\x00", b"their/own")], "the whole", "it cannot be decoded, its encoding is 'their/own'"),
    ],
    ids=["nothing", "null", "list", "missing", "negative", "binary", "broken", "strange"],
)
async def test_a_context_that_does_not_fit_ends_the_task_in_error_and_says_where(
    shop: Shop, arguments: list[Any], place: str, message: str
) -> None:
    task = await shop.start("starting.orders", *arguments)
    with pytest.raises(TaskFailed, match=f"the context is not valid: {place}: .*{message}") as failed:
        await task.result()
    assert [problem["loc"] for problem in failed.value.report.problems] == [[] if place == "the whole" else [place]]
    rows = await task.audit()
    assert said(rows)[-1] == "task.failed"
    assert not any(row.to_state == "in_progress" for row in rows)
    await replayed(task, orders)


async def test_the_problems_of_a_context_do_not_repeat_it(shop: Shop) -> None:
    for context in ({"customer": ["Ann Smith"], "euros": "Ann Smith's"}, encoded(b"{Ann Smith", b"json/plain")):
        task = await shop.start("starting.orders", context)
        with pytest.raises(TaskFailed):
            await task.result()
        _, *later = await history(task)
        assert not any(b"Ann Smith" in event.SerializeToString() for event in later)


# What keeps a task from beginning.


async def test_the_client_refuses_a_context_that_does_not_fit_and_starts_nothing(shop: Shop) -> None:
    task_id = f"never-{uuid.uuid4()}"
    with pytest.raises(ContextInvalid, match=r"(?s)is not valid:.*euros: .*greater than 0") as refused:
        await start_task(shop.client, "starting.orders", {"customer": "ann", "euros": -1}, id=task_id, task_queue="any")
    assert [problem["loc"] for problem in refused.value.problems] == [["euros"]]
    assert "-1" not in str(refused.value)
    assert not await exists(shop.client, task_id)


async def test_a_context_that_is_too_large_is_refused_with_its_size(shop: Shop) -> None:
    task_id = f"never-{uuid.uuid4()}"
    with pytest.raises(ContextInvalid, match=rf"at most {PAYLOAD_LIMIT} can be sent") as refused:
        await start_task(shop.client, anything, "x" * PAYLOAD_LIMIT, id=task_id, task_queue="any")
    assert [problem["type"] for problem in refused.value.problems] == ["too_large"]
    assert not await exists(shop.client, task_id)


async def test_a_context_that_just_fits_is_taken(shop: Shop) -> None:
    text = "x" * (PAYLOAD_LIMIT - 2000)
    task = await start_task(shop.client, anything, text, task_queue=shop.queue)
    await task.result()
    assert await task.result_of(echo) == text


# What comes before the task has begun.


async def test_a_signal_that_comes_with_the_start_waits_for_the_task_to_begin(shop: Shop) -> None:
    task = TaskHandle(shop.client, f"early-{uuid.uuid4()}")
    wish = {"request": "skip", "step": "thank", **BY}
    where: dict[str, Any] = {"id": task.id, "task_queue": shop.queue}
    await shop.stranger.start_workflow(
        "starting.orders", ANN, **where, start_signal="transition", start_signal_args=[wish]
    )
    assert (await task.result()).counts == {"total": 2, "complete": 1, "skipped": 1}
    [skipped] = [row for row in await task.audit() if row.event == "step.skipped"]
    assert (skipped.step, skipped.actor, skipped.reason) == ("thank", "ann", "I said so")
    await replayed(task, orders)


def early(shop: Shop, task: TaskHandle) -> WithStartWorkflowOperation[Any, Any]:
    """Starts the task together with an update, which the first workflow task then carries."""
    conflict = WorkflowIDConflictPolicy.FAIL
    return WithStartWorkflowOperation(
        "starting.orders", ANN, id=task.id, task_queue=shop.queue, id_conflict_policy=conflict
    )


async def test_an_update_that_comes_with_the_start_is_answered_once_the_task_has_begun(shop: Shop) -> None:
    task = TaskHandle(shop.client, f"early-{uuid.uuid4()}")
    wish = {"step": "thank", **BY}
    answer = await shop.stranger.execute_update_with_start_workflow(
        "skip", wish, start_workflow_operation=early(shop, task), result_type=dict
    )
    assert [row["event"] for row in answer["rows"]] == ["step.skipped"]
    assert (await task.result()).counts == {"total": 2, "complete": 1, "skipped": 1}
    await replayed(task, orders)


async def test_an_early_update_that_breaks_a_rule_is_refused_once_the_task_has_begun(shop: Shop) -> None:
    task = TaskHandle(shop.client, f"early-{uuid.uuid4()}")
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.stranger.execute_update_with_start_workflow(
            "skip", {"step": "wrap", **BY}, start_workflow_operation=early(shop, task)
        )
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message.split(";")[0]) == ("RequestRefused", "there is no step 'wrap'")
    await task.result()
    await replayed(task, orders)


@pytest.mark.parametrize("bare", [True, False])
async def test_a_task_that_is_cancelled_before_it_begins_starts_no_step(client: Connect, bare: bool) -> None:
    connected = await client(orders)
    queue = f"early-{uuid.uuid4()}"
    task = TaskHandle(connected, f"early-{uuid.uuid4()}")
    if bare:
        await connected.start_workflow("starting.orders", ANN, id=task.id, task_queue=queue)
    else:
        await start_task(connected, orders, Order(**ANN), id=task.id, task_queue=queue)
    await task.workflow.cancel(reason="never mind")
    async with worker(connected, task_queue=queue):
        with pytest.raises(TaskCancelled):
            await task.result()
    rows = await task.audit()
    assert not any(row.to_state == "in_progress" for row in rows)
    assert (rows[-1].event, rows[-1].actor, rows[-1].reason) == ("task.cancelled", connected.identity, "never mind")
    assert "ACTIVITY_TASK_SCHEDULED" not in kinds(await history(task))
    await replayed(task, orders)


# Versions and renamed steps.


async def brew() -> str:
    return "tea"


async def burn() -> str:
    return "ashes"


def kitchen(version: str, **steps: Any) -> TaskTemplate[Any]:
    template = TaskTemplate("starting.kitchen", version=version)
    for name, handler in steps.items():
        template.add_step(name, handler)
    return template


async def test_two_versions_live_on_one_worker_if_they_share_their_handlers(client: Connect) -> None:
    old, new = kitchen("1", brew=brew), kitchen("2", brew=brew, pour=brew)
    connected = await client(old, new)
    async with worker(connected) as running:
        of_old = await start_task(connected, old, None, task_queue=running.task_queue)
        of_new = await start_task(connected, new, None, task_queue=running.task_queue)
        of_name = await start_task(connected, "starting.kitchen", task_queue=running.task_queue)
        bare = TaskHandle(connected, f"bare-{of_old.id}")
        await connected.start_workflow("starting.kitchen", id=bare.id, task_queue=running.task_queue)
        reports = [await task.result() for task in (of_old, of_new, of_name, bare)]
    assert [report.version for report in reports] == ["1", "2", "2", "2"]
    assert [report.counts["total"] for report in reports] == [1, 2, 2, 2]
    for task in (of_old, of_new, of_name, bare):
        await replayed(task, old, new)


def test_two_versions_with_different_handlers_of_one_step_are_refused() -> None:
    with pytest.raises(TemplateError, match="step 'brew': versions 1 and 2 have different handlers") as refused:
        TaskerPlugin(kitchen("1", brew=brew), kitchen("2", brew=burn))
    assert refused.value.template == "starting.kitchen"


def test_two_templates_of_one_name_and_version_must_be_the_same() -> None:
    once = kitchen("1", brew=brew)
    assert TaskerPlugin(once, once, kitchen("1", brew=brew)).templates["starting.kitchen"].version == "1"
    for other in (kitchen("1", brew=burn), kitchen("1", brew=brew, pour=brew)):
        with pytest.raises(TemplateError, match="two templates have this name, version 1, and are not the same"):
            TaskerPlugin(once, other)


async def test_the_plugin_belongs_to_the_client_and_there_alone(client: Connect, server: DevServer) -> None:
    plugin = TaskerPlugin(kitchen("1", brew=brew))
    with pytest.raises(OptionError, match="TaskerPlugin: the worker's client has none: pass it where the client"):
        Worker(await server.client(), task_queue="bare", plugins=[plugin])
    connected = await client(kitchen("1", brew=brew))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The SDK warns of it too, and goes on.
        with pytest.raises(OptionError, match="TaskerPlugin: this worker has two: expected one with all templates"):
            Worker(connected, task_queue="twice", plugins=[plugin])


class Price(BaseModel):
    euros: Decimal


async def test_a_client_without_the_plugin_starts_tasks_of_whatever_pydantic_knows(
    client: Connect, server: DevServer
) -> None:
    template = TaskTemplate("starting.priced", context=Price)

    @template.step
    async def take(price: Price) -> Price:
        return price

    async with worker(await client(template)) as running:
        price = Price(euros=Decimal("1.20"))
        task = await start_task(await server.client(), template, price, task_queue=running.task_queue)
        await task.result()
        assert await task.result_of(take) == price


def test_a_template_with_mistakes_is_refused_before_anything_runs() -> None:
    template = TaskTemplate("starting.broken")

    @template.step
    async def first(given: Any) -> int:
        return 1

    @template.step
    async def second(number: str = result_of(first)) -> str:  # type: ignore[assignment]  # the mistake
        return number

    with pytest.raises(TemplateError, match="its parameter 'number' expects str, but the result of 'first' is int"):
        TaskerPlugin(template)


async def test_a_renamed_step_runs_tasks_that_began_under_its_old_name(client: Connect) -> None:
    gate = Gate()
    old, new = TaskTemplate("starting.renamed"), TaskTemplate("starting.renamed")
    tea = old.add_step("brew", brew, after=[old.add_step("wait", gate.passage)])
    rest = new.add_step("rest", gate.passage, formerly=["wait"])
    new.add_step("make_tea", brew, formerly=["brew"], after=[rest])
    before, after = await client(old), await client(new)
    async with worker(before, sticky_queue_schedule_to_start_timeout=timedelta(seconds=0.5)) as running:
        task = await start_task(before, old, None, task_queue=running.task_queue)
        await gate.reached.wait()
    gate.open()
    async with worker(after, task_queue=running.task_queue):
        await task.result()
    assert await task.result_of(tea) == "tea"
    await replayed(task, new)


@pytest.mark.parametrize("inputs", [["1", "2", "3"], ["1", "null", "null", "null"]])
async def test_a_start_by_hand_with_too_many_arguments_fails_at_once(
    client: Connect, server: DevServer, inputs: list[str]
) -> None:
    connected = await client(TaskTemplate("starting.alone"))
    async with worker(connected) as running:
        flags = [word for text in inputs for word in ("--input", text)]
        task = TaskHandle(connected, f"too-many-{uuid.uuid4()}")
        where = ["--type", "starting.alone", "--task-queue", running.task_queue, "--workflow-id", task.id]
        await temporal(server, "workflow", "start", *where, *flags)
        why = f"a task is started with one argument, its context, and this one was started with {len(inputs)}"
        with pytest.raises(TaskLost, match=why):
            await task.result()
        assert why in (await task.why()).reasons[0].sentence
        with pytest.raises(RecordError):
            await task.audit()
    assert "WORKFLOW_TASK_FAILED" not in kinds(await history(task))
