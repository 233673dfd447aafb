"""What a template's own events say reaches the sinks that want it, by whatever way, and stands in no archive else."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from tasker_temporal import Limits, Retry, RetryableError, StepContext, TaskTemplate, TemplateError, start_task
from tasker_temporal.core import outbox
from tasker_temporal.dev import DevServer
from tasker_temporal.sinks import Noted, Published, Sink, TaskEvent
from tests.server.conftest import histories, replayed, worker
from tests.sinks.kit import Kept, connect, once, rows_in, told_all

NO_DELAY = Retry(attempts=2, base_delay=timedelta(0), jitter="none")


class Priced(BaseModel):
    cents: int


def shop(*sinks: Sink, **options: Any) -> TaskTemplate[object]:
    """`price` publishes two events with its first attempt, which fails, one with the second; `wrap` publishes one."""
    template = TaskTemplate[object](f"sinks.shop_{uuid.uuid4().hex}", sinks=sinks, **options)
    priced = template.custom_event("order.priced", Priced)
    wrapped = template.custom_event("order.wrapped", str)

    @template.step(retry=NO_DELAY)
    async def price(told: StepContext) -> None:
        told.publish(priced, Priced(cents=told.attempt))
        if told.attempt == 1:
            told.publish(priced, Priced(cents=100))
            raise RetryableError("once more")

    @template.step(after=[price])
    def wrap(told: StepContext) -> str:
        told.publish(wrapped, "in blue")
        return "wrapped"

    return template


def said(events: Sequence[TaskEvent]) -> list[Any]:
    return [event.data.content for event in once(events) if isinstance(event.data, Published)]


SAID = [{"cents": 1}, {"cents": 100}, {"cents": 2}, "in blue"]


async def test_a_sink_gets_what_was_said_unless_it_does_not_want_it(server: DevServer) -> None:
    kept, archive, some = Kept(), Kept(), Kept()
    sinks = Sink(name="kept"), Sink(name="archive", contents=False), Sink(name="some", events=("order.wrapped",))
    template = shop(*sinks)
    connected = await connect(server, template, kept=kept, archive=archive, some=some)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
    assert (said(kept.events), said(archive.events), said(some.events)) == (SAID, [], ["in blue"])
    assert sum(type(event.data) is Noted for event in archive.events) == len(SAID)
    assert not any(b"in blue" in event.json_bytes() for event in archive.events)
    await told_all(kept.events, task)
    await told_all(archive.events, task)
    await replayed(task, template)


async def test_what_was_said_goes_on_in_a_new_run(server: DevServer) -> None:
    kept = Kept()
    template = shop(Sink(name="kept"), limits=Limits(drain_events=12))
    connected = await connect(server, template, kept=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
    assert len(await histories(task)) > 1
    assert said(kept.events) == SAID
    await replayed(task, template)


async def test_what_was_said_is_found_in_the_histories_if_it_was_too_much_to_carry(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "CARRIED_BYTES", 1)
    kept = Kept()
    template = shop(Sink(name="kept"), limits=Limits(drain_events=12))
    connected = await connect(server, template, kept=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
    assert len(await histories(task)) > 1
    assert said(kept.events) == SAID
    assert rows_in(kept.events) == await task.audit()


def test_a_pattern_may_name_a_templates_own_event() -> None:
    assert shop(Sink(name="kept", events=("order.*",))).compiled.sinks
    with pytest.raises(TemplateError, match=r"its pattern 'order\.wraped' fits no event"):
        _ = shop(Sink(name="kept", events=("order.wraped",))).compiled
