"""A handler of the user's: any function that takes events. What it raises is tried again, and when it says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from tasker_temporal import RetryableError, TaskerPlugin, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import OptionError
from tasker_temporal.sinks import PartlyTaken, Sink, SinkHandler, TaskEvent
from tasker_temporal.sinks.deliver import deliver_activity
from tasker_temporal.sinks.handlers import LONGEST, MOST_RETRY_AFTER, translated
from tasker_temporal.sinks.outlet import PROBES, Outlet
from tests.server.conftest import worker
from tests.sinks.kit import connect, told_all
from tests.sinks.some import some_batch, some_events
from tests.sinks.test_delivery import small

PATIENT = Sink(name="audit", grace=timedelta(minutes=1))


async def test_a_plain_function_is_called_in_a_thread() -> None:
    threads: list[bool] = []

    def handler(events: Sequence[TaskEvent]) -> None:
        threads.append(threading.current_thread() is threading.main_thread())

    async def asynchronous(events: Sequence[TaskEvent]) -> None:
        threads.append(threading.current_thread() is threading.main_thread())

    class Both:
        async def __call__(self, events: Sequence[TaskEvent]) -> None:
            await asynchronous(events)

    def returns_a_coroutine(events: Sequence[TaskEvent]) -> object:
        return asynchronous(events)

    handlers: list[SinkHandler] = [handler, asynchronous, Both(), returns_a_coroutine]  # type: ignore[list-item]
    for each in handlers:
        await Outlet("a", each).hand(await some_events())
    assert threads == [False, True, True, True]


async def played(server: DevServer, handler: SinkHandler) -> None:
    template = small(PATIENT)
    connected = await connect(server, template, audit=handler)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
        await told_all(getattr(handler, "taken"), task)  # noqa: B009


class Stumbling:
    """Takes two events a call, and then stumbles."""

    def __init__(self) -> None:
        self.taken: list[TaskEvent] = []
        self.calls: list[int] = []

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        self.calls.append(len(events))
        self.taken += events[:2]
        if len(events) > 2:
            raise PartlyTaken(2, RetryableError("one moment", retry_after=0.01))


async def test_of_a_batch_that_was_partly_taken_only_the_rest_comes_again(server: DevServer) -> None:
    handler = Stumbling()
    await played(server, handler)
    assert [event.number for event in handler.taken] == list(range(1, len(handler.taken) + 1))
    assert handler.calls == list(range(handler.calls[0], 0, -2))


class Later:
    """Asks to be left alone for a second."""

    def __init__(self) -> None:
        self.taken: list[TaskEvent] = []
        self.asked: list[datetime] = []

    def __call__(self, events: Sequence[TaskEvent]) -> None:
        self.asked.append(datetime.now(UTC))
        if len(self.asked) == 1:
            raise RetryableError("not now", retry_after="2")
        self.taken += events


async def test_a_receiver_is_asked_again_when_it_said(server: DevServer) -> None:
    handler = Later()
    await played(server, handler)
    assert handler.asked[1] - handler.asked[0] >= timedelta(seconds=1.9)


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (ValueError("no"), None),
        (RetryableError("no"), None),
        (RetryableError("no", retry_after=3), timedelta(seconds=3)),
        (RetryableError("no", retry_after="what?"), None),
        (RetryableError("no", retry_after=86_400), timedelta(seconds=MOST_RETRY_AFTER)),
    ],
)
def test_an_error_says_when_the_next_attempt_is(error: Exception, delay: timedelta | None) -> None:
    found = translated("audit", error)
    assert (found.next_retry_delay, found.non_retryable, found.type) == (delay, False, "SinkFailed")
    assert found.message == f"sink 'audit': {type(error).__name__}: no"


def test_what_is_said_of_an_error_is_one_short_line() -> None:
    found = translated("audit", ValueError("on\n two lines " + "x" * 100_000))
    assert found.message.startswith("sink 'audit': ValueError: on two lines xxx")
    assert len(found.message) == LONGEST


@pytest.mark.parametrize(("count", "taken"), [(-1, 0), (0, 0), (2, 2), (99, 6)])
async def test_a_handler_that_counts_wrongly_loses_nothing(count: int, taken: int) -> None:
    async def handler(events: Sequence[TaskEvent]) -> None:
        raise PartlyTaken(count, ConnectionError("down"))

    noted: list[int] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda number, in_hand: noted.append(number)
    call = (await some_batch()).raw()
    with pytest.raises(ApplicationError, match="sink 'audit': ConnectionError: down"):
        await environment.run(deliver_activity({"audit": handler}), call)
    assert noted == [0, taken]


def test_a_sink_is_reached_by_what_can_be_called() -> None:
    with pytest.raises(OptionError, match=r"its sink 'audit' is 'https://example.com': expected a function"):
        TaskerPlugin(sinks={"audit": "https://example.com"})  # type: ignore[dict-item]


async def test_a_slow_sink_delays_only_itself(server: DevServer) -> None:
    """Another sink has everything while the first still waits."""
    slow, quick = asyncio.Event(), asyncio.Event()

    async def waits(events: Sequence[TaskEvent]) -> None:
        await slow.wait()

    async def goes(events: Sequence[TaskEvent]) -> None:
        if events[-1].type == "task.completed":
            quick.set()

    template = small(Sink(name="waits", grace=timedelta(milliseconds=200)), Sink(name="goes"))
    connected = await connect(server, template, waits=waits, goes=goes)
    async with worker(connected, graceful_shutdown_timeout=timedelta(seconds=5)) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await quick.wait()
        await task.result()
        assert not slow.is_set()
        slow.set()


class Overwhelmed:
    """Takes no more than two events at a time; of more it never comes to an end."""

    def __init__(self) -> None:
        self.taken: list[TaskEvent] = []
        self.calls: list[int] = []

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        self.calls.append(len(events))
        if len(events) > 2:
            await asyncio.Event().wait()
        self.taken += events


async def test_a_sink_that_needs_longer_for_a_batch_than_an_attempt_may_take_gets_fewer_at_once(
    server: DevServer,
) -> None:
    """With all of it in hand each attempt would be over too early, for ever."""
    handler = Overwhelmed()
    template = small(Sink(name="audit", timeout=timedelta(seconds=1), grace=timedelta(minutes=5)))
    connected = await connect(server, template, audit=handler)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
        await told_all(handler.taken, task)
    assert handler.calls[:2] == [handler.calls[0], handler.calls[0] // 2]


async def test_an_attempt_whose_time_is_half_over_leaves_the_rest_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async def takes_its_time(events: Sequence[TaskEvent]) -> None:
        calls.append([event.number for event in events])
        monkeypatch.setattr("tasker_temporal.sinks.deliver.ENOUGH", 0)

    calls: list[list[int]] = []
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_details=[1, 4], start_to_close_timeout=timedelta(hours=1))
    environment.on_heartbeat = lambda *details: noted.append(details)
    noted: list[tuple[int, ...]] = []
    with pytest.raises(ApplicationError, match="sink 'audit' takes its time: it has 3, and the rest follows") as caught:
        await environment.run(deliver_activity({"audit": takes_its_time}), (await some_batch()).raw())
    assert calls == [[2, 3]]
    assert noted == [(1, 2), (3, 0)]
    assert caught.value.next_retry_delay == timedelta(milliseconds=1)


async def test_the_last_attempt_that_a_task_waits_for_does_not_outlast_its_patience() -> None:
    """What is left is sent by another workflow then, and nobody shall send it twice at a time."""

    async def never_answers(events: Sequence[TaskEvent]) -> None:
        await asyncio.Event().wait()

    environment = ActivityEnvironment()
    hour, info = timedelta(hours=1), environment.info
    environment.info = replace(
        info,
        start_to_close_timeout=hour,
        schedule_to_close_timeout=hour,
        scheduled_time=info.started_time - hour + timedelta(milliseconds=100),
    )
    with pytest.raises(ApplicationError, match="it did not take 6 events in time"):
        await environment.run(deliver_activity({"audit": never_answers}), (await some_batch()).raw())


async def test_a_sink_that_is_down_holds_few_places_of_a_worker_until_it_is_up() -> None:
    outlet, over = Outlet("audit", lambda events: None), asyncio.Event()

    async def attempt(error: Exception | None) -> None:
        async with outlet.open():
            await over.wait()
            if error is not None:
                raise error

    well = [asyncio.ensure_future(attempt(None)) for _ in range(50)]
    bad = asyncio.ensure_future(attempt(ConnectionError("down")))
    await asyncio.sleep(0)
    over.set()
    with pytest.raises(ConnectionError):
        await asyncio.gather(*well, bad)
    over.clear()
    probes = [asyncio.ensure_future(attempt(None)) for _ in range(PROBES)]
    await asyncio.sleep(0)
    with pytest.raises(ApplicationError, match="sink 'audit' was down a moment ago") as caught:
        await attempt(None)
    assert caught.value.next_retry_delay
    over.set()
    await asyncio.gather(*probes)
    await asyncio.gather(*(attempt(None) for _ in range(50)))
