"""kill -9 of the worker at every event boundary of a history: the task ends right, and pays no attempt for it."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from temporalio.client import Client

from tasker_temporal import start_task
from tasker_temporal.driver import LOST_WORKER_ATTEMPTS
from tests.chaos.kit import HastyTasks, ended_right, victim
from tests.chaos.victim import diamond, hasty
from tests.server.conftest import Connect
from tests.shell.kit import history

ABREAST = 4
"""So many are killed at a time: most of the time is spent waiting for timeouts."""


class Killed(NamedTuple):
    """What came of a task whose worker was killed once the history had `boundary` events."""

    boundary: int
    events: int
    """There were in fact, when the worker was dead."""
    runs: Counter[str]
    """Of each execution of a handler."""


async def kill_at(client: Client, boundary: int, folder: Path) -> Killed:
    queue, log = f"chaos-{uuid.uuid4()}", folder / f"{boundary}.log"
    async with victim("tests.chaos.victim", client, queue):
        task = await start_task(client, diamond, str(log), task_queue=queue)
        async for event in task.workflow.fetch_history_events(wait_new_event=True):
            if event.event_id >= boundary:
                break
    events = len(await history(task))
    async with hasty(client, queue):
        await ended_right(task)
    return Killed(boundary, events, Counter(log.read_text().split()))


async def undisturbed(client: Client, folder: Path) -> int:
    """How many events there are in the history of a task that nobody disturbs."""
    queue, log = f"chaos-{uuid.uuid4()}", folder / "undisturbed.log"
    async with hasty(client, queue):
        task = await start_task(client, diamond, str(log), task_queue=queue)
        await ended_right(task)
    assert Counter(log.read_text().split()) == {"top:1": 1, "left:1": 1, "right:1": 1, "right:2": 1, "bottom:1": 1}
    return len(await history(task))


async def kill_at_each(client: Client, boundaries: Iterable[int], folder: Path) -> list[Killed]:
    room = asyncio.Semaphore(ABREAST)

    async def one(boundary: int) -> Killed:
        async with room:
            return await kill_at(client, boundary, folder)

    return await asyncio.gather(*map(one, boundaries))


def assert_no_handler_ran_too_often(found: Iterable[Killed]) -> None:
    print(f"\n{'boundary':>8} {'events':>7}  runs of each execution")
    for killed in found:
        print(f"{killed.boundary:8} {killed.events:7}  {dict(sorted(killed.runs.items()))}")
        assert killed.runs.keys() == {"top:1", "left:1", "right:1", "right:2", "bottom:1"}
        assert max(killed.runs.values()) <= LOST_WORKER_ATTEMPTS
        again = sum(killed.runs.values()) - len(killed.runs)
        assert again <= 2, "only what ran at its death can run again: at most two steps run at a time"


@pytest.fixture
async def hasty_client(client: Connect) -> Client:
    return await client(diamond, interceptors=[HastyTasks()])


async def test_a_task_survives_the_death_of_its_worker(hasty_client: Client, tmp_path: Path) -> None:
    events = await undisturbed(hasty_client, tmp_path)
    assert_no_handler_ran_too_often(await kill_at_each(hasty_client, range(1, events, 5), tmp_path))


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_task_survives_the_death_of_its_worker_at_every_event(hasty_client: Client, tmp_path: Path) -> None:
    events = await undisturbed(hasty_client, tmp_path)
    assert_no_handler_ran_too_often(await kill_at_each(hasty_client, range(1, events + 1), tmp_path))
