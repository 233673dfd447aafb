"""The two stages on which a case is played: memory, and a server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from tasker_temporal import Row, State, TaskHandle, TaskReport, TaskTemplate, start_task
from tasker_temporal.core.requests import Ask, CancelTask, SendEvent
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused, TaskEnded
from tasker_temporal.testing import feed_again, run_task
from tasker_temporal.testing.run import BEGIN
from tests.conformance.case import Asked, Case, Seen
from tests.conformance.plays import PLAYS, Play
from tests.conformance.watch import watching
from tests.patience import PATIENCE
from tests.server.conftest import replayed


async def in_memory(case: Case) -> Seen:
    """Played in memory, and what the engine was fed gave the same audit a second time."""
    requests = [(asked.after, asked.request) for asked in case.asked if asked.request is not None]
    asked: Any = {"actor": case.actor} if case.actor is not None else {}
    script = case.script(BEGIN)
    run = await run_task(case.template, case.context, script, requests=requests, refusals="keep", **asked)
    expected = [asked.refused for asked in case.asked if asked.refused]
    assert len(run.refusals) == len(expected)
    assert all(rule in error.rule for rule, error in zip(expected, run.refusals, strict=True))
    fresh = Task(run.task.id, case.template.compiled, run.task.context, run.task.key)
    assert plain(feed_again(fresh, run.messages)) == plain(run.audit)
    results = {step: run.result_of(step) for step in case.results}
    return Seen(report=run.report, audit=run.audit, results=results, begin=BEGIN, on_server=False)


def plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """All of the rows, their digests included."""
    return [row.plain() for row in rows]


async def audited(handle: TaskHandle, template: TaskTemplate[Any]) -> tuple[list[Row], int]:
    """The audit of a task that ran on the server, and the number of its runs.

    Each run can be replayed, and what its engine was fed gives the same audit in memory, where the first run begins
    with the template as it is declared, not as it came over the wire.
    """
    audit = await handle.audit()
    with watching(handle.id) as engines:
        await replayed(handle, template)
    first = engines[0]
    first.beginning = Task(handle.id, template.compiled, first.beginning.context, first.beginning.key)
    again = [row for engine in engines for row in feed_again(engine.beginning, engine.fed)]
    assert plain(again) == plain(audit)
    return audit, len(engines)


class Scene(NamedTuple):
    """One case on the server, while it is played."""

    case: Case
    client: Client
    handle: TaskHandle
    play: Play

    async def until(self, step: str, state: State) -> None:
        """Wait until the step is in the state."""
        async for _ in self._events():
            if (await self.handle.report()).steps[step].state is state:
                return

    async def until_noted(self, event: str) -> None:
        """Wait until the audit has a row of that event."""
        async for _ in self._events():
            if event in [row.event for row in await self.handle.audit()]:
                return

    async def _events(self) -> AsyncIterator[HistoryEvent]:
        """What happened, and what happens from here on, over all runs."""
        while True:
            async for event in self.handle.workflow.fetch_history_events(wait_new_event=True):
                yield event

    async def ask(self) -> None:
        """Make the case's requests, each as soon as it is time."""
        for asked in self.case.asked:
            await self.until(*asked.when)
            await self._ask(asked)
        self.play.release()

    async def _ask(self, asked: Asked) -> None:
        match asked.request:
            case CancelTask() if asked.natively:
                await self.handle.workflow.cancel(reason=asked.request.reason)
            case SendEvent(name=name, payload=payload, id=id):
                await self.handle.send_event(name, payload, id=id)
            case Ask():
                said = {name: value for name, value in asked.request if name != "request"}
                request = getattr(self.handle, asked.request.model_dump()["request"])
                if not asked.refused:
                    await request(**said)
                    return
                with pytest.raises(RequestRefused) as error:
                    await request(**said)
                assert asked.refused in error.value.rule

    async def ended(self) -> TaskReport:
        try:
            return await self.handle.result()
        except TaskEnded as error:
            report: TaskReport = error.report
            return report


@asynccontextmanager
async def scene(case: Case, client: Client, queue: str, begin: datetime) -> AsyncIterator[Scene]:
    task_id = f"{case.name}-{uuid.uuid4()}"
    PLAYS[task_id] = play = Play(case.script(begin))
    try:
        starter: Any = {"actor": case.actor} if case.actor is not None else {}
        handle = await start_task(client, case.template, case.context, id=task_id, task_queue=queue, **starter)
        yield Scene(case, client, handle, play)
    finally:
        play.end()


async def on_server(case: Case, client: Client, queue: str) -> Seen:
    """Played on the server."""
    begin = datetime.now(UTC)
    async with asyncio.timeout(PATIENCE), scene(case, client, queue, begin) as played:
        if case.scene is None:
            await played.ask()
        else:
            await case.scene(played)
        report = await played.ended()
        results = {step: await played.handle.result_of(step) for step in case.results}
    audit, runs = await audited(played.handle, case.template)
    return Seen(report=report, audit=audit, results=results, begin=begin, on_server=True, runs=runs)
