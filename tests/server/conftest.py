"""One embedded server for the session, and what every test on it needs: clients, workers, the check at its end."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer, Worker

from tasker_temporal import TaskerPlugin, TaskHandle, TaskTemplate, door
from tasker_temporal.dev import DevServer
from tasker_temporal.reader import Reader
from tests.patience import PATIENCE

# The SDK's core writes its warnings past Python's logging; what is wrong shows in histories, which `replayed` looks at.
Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)), error_if_already_set=False)

door.PATIENCE = timedelta(seconds=PATIENCE)

DONE_AGAIN = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
)

SERVER = pytest.StashKey[DevServer]()

Connect = Callable[..., Coroutine[Any, Any, Client]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(request: pytest.FixtureRequest) -> AsyncIterator[DevServer]:
    """The session's server, also if another folder's conftest takes this fixture over."""
    stash = request.config.stash
    if SERVER in stash:
        yield stash[SERVER]
        return
    async with DevServer(ui_port=None) as started:
        stash[SERVER] = started
        yield started
        del stash[SERVER]


@pytest.fixture(scope="session")
def client(server: DevServer) -> Connect:
    """`await client(template, ...)` gives a client that has these templates."""

    async def connect(*templates: TaskTemplate[Any], **options: Any) -> Client:
        return await server.client(plugins=[TaskerPlugin(*templates)], **options)

    return connect


def worker(client: Client, **options: Any) -> Worker:
    """A worker on a queue of its own unless `task_queue` is given; it runs in `async with`."""
    return Worker(client, **{"task_queue": f"queue-{uuid.uuid4()}", **options})


async def histories(handle: TaskHandle) -> list[WorkflowHistory]:
    """The histories of the task's runs, oldest first."""
    runs = await Reader(handle.client, handle.id).runs()
    return [await handle.client.get_workflow_handle(handle.id, run_id=run).fetch_history() for run in runs]


async def replayed(handle: TaskHandle, *templates: TaskTemplate[Any]) -> None:
    """No workflow task of the task failed, and each of its runs can be replayed."""
    replayer = Replayer(workflows=[], plugins=[TaskerPlugin(*templates)])
    for history in await histories(handle):
        failed = failures(history)
        assert not failed, f"task {handle.id!r}: {failed}"
        await replayer.replay_workflow(history)


def failures(history: WorkflowHistory) -> list[HistoryEvent]:
    """The workflow tasks that failed by our doing.

    The server has one done again if something (a late outcome, a signal) arrives while the run asks for its end, or if
    more outcomes arrive during it than the server keeps. The history calls these failures "unhandled command" and
    "force close command".
    """
    failed = [e for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]
    return [e for e in failed if e.workflow_task_failed_event_attributes.cause not in DONE_AGAIN]
