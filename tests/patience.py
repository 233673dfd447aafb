"""How long a test waits for what must come, and how: it looks again and again at the thing itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from tasker_temporal import RequestRefused, Row, State, TaskHandle

PATIENCE: Final = 240.0
"""Seconds: far longer than it takes, on however slow a machine. Less than a test may take in all (`timeout` of pytest),
so that what did not come is named."""

Found = TypeVar("Found")


async def until(look: Callable[[], Awaitable[Found | None]]) -> Found:
    """Look until something is found, neither None, false nor empty, and return it."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await look()):
            await asyncio.sleep(0.02)
        return found


async def until_state(task: TaskHandle, state: str) -> None:
    """Wait until the task is in that state, which may be one of its type's own."""

    async def there() -> bool:
        return (await task.report()).state == state

    await until(there)


async def until_step(task: TaskHandle, step: str, state: State, execution: int = 1) -> None:
    """Wait until the step is in that state, in that execution or a later one.

    A task that was started by its template's name alone has no steps before a worker has supplied them.
    """

    async def there() -> bool:
        found = (await task.report()).steps.get(step)
        return found is not None and found.state is state and found.execution >= execution

    await until(there)


async def until_row(task: TaskHandle, event: str | None = None, **said: str) -> Row:
    """The first row of that event, or that says so otherwise (`reason="too late"`), as soon as it is there."""
    wanted = {**said, "event": event} if event is not None else said

    async def there() -> Row | None:
        for row in await task.audit():
            if all(getattr(row, name) == value for name, value in wanted.items()):
                return row
        return None

    return await until(there)


async def until_waiting(task: TaskHandle, kind: str) -> None:
    """Wait until the task waits for something of that kind, as `approval`."""

    async def there() -> bool:
        return kind in [line["kind"] for line in await task.waiting()]

    await until(there)


async def until_legal(task: TaskHandle, request: Mapping[str, Any]) -> None:
    """Wait until the request would be taken."""

    async def there() -> bool:
        with suppress(RequestRefused):
            await task.plan(request)
            return True
        return False

    await until(there)


async def until_history(task: TaskHandle, kind: str, count: int = 1) -> HistoryEvent:
    """Wait for event number `count` of that kind, as `TIMER_STARTED`, in the history of the task's run."""
    wanted = EventType.Value(f"EVENT_TYPE_{kind}")
    async with asyncio.timeout(PATIENCE):
        async for event in task.workflow.fetch_history_events(wait_new_event=True):
            count -= event.event_type == wanted
            if not count:
                return event
    raise AssertionError(f"the run of task {task.id!r} ended without {kind}")


async def until_visible(client: Client, query: str, count: int = 1) -> None:
    """Wait until visibility, which follows what happened a little later, knows of so many."""

    async def there() -> bool:
        return (await client.count_workflows(query)).count >= count

    await until(there)
