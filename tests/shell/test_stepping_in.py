"""People step in: by method, by Temporal's command, by Temporal's own cancel; and what they may not do is refused."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal import (
    Limits,
    RequestRefused,
    Row,
    TaskCancelled,
    TaskHandle,
    TaskTemplate,
    door,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import RequestUnanswered, UnknownTask
from tests.patience import until_history
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import CommandFailed, Gate, history, lasting, said, temporal

SOON = timedelta(seconds=1.2)
"""A heartbeat timeout: a running handler hears of its cancellation within a third of it."""

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}


def office(gate: Gate, **options: Any) -> TaskTemplate[Any]:
    """`draft` waits at the gate, then `sign` requires its result, and `file` only waits for `sign`."""
    template = TaskTemplate("stepping.office", **options)

    @template.step(heartbeat_timeout=SOON)
    async def draft() -> str:
        await gate.passage()
        return "a letter"

    @template.step
    async def sign(letter: str = result_of(draft)) -> str:
        return f"{letter}, signed"

    @template.step(after=[sign])
    async def file() -> str:
        return "filed"

    return template


class Desk:
    """A task of the office whose draft is being written."""

    def __init__(self, server: DevServer, task: TaskHandle, gate: Gate, template: TaskTemplate[Any]) -> None:
        self.server, self.task, self.gate, self.template = server, task, gate, template

    async def command(self, *words: str, **asked: Any) -> Any:
        """Temporal's command, with a request as JSON."""
        flags = ["--input", json.dumps(asked)] if asked else []
        return await temporal(self.server, "workflow", *words, "--workflow-id", self.task.id, *flags)

    async def rows(self, event: str) -> list[Row]:
        return [row for row in await self.task.audit() if row.event == event]


@pytest.fixture
async def desk(server: DevServer, client: Connect, cache: int) -> AsyncIterator[Desk]:
    gate = Gate()
    template = office(gate)
    connected = await client(template)
    async with worker(connected, max_cached_workflows=cache) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        yield Desk(server, task, gate, template)
        gate.open()
        with suppress(TaskCancelled):
            await task.result()
        await replayed(task, template)


# To cancel.

Way = Callable[[Desk], Awaitable[Any]]


async def by_method(desk: Desk) -> None:
    await desk.task.cancel(**BY)


async def by_update(desk: Desk, **asked: Any) -> None:
    await desk.command("update", "execute", "--name", "cancel", **BY, **asked)


async def by_signal(desk: Desk, **asked: Any) -> None:
    await desk.command("signal", "--name", "transition", request="cancel", **BY, **asked)


async def by_native_cancel(desk: Desk) -> None:
    await desk.task.workflow.cancel(reason=BY["reason"])


async def by_native_cancel_that_says_too_much(desk: Desk) -> None:
    await desk.task.workflow.cancel(reason="x\0" + "y" * 3000)


async def by_command(desk: Desk) -> None:
    await desk.command("cancel")


@pytest.mark.parametrize(
    ("way", "actor", "reason"),
    [
        (by_method, "ann", BY["reason"]),
        (by_update, "ann", BY["reason"]),
        (by_signal, "ann", BY["reason"]),
        (by_native_cancel, r"\d+@.+", BY["reason"]),
        (by_native_cancel_that_says_too_much, r"\d+@.+", r"x\?y{1995}\.\.\."),
        (by_command, r"temporal-cli:.+@.+", ".+"),
    ],
)
async def test_a_task_is_cancelled_in_every_way_with_who_and_why(desk: Desk, way: Way, actor: str, reason: str) -> None:
    await way(desk)
    with pytest.raises(TaskCancelled):
        await desk.task.result()
    rows = [row for row in await desk.task.audit() if row.event in ("task.cancel_requested", "task.cancelled")]
    assert said(rows) == ["task.cancel_requested", "task.cancelled"]
    for row in rows:
        assert re.fullmatch(actor, row.actor)
        assert re.fullmatch(reason, row.reason)
    assert rows[1].cause == rows[0].sort_key
    states = {name: step.state for name, step in (await desk.task.report()).steps.items()}
    assert states == dict.fromkeys(["draft", "sign", "file"], "cancelled")
    assert (await desk.task.workflow.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_what_a_request_cancelled_tells_temporal_who_and_why(desk: Desk) -> None:
    await desk.task.cancel(**BY)
    with pytest.raises(TaskCancelled):
        await desk.task.result()
    [asked] = [
        e for e in await history(desk.task) if e.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert (
        asked.workflow_execution_cancel_requested_event_attributes.cause
        == "a request cancelled the task; its audit says whose, and why"
    )


async def test_a_second_cancellation_is_refused_with_the_first_ones_author(desk: Desk) -> None:
    await desk.task.cancel(**BY)
    with pytest.raises(RequestRefused, match=r"being cancelled, as 'ann' asked|only an open task"):
        await desk.task.cancel(actor="bob", reason="me too")
    with pytest.raises(TaskCancelled):
        await desk.task.result()
    assert [row.actor for row in await desk.rows("task.cancel_requested")] == ["ann"]


async def test_a_native_cancel_in_the_workflow_task_that_would_continue_as_new_is_not_lost(client: Connect) -> None:
    gate = Gate()
    template = TaskTemplate("stepping.leaving", limits=Limits(drain_events=10))
    hands = f"hands-{uuid.uuid4()}"

    async def quick() -> None: ...

    slow = template.add_step("slow", gate.passage, task_queue=hands)
    template.add_step("last", quick, after=[slow, template.add_step("quick", quick, task_queue=hands)])
    connected = await client(template)
    async with worker(connected, task_queue=hands):
        async with worker(connected) as running:
            task = await start_task(connected, template, None, task_queue=running.task_queue)
            await gate.reached.wait()
            await until_history(task, "WORKFLOW_TASK_COMPLETED", 2)
        gate.open()
        await until_history(task, "ACTIVITY_TASK_COMPLETED", 2)
        await task.workflow.cancel(reason="stop")
        async with worker(connected, task_queue=running.task_queue):
            with pytest.raises(TaskCancelled):
                await task.result()
    assert said(await task.audit())[-4:] == [
        "step.completed slow",
        "task.cancel_requested",
        "step.cancelled last",
        "task.cancelled",
    ]
    await replayed(task, template)


# To skip.


async def skip_by_method(desk: Desk) -> None:
    await desk.task.skip("file", **BY)


async def skip_by_update(desk: Desk) -> None:
    answer = await desk.command("update", "execute", "--name", "skip", step="file", **BY)
    assert [row["event"] for row in answer["result"]["rows"]] == ["step.skipped"]


async def skip_by_signal(desk: Desk) -> None:
    await desk.command("signal", "--name", "transition", request="skip", step="file", **BY)


@pytest.mark.parametrize("way", [skip_by_method, skip_by_update, skip_by_signal])
async def test_a_step_is_skipped_in_every_way_with_who_and_why(desk: Desk, way: Way) -> None:
    await way(desk)
    desk.gate.open()
    report = await desk.task.result()
    assert report.counts == {"total": 3, "complete": 2, "skipped": 1}
    [row] = await desk.rows("step.skipped")
    assert (row.step, row.actor, row.reason, row.cause) == ("file", "ann", BY["reason"], None)


async def test_skipping_a_step_skips_what_requires_its_result(desk: Desk) -> None:
    answer = await desk.task.skip("sign", **BY)
    assert said(Row.of(row) for row in answer["rows"]) == ["step.skipped sign", "step.skipped file"]
    by_ann, by_itself = await desk.rows("step.skipped")
    assert (by_itself.actor, by_itself.reason) == ("tasker", "nothing it waits for is complete: sign was skipped")
    assert by_itself.cause == by_ann.sort_key
    assert (answer["first"], answer["last"]) == (by_ann.sort_key, by_itself.sort_key)


# What may not be done.

REFUSED = [
    ("skip", {"step": "draft", **BY}, "step 'draft' is in_progress: 'skip' is legal for one that is pending or error"),
    ("skip", {"step": "wrap", **BY}, "there is no step 'wrap'"),
    ("skip", BY, "step: Field required"),
    ("skip", {"step": "file", "actor": "ann"}, "reason: Field required"),
    ("skip", {"step": "file", "actor": "", "reason": "x"}, "actor: String should have at least 1 character"),
    ("skip", {"step": "file", "when": "now", **BY}, "when: Extra inputs are not permitted"),
    ("cancel", {"actor": "ann"}, "reason: Field required"),
    ("cancel", None, "a request is a JSON object"),
    ("cancel", ["ann"], "a request is a JSON object"),
]


async def test_a_refused_request_is_answered_with_the_rule_and_costs_no_event(desk: Desk) -> None:
    before = lasting(await history(desk.task))
    for name, asked, rule in REFUSED:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await desk.task.workflow.execute_update(name, asked)
        cause = refused.value.cause
        assert isinstance(cause, ApplicationError)
        assert cause.type in ("RequestRefused", "RequestInvalid")
        assert cause.message.startswith(rule)
    assert lasting(await history(desk.task)) == before


async def test_the_method_refuses_with_the_rule_and_what_is_legal(desk: Desk) -> None:
    with pytest.raises(RequestRefused) as refused:
        await desk.task.skip("draft", **BY)
    assert refused.value.rule == "step 'draft' is in_progress: 'skip' is legal for one that is pending or error"
    assert refused.value.legal == ("complete_step",)


async def test_a_refused_signal_is_a_row(desk: Desk) -> None:
    told = [(name, asked, rule) for name, asked, rule in REFUSED if isinstance(asked, dict)]
    for name, asked, _ in told:
        await desk.task.workflow.signal("transition", {"request": name, **asked})
    rows = await desk.rows("workflow.request_refused")
    assert {row.kind for row in rows} == {"refused"}
    for row, (_, _, rule) in zip(rows, told, strict=True):
        assert row.metadata["rule"].startswith(rule)
    assert [row.actor for row in rows] == ["ann"] * 2 + ["tasker"] * (len(told) - 2)


async def test_a_task_that_is_over_refuses_every_request(desk: Desk) -> None:
    desk.gate.open()
    await desk.task.result()
    rows = await desk.task.audit()
    with pytest.raises(RequestRefused, match="only an open task takes requests"):
        await desk.task.cancel(**BY)
    with pytest.raises(RequestRefused, match="only an open task takes requests"):
        await desk.task.skip("file", **BY)
    assert await desk.task.audit() == rows


# Whatever comes in.


def sent(data: bytes, encoding: bytes) -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


MESSAGES: dict[str, list[Any]] = {
    "nothing": [],
    "null": [None],
    "a number": [7],
    "two": [{"request": "cancel", **BY}, {"request": "cancel", **BY}],
    "an unknown request": [{"request": "explode", "actor": "ann"}],
    "no request": [{"actor": "ann"}],
    "binary": [sent(b"\x00\x01", b"binary/plain")],
}

UNDECODABLE: dict[str, list[Any]] = {
    "broken": [sent(b"{nope", b"json/plain")],
    "strange": [sent(b"\x00", b"their/own")],
    "two broken": [sent(b"{nope", b"json/plain"), sent(b"{nope", b"json/plain")],
}


@pytest.mark.parametrize("name", ["transition", "send_event", "stranger"])
async def test_a_signal_of_any_shape_is_noted_as_a_row(desk: Desk, name: str) -> None:
    for arguments in MESSAGES.values():
        await desk.task.workflow.signal(name, args=arguments)
    rows = await desk.rows("workflow.request_refused")
    assert [row.metadata.get("name") for row in rows] == [name if name == "stranger" else None] * len(MESSAGES)
    assert {row.kind for row in rows} == {"refused"}


async def test_an_unknown_signal_that_cannot_be_decoded_is_noted_as_a_row(desk: Desk) -> None:
    for arguments in UNDECODABLE.values():
        await desk.task.workflow.signal("stranger", args=arguments)
    assert len(await desk.rows("workflow.request_refused")) == len(UNDECODABLE)


@pytest.mark.parametrize("name", ["transition", "send_event"])
async def test_a_known_signal_that_cannot_be_decoded_is_noted_as_a_row(desk: Desk, name: str) -> None:
    for arguments in UNDECODABLE.values():
        await desk.task.workflow.signal(name, args=arguments)
    assert len(await desk.rows("workflow.request_refused")) == len(UNDECODABLE)


@pytest.mark.parametrize("name", ["cancel", "skip", "stranger"])
async def test_an_update_of_any_shape_is_refused_without_an_event(desk: Desk, name: str) -> None:
    before = lasting(await history(desk.task))
    for arguments in (MESSAGES | UNDECODABLE).values():
        with pytest.raises(WorkflowUpdateFailedError):
            await desk.task.workflow.execute_update(name, args=arguments)
    assert lasting(await history(desk.task)) == before


@pytest.mark.parametrize("name", ["report", "audit", "graph", "waiting", "plan", "result", "stranger"])
async def test_a_query_of_any_shape_is_answered_or_fails_alone(desk: Desk, name: str) -> None:
    for arguments in (MESSAGES | UNDECODABLE).values():
        with suppress(WorkflowQueryFailedError):
            await desk.task.workflow.query(name, args=arguments)
    assert (await desk.task.report()).state == "in_progress"


# Large, long, and nothing that JSON could hold.

LONG = "s" * 900_000

LONG_WORDS: dict[str, dict[str, Any]] = {
    "skip": {"step": LONG},
    "move": {"to": LONG},
    "pause": {LONG: 1},
    "approve": {"step": LONG, "approval": LONG},
    "send_event": {"name": LONG},
    "change_step": {"step": "sign", "task_queue": LONG},
}


@pytest.mark.parametrize("name", LONG_WORDS)
async def test_a_refusal_is_short_however_long_the_words_are_that_it_refuses(desk: Desk, name: str) -> None:
    """A worker that answers with megabytes would be refused by the server, again and again."""
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await desk.task.workflow.execute_update(name, {**LONG_WORDS[name], **BY})
    assert len(str(refused.value.cause)) < 11_000
    await desk.task.workflow.signal("transition", {"request": name, **LONG_WORDS[name], **BY})
    [row] = await desk.rows("workflow.request_refused")
    assert len(row.metadata["rule"]) <= 2000


async def test_a_signal_is_as_small_as_every_request(desk: Desk) -> None:
    large = {"request": "complete_step", "step": "draft", "result": "x" * 1_500_000, **BY}
    await desk.task.workflow.signal("transition", large)
    [row] = await desk.rows("workflow.request_refused")
    assert re.fullmatch(r"the request takes 15\d{5} bytes: at most 1000000 are taken", row.metadata["rule"])


# Twice.


async def test_the_same_request_twice_has_one_effect_and_one_answer(desk: Desk) -> None:
    first = await desk.task.skip("file", **BY, request_id="once")
    assert await desk.task.skip("file", **BY, request_id="once") == first
    assert len(await desk.rows("step.skipped")) == 1


async def test_the_same_request_by_signal_and_by_update_has_one_effect_and_one_answer(desk: Desk) -> None:
    await desk.task.workflow.signal("transition", {"request": "skip", "step": "file", "request_id": "once", **BY})
    answer = await desk.task.skip("file", **BY, request_id="once")
    [row] = await desk.rows("step.skipped")
    assert (answer["first"], answer["last"], answer["rows"]) == (row.sort_key, row.sort_key, [row.plain()])


async def test_another_request_under_a_used_id_is_refused_and_names_the_first_at_every_door(desk: Desk) -> None:
    [first] = (await desk.task.skip("file", **BY, request_id="once"))["rows"]
    rule = f"request id 'once' was already used for skip of step 'file' (sort_key {first['sort_key']}): use another id"
    before = len(lasting(await history(desk.task)))
    with pytest.raises(RequestRefused) as refused:
        await desk.task.skip("sign", **BY, request_id="once")
    assert (str(refused.value), refused.value.rule) == (rule, rule)
    with pytest.raises(CommandFailed, match="was already used for skip of step 'file'"):
        await by_update(desk, request_id="once")
    with pytest.raises(RequestRefused, match="was already used"):
        await desk.task.plan({"request": "cancel", "request_id": "once", **BY})
    assert len(lasting(await history(desk.task))) == before
    await by_signal(desk, request_id="once")
    await until_history(desk.task, "WORKFLOW_EXECUTION_SIGNALED")
    [row] = [row for row in await desk.task.audit() if row.kind == "refused"]
    assert (row.actor, row.reason, row.metadata["rule"]) == ("ann", BY["reason"], rule)
    assert await desk.task.plan({"request": "skip", "step": "file", "request_id": "once", **BY}) == []


async def test_of_two_requests_at_once_under_one_id_one_is_done_and_the_other_is_refused(desk: Desk) -> None:
    asked = (desk.task.skip(step, **BY, request_id="once") for step in ("file", "sign"))
    found = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in found if isinstance(one, RequestRefused)]
    assert ["was already used for skip of step" in error.rule for error in refused] == [True]
    rows = [row for row in await desk.rows("step.skipped") if row.actor == "ann"]
    assert len(rows) == 1


async def test_a_result_that_was_refused_may_be_mended_under_its_id(desk: Desk) -> None:
    with pytest.raises(RequestRefused, match="the result of step 'draft' is not valid"):
        await desk.task.complete_step("draft", 7, **BY, request_id="once")
    answer = await desk.task.complete_step("draft", "a card", **BY, request_id="once")
    assert await desk.task.complete_step("draft", "a card", **BY, request_id="once") == answer
    with pytest.raises(
        RequestRefused, match="used for complete_step of step 'draft', which handed over something else"
    ):
        await desk.task.complete_step("draft", "a note", **BY, request_id="once")


async def test_a_refused_request_may_be_made_again_under_its_id(desk: Desk) -> None:
    with pytest.raises(RequestRefused):
        await desk.task.skip("draft", **BY, request_id="again")
    answer = await desk.task.skip("file", **BY, request_id="again")
    assert [row["event"] for row in answer["rows"]] == ["step.skipped"]


async def test_a_request_is_remembered_after_the_end(desk: Desk) -> None:
    first = await desk.task.skip("file", **BY, request_id="once")
    desk.gate.open()
    await desk.task.result()
    assert await desk.task.skip("file", **BY, request_id="once") == first
    with pytest.raises(RequestRefused, match="'once' was already used for skip of step 'file'"):
        await desk.task.skip("sign", **BY, request_id="once")


async def test_a_request_is_remembered_over_continue_as_new(client: Connect) -> None:
    first_gate, second_gate = Gate(), Gate()
    template = TaskTemplate("stepping.lasting", limits=Limits(drain_events=10))

    async def quick() -> None: ...

    first = template.add_step("first", first_gate.passage)
    template.add_step("second", second_gate.passage, after=[first])
    template.add_step("spare", quick, after=[first])
    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await first_gate.reached.wait()
        begun = await task.workflow.describe()
        answer = await task.skip("spare", **BY, request_id="once")
        await task.workflow.signal("noise that makes the history long")
        first_gate.open()
        await second_gate.reached.wait()
        assert (await task.workflow.describe()).run_id != begun.run_id
        again = await task.skip("spare", **BY, request_id="once")
        assert (again["first"], again["last"]) == (answer["first"], answer["last"])
        with pytest.raises(RequestRefused, match="'once' was already used for skip of step 'spare'"):
            await task.cancel(**BY, request_id="once")
        second_gate.open()
        await task.result()
    assert said(await task.audit()).count("step.skipped spare") == 1
    await replayed(task, template)


# Nobody there.


async def test_a_request_that_no_worker_hears_is_unanswered_and_applied_once_one_comes(
    client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE", timedelta(seconds=1))
    gate = Gate()
    template = office(gate)
    connected = await client(template)
    queue = f"empty-{uuid.uuid4()}"
    task = await start_task(connected, template, None, task_queue=queue)
    with pytest.raises(RequestUnanswered, match="ask again with request_id='once'") as unanswered:
        await task.skip("file", **BY, request_id="once")
    assert unanswered.value.request_id == "once"
    async with worker(connected, task_queue=queue):
        gate.open()
        assert (await task.result()).steps["file"].state == "skipped"
        answer = await task.skip("file", **BY, request_id="once")
    assert [row["event"] for row in answer["rows"]] == ["step.skipped"]
    await replayed(task, template)


# What would be.


@pytest.mark.parametrize("request_", [{"request": "cancel"}, {"request": "skip", "step": "sign"}])
async def test_a_plan_shows_the_rows_that_would_follow_and_changes_nothing(
    desk: Desk, request_: dict[str, Any]
) -> None:
    events, rows = lasting(await history(desk.task)), await desk.task.audit()
    planned = await desk.task.plan(request_ | BY)
    assert lasting(await history(desk.task)) == events
    assert await desk.task.audit() == rows
    await desk.task.workflow.signal("transition", request_ | BY)
    done = (await desk.task.audit())[len(rows) :]
    assert [row[:10] for row in planned] == [row[:10] for row in done[: len(planned)]]
    assert planned


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"request": "skip", "step": "draft"}, "step 'draft' is in_progress"),
        ({"request": "skip"}, "step: Field required"),
        ({"request": "explode"}, "request: Input tag 'explode'"),
    ],
)
async def test_a_plan_of_what_would_be_refused_is_refused(desk: Desk, asked: dict[str, Any], rule: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        await desk.task.plan(asked | BY)
    assert refused.value.rule.startswith(rule)


# No such task.

ASK: dict[str, Callable[[TaskHandle], Awaitable[Any]]] = {
    "result": lambda task: task.result(),
    "report": lambda task: task.report(),
    "audit": lambda task: task.audit(),
    "waiting": lambda task: task.waiting(),
    "result_of": lambda task: task.result_of("draft"),
    "plan": lambda task: task.plan({"request": "cancel", **BY}),
    "cancel": lambda task: task.cancel(**BY),
    "skip": lambda task: task.skip("draft", **BY),
}


@pytest.mark.parametrize("method", ASK)
async def test_a_task_that_nobody_knows_is_named(client: Connect, method: str) -> None:
    connected: Client = await client()
    with pytest.raises(UnknownTask, match="there is no task 'nobody' in namespace 'default'"):
        await ASK[method](TaskHandle(connected, "nobody"))
