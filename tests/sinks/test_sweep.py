"""Tasks that were terminated or timed out: a sweeper tells their sinks all that they wrote, and their end, once."""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import RawValue, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ExecuteWorkflowInput, WorkflowInboundInterceptor, WorkflowInterceptorClassInput
from temporalio.worker import Interceptor as WorkerInterceptor

from tasker_temporal import Limits, TaskerPlugin, TaskHandle, TaskTemplate, result_of, start_task
from tasker_temporal.core import outbox
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import TaskLost
from tasker_temporal.payloads import raw, read_raw
from tasker_temporal.sinks import EndedOutside, Sink, SinkHandler, TaskEvent, resend
from tasker_temporal.sinks.ends import ABORTED, TERMINATED, TIMED_OUT
from tasker_temporal.sinks.sweep import SWEEP, sweep_activity
from tests.cli.kit import tasker
from tests.patience import until_history, until_visible, until_waiting
from tests.server.conftest import worker
from tests.shell.kit import Gate
from tests.sinks.kit import Kept, connect, once, rows_in


class Stuck:
    """A template whose tasks wait for ever, and what their sinks get."""

    def __init__(self, server: DevServer, *sinks: Sink, **handlers: SinkHandler) -> None:
        self.gate, self.server, self.handlers = Gate(), server, handlers
        self.template = TaskTemplate[object](f"sinks.stuck_{uuid.uuid4().hex}", sinks=sinks)
        first = self.template.add_step("first", nothing)
        self.template.add_step("waits", self.gate.passage, after=[first])

    async def client(self, **options: Any) -> Client:
        return await self.server.client(plugins=[TaskerPlugin(self.template, sinks=self.handlers)], **options)

    async def begun(self, client: Client, queue: str) -> TaskHandle:
        """A task that waits now."""
        task = await start_task(client, self.template, None, task_queue=queue)
        await self.gate.reached.wait()
        return task


async def nothing() -> None: ...


async def swept(client: Client, queue: str) -> dict[str, Any]:
    """One sweep, when visibility knows of every end."""
    while True:
        id = f"sweep-{uuid.uuid4()}"
        answer = await client.execute_workflow(SWEEP, id=id, task_queue=queue, result_type=RawValue)
        found: dict[str, Any] = read_raw(answer)
        if found["told"] or found["unread"]:
            return found


def the_end(events: Sequence[TaskEvent]) -> EndedOutside:
    ends = [event.data for event in events if isinstance(event.data, EndedOutside)]
    assert len(ends) == 1, "an end is told once"
    assert events[-1].data == ends[0], "nothing comes after it"
    return ends[0]


async def test_a_terminated_task_is_told_of_once_with_every_row_that_it_wrote(server: DevServer) -> None:
    kept, some = Kept(), Kept()
    stuck = Stuck(server, Sink(name="all"), Sink(name="ends", events=("task.terminated",)), all=kept, ends=some)
    client = await stuck.client(identity="the operator")
    async with worker(client) as running:
        task = await stuck.begun(client, running.task_queue)
        rows = await task.audit()
        await task.workflow.terminate(reason="out of patience")
        assert (await swept(client, running.task_queue))["told"] == [task.id]
        await asyncio.gather(kept.until(TERMINATED), some.until(TERMINATED))
        again = await client.execute_workflow(
            SWEEP, id=f"again-{uuid.uuid4()}", task_queue=running.task_queue, result_type=RawValue
        )
        assert (read_raw(again)["told"], read_raw(again)["unread"]) == ([], [])
        before = list(kept.events)
        count, sending = await resend(client, task.id, "all", start=3)
        await sending.result()
        assert (kept.events[len(before) :], count) == (before[2:], len(before) - 2)
        count, sending = await resend(client, task.id, "all", start=len(before) + 1)
        await sending.result()
        assert (len(kept.events), count) == (2 * len(before) - 2, 0)
        del kept.events[len(before) :]
    assert rows_in(kept.events) == rows
    end = the_end(kept.events)
    assert (end.actor, end.reason) == ("the operator", "out of patience")
    assert kept.events[-1].number == len(rows) + 1
    assert [(event.type, event.number) for event in once(some.events)] == [(TERMINATED, 1)]


async def test_what_a_sink_had_acknowledged_is_not_sent_again(server: DevServer) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all", batch=6, within=None), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        task = await start_task(client, stuck.template, None, task_queue=running.task_queue)
        await until_history(task, "ACTIVITY_TASK_COMPLETED", 2)
        await until_history(task, "WORKFLOW_TASK_COMPLETED", 3)
        assert kept.batches == [6]
        rows = await task.audit()
        await task.workflow.terminate()
        await swept(client, running.task_queue)
        await kept.until(TERMINATED)
    assert rows_in(kept.events) == rows
    assert len(once(kept.events)) == len(kept.events) == len(rows) + 1


async def test_rows_too_many_for_an_input_are_found_by_replay(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        task = await stuck.begun(client, running.task_queue)
        rows = await task.audit()
        await task.workflow.terminate()
        monkeypatch.setattr(outbox, "CARRIED_BYTES", 1)
        await swept(client, running.task_queue)
        await kept.until(TERMINATED)
    assert rows_in(kept.events) == rows
    the_end(kept.events)


class Brief(Interceptor):
    """Tasks whose runs may take no longer than this."""

    def __init__(self, timeout: timedelta) -> None:
        self.timeout = timeout

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        timeout = self.timeout

        class Start(OutboundInterceptor):
            async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
                if input.workflow.startswith("sinks."):
                    input.run_timeout = timeout
                return await super().start_workflow(input)

        return Start(next)


async def test_a_task_that_timed_out_is_told_of_too(server: DevServer) -> None:
    """It waits for an approval, so nothing but its run can time out."""
    kept = Kept()
    template = TaskTemplate[object](f"sinks.stuck_{uuid.uuid4().hex}", sinks=[Sink(name="all")])
    template.approval("sign", approvers=["bob"])
    plugin = TaskerPlugin(template, sinks={"all": kept})
    client = await server.client(plugins=[plugin], interceptors=[Brief(timedelta(seconds=2))])
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        await swept(client, running.task_queue)
        await kept.until(TIMED_OUT)
    assert the_end(kept.events).actor == "temporal"
    assert kept.events[-1].task_id == task.id


NO_JSON = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"\xff{"))

LATER = {"template_name": "sinks.later", "version": "9.0.0", "digest": "of a later release", "template": "eJw="}


@pytest.mark.parametrize(
    "arguments",
    [None, [], ["a context"], ["a context", NO_JSON], ["a context", LATER]],
    ids=["by the client", "bare", "from the UI", "oddly", "by a later release"],
)
async def test_a_task_that_no_worker_ever_took_is_told_of_too(server: DevServer, arguments: list[Any] | None) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client, queue, id = await stuck.client(), f"later-{uuid.uuid4()}", f"untaken-{uuid.uuid4()}"
    if arguments is not None:
        await client.start_workflow(stuck.template.name, args=arguments, id=id, task_queue=queue)
    else:
        await start_task(client, stuck.template, {"customer": "ann"}, id=id, task_queue=queue)
    await TaskHandle(client, id).workflow.terminate(reason="never mind")
    async with worker(client, task_queue=queue):
        await swept(client, queue)
        await kept.until(TERMINATED)
    assert [event.number for event in kept.events] == [1]


async def test_a_reset_is_no_end(server: DevServer) -> None:
    """It terminates a run, but the task goes on in another."""
    from temporalio.api.common.v1 import WorkflowExecution
    from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        task = await stuck.begun(client, running.task_queue)
        run_id = (await task.workflow.describe()).run_id
        await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=task.id, run_id=run_id),
                reason="once more",
                request_id=str(uuid.uuid4()),
                workflow_task_finish_event_id=4,
            )
        )
        await until_visible(client, f"RunId = '{run_id}' AND ExecutionStatus = 'Terminated'")
        answer = await client.execute_workflow(
            SWEEP, id=f"sweep-{uuid.uuid4()}", task_queue=running.task_queue, result_type=RawValue
        )
        assert read_raw(answer)["told"] == []
        stuck.gate.open()
        await task.result()
    assert kept.events[-1].type == "task.completed"


# Runs that failed, and could write no row of it.


async def test_a_task_that_grew_too_large_to_go_on_is_told_of(server: DevServer) -> None:
    """It fitted into a new run when it began to drain. Then came two results that the last step still waits for."""
    kept, gate = Kept(), Gate()
    sinks, limits = [Sink(name="all", batch=1)], Limits(drain_events=20)
    template = TaskTemplate[object](f"sinks.stuck_{uuid.uuid4().hex}", sinks=sinks, limits=limits)

    @template.step
    async def large() -> str:
        await gate.passage()
        return random_text(1_200_000)

    @template.step
    async def larger() -> str:
        await gate.passage()
        return random_text(1_200_000)

    @template.step
    async def both(one: str = result_of(large), other: str = result_of(larger)) -> None: ...

    before = template.add_step("small0", nothing)
    for number in range(1, 6):
        before = template.add_step(f"small{number}", nothing, after=[before])
    client = await connect(server, template, all=kept)
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        await kept.until("workflow.drain_requested")
        gate.open()
        with pytest.raises(TaskLost, match="too large to be handed to a new run"):
            await task.result()
        rows = await task.audit()
        assert (await swept(client, running.task_queue))["told"] == [task.id]
        await kept.until(ABORTED)
    end = the_end(kept.events)
    assert (end.actor, end.reason) == ("tasker", "what its steps still wait for is too large to be handed to a new run")
    assert rows_in(kept.events) == rows
    assert kept.events[-1].number == len(rows) + 1


def random_text(size: int) -> str:
    """What a packer cannot make smaller."""
    return base64.b64encode(os.urandom(size * 3 // 4)).decode()


async def test_a_run_that_was_started_with_what_is_not_the_librarys_is_told_of(server: DevServer) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        run = await client.start_workflow(
            stuck.template.name,
            args=["a context", "4111"],
            id=f"odd-{uuid.uuid4()}",
            task_queue=running.task_queue,
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await run.result()
        assert "is the library's own, and this is none: it is of type str: expected" in str(caught.value.cause)
        assert "4111" not in str(caught.value.cause)
        await swept(client, running.task_queue)
        await kept.until(ABORTED)
    [event] = kept.events
    assert (event.number, event.task_id) == (1, run.id)
    assert the_end(kept.events).reason == "it was started with arguments that are not the library's"
    assert "4111" not in event.json_bytes().decode()


class Meddling(WorkerInterceptor):
    """Somebody's own interceptor: runs order what the library's replayer does not know of, and may then fail."""

    def __init__(self, *, fails: bool) -> None:
        self.fails = fails

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        fails = self.fails

        class Inbound(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                if workflow.info().workflow_type.startswith("sinks."):
                    await workflow.sleep(0.01)
                    if fails:
                        raise ApplicationError("of 4111", type="Boom", non_retryable=True)
                return await super().execute_workflow(input)

        return Inbound


async def test_a_run_that_failed_outside_of_its_task_is_told_of_by_the_failures_type(server: DevServer) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client, interceptors=[Meddling(fails=True)]) as running:
        task = await start_task(client, stuck.template, None, task_queue=running.task_queue)
        with pytest.raises(TaskLost):
            await task.result()
        await swept(client, running.task_queue)
        await kept.until(ABORTED)
    assert (the_end(kept.events).reason, kept.events[0].number) == ("the run failed: Boom", 1)


@pytest.mark.parametrize("bare", [False, True], ids=["by the client", "bare"])
async def test_of_a_history_that_does_not_replay_is_told_what_was_sent_and_then_the_end(
    server: DevServer, bare: bool
) -> None:
    """Numbers go on behind what was sent, so that no consumer takes the end for a duplicate."""
    refuses = asyncio.Event()

    def trouble(events: Sequence[TaskEvent]) -> None:
        if refuses.is_set() and events[-1].type != TERMINATED and not task_over.is_set():
            raise ConnectionError("nobody is there")
        if events[-1].type == "task.start_requested":
            refuses.set()

    task_over, kept = asyncio.Event(), Kept(trouble)
    stuck = Stuck(server, Sink(name="all", batch=2, within=None), all=kept)
    client = await stuck.client()
    async with worker(client, interceptors=[Meddling(fails=False)]) as running:
        if bare:
            id = f"bare-{uuid.uuid4()}"
            await client.start_workflow(stuck.template.name, "a context", id=id, task_queue=running.task_queue)
            task = TaskHandle(client, id)
        else:
            task = await stuck.begun(client, running.task_queue)
        await refuses.wait()
        await until_waiting(task, "sink")
        rows = await task.audit()
        await task.workflow.terminate()
        task_over.set()
        await swept(client, running.task_queue)
        await kept.until(TERMINATED)
    told = rows_in(kept.events)
    assert told == rows[: len(told)]
    the_end(once(kept.events))
    assert len(told) >= 4, "also the batch that was on its way"


async def test_a_later_task_of_the_same_id_is_another_one(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        task = await start_task(
            client, stuck.template, "first", id=f"same-{uuid.uuid4()}", task_queue=running.task_queue
        )
        await stuck.gate.reached.wait()
        rows = await task.audit()
        await task.workflow.terminate()
        stuck.gate.open()
        later = await start_task(
            client,
            stuck.template,
            "second",
            id=task.id,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            task_queue=running.task_queue,
        )
        await later.result()
        monkeypatch.setattr(outbox, "CARRIED_BYTES", 1)
        assert (await swept(client, running.task_queue))["told"] == [task.id]
        await kept.until(TERMINATED)
    first = [event for event in kept.events if event.contextdigest == kept.events[-1].contextdigest]
    assert rows_in(first) == rows
    the_end(first)


async def test_a_sweep_looks_at_no_run_that_the_one_before_it_has_seen(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        task = await stuck.begun(client, running.task_queue)
        await task.workflow.terminate()
        found = await swept(client, running.task_queue)
        run_id = (await task.workflow.describe()).run_id
        assert found["seen"] == [run_id]
        monkeypatch.delattr("tasker_temporal.sinks.untold.end_of_run")
        sweep, environment = sweep_activity({stuck.template.name: stuck.template}), ActivityEnvironment(client=client)
        again = read_raw(await environment.run(sweep, raw(found)))
    assert (again["told"], again["unread"], again["seen"]) == ([], [], [run_id])


async def test_the_sweeper_is_a_schedule_that_the_command_makes(server: DevServer, tmp_path: Path) -> None:
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    schedule = f"sweeper-{uuid.uuid4()}"
    async with worker(client) as running:
        command = ("schedule", "sweeper", "--task-queue", running.task_queue, "--id", schedule, "--every", "1s")
        made = await tasker(*command, folder=tmp_path, TEMPORAL_ADDRESS=server.target)
        assert (made.code, made.out) == (0, f"Schedule {schedule} tells sinks of tasks that were ended from outside.\n")
        twice = await tasker(*command, folder=tmp_path, TEMPORAL_ADDRESS=server.target)
        assert (twice.code, "already" in twice.err) == (2, True)
        task = await stuck.begun(client, running.task_queue)
        await task.workflow.terminate()
        await kept.until(TERMINATED)
        await client.get_schedule_handle(schedule).delete()
    the_end(kept.events)


# Sweeps that come one after the other.


async def sweep(client: Client, before: dict[str, Any], *templates: TaskTemplate[object]) -> dict[str, Any]:
    """One sweep by a worker that has these templates, after the one that answered `before`."""
    activity = sweep_activity({template.name: template for template in templates})
    found: dict[str, Any] = read_raw(await ActivityEnvironment(client=client).run(activity, raw(before)))
    return found


LONG_AGO = {"until": "2100-01-01T00:00:00+00:00"}
"""After a sweep that looked at everything there is now: what stands in the list is not found once more."""


async def terminated(client: Client, stuck: Stuck, queue: str) -> TaskHandle:
    """Visibility knows of it."""
    task = await start_task(client, stuck.template, None, task_queue=queue)
    await stuck.gate.reached.wait()
    await task.workflow.terminate()
    while not [run async for run in client.list_workflows(f"WorkflowId = '{task.id}' AND CloseTime IS NOT NULL")]:
        pass
    return task


async def test_an_end_that_could_not_be_told_is_told_by_a_later_sweep(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago the task was ended: the server may have been out of reach for long."""

    async def out_of_reach(*_: Any) -> None:
        raise RPCError("try later", RPCStatusCode.UNAVAILABLE, b"")

    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        task = await terminated(client, stuck, running.task_queue)
        with monkeypatch.context() as patched:
            patched.setattr("tasker_temporal.sinks.untold.closing_of", out_of_reach)
            first = await sweep(client, {}, stuck.template)
        assert (first["told"], first["unread"], first["seen"]) == ([], [task.id], [])
        by_another = await sweep(client, first | {"looked": {stuck.template.name: LONG_AGO["until"]}})
        assert by_another["unread"] == [task.id], "this worker does not have the template"
        last = await sweep(client, by_another, stuck.template)
        assert (last["told"], last["unread"]) == ([task.id], [])
        await kept.until(TERMINATED)
    the_end(kept.events)


async def test_what_the_server_keeps_no_more_is_not_tried_for_ever(server: DevServer) -> None:
    stuck = Stuck(server)
    lost = ("gone", str(uuid.uuid4()), stuck.template.name)
    assert (await sweep(await stuck.client(), LONG_AGO | {"again": [lost]}, stuck.template))["again"] == []


async def test_the_first_worker_that_has_a_template_looks_at_all_of_its_tasks(server: DevServer) -> None:
    """Sweeps by workers that did not have it looked for other templates."""
    kept = Kept()
    stuck = Stuck(server, Sink(name="all"), all=kept)
    client = await stuck.client()
    async with worker(client) as running:
        task = await terminated(client, stuck, running.task_queue)
        others = LONG_AGO | {"looked": {"sinks.other": LONG_AGO["until"]}}
        found = await sweep(client, others, stuck.template)
        assert found["told"] == [task.id]
        assert found["looked"] == {"sinks.other": LONG_AGO["until"], stuck.template.name: found["until"]}
        earlier_release = await sweep(client, LONG_AGO, stuck.template)
        assert earlier_release["seen"] == []
        await kept.until(TERMINATED)


async def test_an_attempt_looks_at_no_run_that_the_one_before_it_has_seen(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(server)
    client = await stuck.client()
    async with worker(client) as running:
        task = await terminated(client, stuck, running.task_queue)
        run_id = (await task.workflow.describe()).run_id
    monkeypatch.delattr("tasker_temporal.sinks.untold.end_of_run")
    environment = ActivityEnvironment(client=client)
    environment.info = replace(environment.info, heartbeat_details=[[run_id]])
    activity = sweep_activity({stuck.template.name: stuck.template})
    found = read_raw(await environment.run(activity, raw({})))
    assert (found["unread"], found["seen"]) == ([], [run_id])
