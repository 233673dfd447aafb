"""The fixture that users take over."""

from __future__ import annotations

from temporalio.worker import Worker

from tasker_temporal import State, TaskerPlugin, TaskTemplate, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.testing.fixtures import temporal_server

__all__ = ["temporal_server"]

greeting = TaskTemplate("greeting", context=str, task_queue="greetings")


@greeting.step
async def greet(name: str) -> str:
    return f"hello {name}"


async def test_a_task_runs_on_the_server_of_the_session(temporal_server: DevServer) -> None:  # the fixture
    client = await temporal_server.client(plugins=[TaskerPlugin(greeting)])
    async with Worker(client, task_queue="greetings"):
        task = await start_task(client, greeting, "ann")
        assert (await task.result()).state is State.COMPLETE
        assert await task.result_of(greet) == "hello ann"
