"""The library beside what is the user's own: workflows, activities, interceptors. All of it stays."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from temporalio import workflow
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Replayer,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from temporalio.worker import Interceptor as WorkerInterceptor

from tasker_temporal import (
    TaskerPlugin,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.server.conftest import Connect, histories, replayed, worker
from tests.shell.theirs import Theirs, bakery, greet, thread_of

# Their workflows and activities.


async def test_their_workflows_and_activities_run_beside_ours_as_they_did(client: Connect) -> None:
    connected = await client(bakery)
    theirs: dict[str, Any] = {"workflows": [Theirs], "activities": [greet, thread_of]}
    with ThreadPoolExecutor(5, thread_name_prefix="theirs") as executor:
        async with worker(connected, **theirs, activity_executor=executor) as running:
            task = await start_task(connected, bakery, "ann", task_queue=running.task_queue)
            own = await connected.start_workflow(Theirs.run, "bob", id=f"own-{task.id}", task_queue=running.task_queue)
            greeting, thread, is_sandboxed = await own.result()
            report = await task.result()
    assert greeting == "hello bob"
    assert thread.startswith("theirs")
    assert is_sandboxed
    assert report.counts == {"total": 2, "complete": 2}
    await replayed(task, bakery)


async def test_the_plugin_on_the_client_is_all_that_worker_and_replayer_need(server: DevServer) -> None:
    plain = await server.client(plugins=[TaskerPlugin(bakery)])
    async with Worker(plain, task_queue="beside.plain"):
        task = await start_task(plain, bakery, "ann", task_queue="beside.plain")
        await task.result()
    assert await task.result_of("bake") == "bread of dough for ann"
    replayer = Replayer(workflows=[], plugins=[TaskerPlugin(bakery)])
    [history] = await histories(task)
    assert (await replayer.replay_workflow(history)).replay_failure is None


# Their interceptors.


class Watching(ClientInterceptor, WorkerInterceptor):
    """One interceptor of theirs, for client and worker, that notes what passes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _WatchingClient(next, self)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _WatchingActivity(next, self)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        seen = self.seen

        class WatchingWorkflow(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                seen.append(("run", workflow.info().workflow_type))
                return await super().execute_workflow(input)

        return WatchingWorkflow


class _WatchingClient(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, watching: Watching) -> None:
        super().__init__(next)
        self._watching = watching

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        self._watching.seen.append(("start", input.workflow))
        return await super().start_workflow(input)


class _WatchingActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, watching: Watching) -> None:
        super().__init__(next)
        self._watching = watching

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        self._watching.seen.append(("activity", input.fn.__name__))
        return await super().execute_activity(input)


async def test_their_interceptors_see_every_call(client: Connect) -> None:
    watching = Watching()
    connected = await client(bakery, interceptors=[watching])
    async with worker(connected) as running:
        task = await start_task(connected, bakery, "ann", task_queue=running.task_queue)
        await task.result()
    kinds = [kind for kind, _ in watching.seen]
    assert kinds == ["start", "run", "activity", "activity"]
    assert watching.seen[:2] == [("start", "beside.bakery"), ("run", "beside.bakery")]
