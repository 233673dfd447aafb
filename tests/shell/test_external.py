"""Events come from anywhere, and tasks are routed, on a real server."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tasker_temporal import (
    Limits,
    RequestRefused,
    Route,
    State,
    TaskHandle,
    TaskTemplate,
    all_of,
    completed,
    elapsed,
    event_of,
    received,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import history, temporal


class Captured(BaseModel):
    order: str
    cents: int


def paying(name: str, **options: Any) -> TaskTemplate[Any]:
    template = TaskTemplate[Any](name, **options)
    captured, note = template.event("payment.captured", Captured), template.event("note.added")
    wait = template.wait_for("payment", received(captured, match="event.order == context.id"))

    @template.step
    async def ship(paid: Captured = result_of(wait)) -> int:
        return paid.cents

    @template.step(on=received(note))
    async def remember(said: Any = event_of("note.added")) -> Any:
        return said

    return template


async def test_an_event_comes_by_the_binary_under_its_own_name(client: Connect, server: DevServer, cache: int) -> None:
    template = paying(f"external.binary_{cache}")
    connected = await client(template)
    async with worker(connected, max_cached_workflows=cache) as serving:
        task = await start_task(connected, template, {"id": "o-1"}, task_queue=serving.task_queue)
        signal = ["workflow", "signal", "--workflow-id", task.id, "--name"]
        payload = json.dumps({"order": "o-1", "cents": 250})
        await temporal(server, *signal, "payment.captured", "--input", payload)
        await temporal(server, *signal, "nothing.known", "--input", "1")
        await temporal(server, *signal, "payment.captured", "--input", '{"order": 7}')
        await temporal(server, *signal, "send_event", "--input", '{"name": "note.added", "payload": "hi", "id": "n-1"}')
        report = await task.result()
        assert (report.state, await task.result_of("ship"), await task.result_of("remember")) == ("complete", 250, "hi")
        rows = await task.audit()
        refused = [dict(row.metadata) for row in rows if row.event == "workflow.request_refused"]
        assert refused[0] == {"rule": "no such signal", "name": "nothing.known"}
        assert "payload of event 'payment.captured' is not valid: order: " in refused[1]["rule"]
        assert not any("cents" in json.dumps(row.plain()) for row in rows if row.event == "external.received")
        await replayed(task, template)


@pytest.mark.parametrize(
    "payload", [b'"\\ud800"', b'{"\\udfff": 1}', b"[" * 300 + b"]" * 300, b"[" * 50_000 + b"]" * 50_000]
)
async def test_a_payload_that_cannot_be_handed_on_is_refused_and_stops_nothing(client: Connect, payload: bytes) -> None:
    template = paying("external.odd")
    connected = await client(template)
    async with worker(connected) as serving:
        task = await start_task(connected, template, {"id": "o-1"}, task_queue=serving.task_queue)
        for name in ("note.added", "payment.captured"):
            sent = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=payload))
            await task.workflow.signal(name, sent)
        await task.send_event("note.added", None)
        await task.send_event("payment.captured", {"order": "o-1", "cents": 7})
        await task.result()
        refused = [row.metadata["rule"] for row in await task.audit() if row.kind == "refused"]
        assert ["JSON" in rule for rule in refused] == [True, True]
        await replayed(task, template)


async def test_a_payload_is_checked_by_the_client_and_by_the_worker(client: Connect) -> None:
    template = paying("external.checked")
    captured = template.events[0]
    connected = await client(template)
    async with worker(connected) as serving:
        task = await start_task(connected, template, {"id": "o-1"}, task_queue=serving.task_queue)
        wrong: Any = {"order": "o-1", "cents": "many"}
        with pytest.raises(RequestRefused, match=r"the payload of event 'payment\.captured' is not valid: cents: "):
            await task.send_event(captured, wrong)
        with pytest.raises(RequestRefused, match=r"the payload of event 'payment\.captured' is not valid: cents: "):
            await task.send_event("payment.captured", wrong)
        told = {"request": "send_event", "name": "payment.captured", "payload": wrong}
        with pytest.raises(RequestRefused, match=r"the payload of event 'payment\.captured' is not valid: cents: "):
            await task.plan(told)
        planned = await TaskHandle(await client(), task.id).plan(told)
        assert planned.unchecked == "the payload of event 'payment.captured'"
        assert (await task.plan({"request": "send_event", "name": "note.added", "payload": 7})).unchecked == ""
        with pytest.raises(RequestRefused, match=r"no event 'gone' is declared: expected one of payment\.captured"):
            await task.send_event("gone")
        await task.send_event("note.added", None)
        first = await task.send_event(captured, Captured(order="o-1", cents=1), id="p-1")
        again = await task.send_event("payment.captured", {"order": "o-1", "cents": 2}, id="p-1")
        assert first == again
        await task.result()
        assert await task.result_of("ship") == 1
        with pytest.raises(RequestRefused, match="the task is over"):
            await task.send_event("note.added", None)


async def test_early_events_and_running_clocks_go_on_in_a_new_run(client: Connect) -> None:
    """The run continues as new while the event is kept, the clock runs, and the failure's branch is decided."""
    template = TaskTemplate[Any]("external.continued", limits=Limits(drain_events=10))
    captured = template.event("payment.captured", Captured)

    @template.step
    async def first() -> int:
        return 1

    chain: list[Any] = [first]
    for number in range(4):
        chain.append(template.add_step(f"s{number}", first.function, after=[chain[-1]]))
    wait = template.wait_for("payment", received(captured), after=[chain[-1]])

    @template.step(on=all_of(completed(first), elapsed(timedelta(seconds=1))))
    async def later(paid: Captured = result_of(wait)) -> int:
        return paid.cents

    connected = await client(template)
    async with worker(connected) as serving:
        task = await start_task(connected, template, None, task_queue=serving.task_queue)
        await task.send_event(captured, Captured(order="o", cents=9))
        report = await task.result()
        assert report.state is State.COMPLETE
        assert await task.result_of(wait) == Captured(order="o", cents=9)
        assert await task.result_of(later) == 9
        rows = await task.audit()
        assert "workflow.run_continued" in [row.event for row in rows]
        await replayed(task, template)


async def test_a_route_says_where_and_before_whom_the_handlers_run(client: Connect) -> None:
    template = TaskTemplate[Any](
        "external.routed",
        routes=[
            Route(name="vip", when="context.total > 10", mode="high_priority", task_queue="vip-queue", fairness_key="v")
        ],
    )

    @template.step
    async def work() -> None: ...

    connected = await client(template)
    async with worker(connected) as serving, worker(connected, task_queue="vip-queue"):
        vip = await start_task(connected, template, {"total": 11}, task_queue=serving.task_queue)
        plain = await start_task(
            connected, template, {"total": 1}, task_queue=serving.task_queue, mode="sequential_only"
        )
        await vip.result()
        await plain.result()
        scheduled = [
            event.activity_task_scheduled_event_attributes
            for task in (vip, plain)
            for event in await history(task)
            if event.HasField("activity_task_scheduled_event_attributes")
        ]
        assert [(one.task_queue.name, one.priority.priority_key, one.priority.fairness_key) for one in scheduled] == [
            ("vip-queue", 1, "v"),
            (serving.task_queue, 0, ""),
        ]
        rows = [row for task in (vip, plain) for row in await task.audit() if row.event == "task.routed"]
        assert [dict(row.metadata) for row in rows] == [
            {"rule": "vip", "mode": "high_priority", "task_queue": "vip-queue", "fairness_key": "v"},
            {"mode": "sequential_only"},
        ]
        await replayed(vip, template)
