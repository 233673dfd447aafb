"""A sink that lost what it had is sent it again, from a number on, numbered as ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasker_temporal import start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import UnknownSink, UnknownTask
from tasker_temporal.sinks import Sink, resend
from tests.cli.kit import tasker
from tests.server.conftest import worker
from tests.sinks.kit import Kept, connect
from tests.sinks.test_delivery import small


@pytest.mark.parametrize("start", [1, 4, 99])
async def test_events_are_sent_again_as_they_were(server: DevServer, start: int) -> None:
    kept = Kept()
    template = small(Sink(name="steps", events=("step.*",)), Sink(name="other"))
    connected = await connect(server, template, steps=kept, other=Kept())
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
        before = list(kept.events)
        count, sending = await resend(connected, task.id, "steps", start=start)
        await sending.result()
    assert kept.events[len(before) :] == before[start - 1 :]
    assert count == len(before[start - 1 :])


async def test_the_command_does_it_too(server: DevServer, tmp_path: Path) -> None:
    kept, template = Kept(), small(Sink(name="all"))
    connected = await connect(server, template, all=kept)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
        before = list(kept.events)
        command = ("resend", task.id, "--sink", "all", "--from", "3", "--json")
        ended = await tasker(*command, folder=tmp_path, TEMPORAL_ADDRESS=server.target)
        told = json.loads(ended.out)
        await connected.get_workflow_handle(told["workflow_id"]).result()
    assert (told["task_id"], told["sink"], told["events"]) == (task.id, "all", len(before) - 2)
    assert kept.events[len(before) :] == before[2:]
    unknown = await tasker("resend", task.id, "--sink", "none", folder=tmp_path, TEMPORAL_ADDRESS=server.target)
    assert (unknown.code, unknown.err) == (2, f"Error: task {task.id!r} has no sink 'none'; it has: all\n")


async def test_a_task_or_a_sink_that_is_not_there_is_an_error(server: DevServer) -> None:
    template = small()
    connected = await connect(server, template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await task.result()
    with pytest.raises(UnknownSink, match="has no sink 'all'; it has: none"):
        await resend(connected, task.id, "all")
    with pytest.raises(UnknownTask):
        await resend(connected, "no-such-task", "all")
