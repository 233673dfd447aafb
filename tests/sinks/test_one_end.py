"""Each task has one last event, whenever its run is ended from outside while it hands its last rows to its sinks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHistory
from temporalio.common import WorkflowIDReusePolicy

from tasker_temporal import TaskHandle, TaskTemplate, start_task
from tasker_temporal.core import outbox
from tasker_temporal.core.machine import State
from tasker_temporal.core.rows import Row, genesis, verify
from tasker_temporal.dev import DevServer
from tasker_temporal.sinks import JsonLines, RowData, Sink, TaskEvent, resend
from tasker_temporal.sinks.archive import archived
from tasker_temporal.sinks.ends import TERMINATED
from tests.server.conftest import failures, histories, worker
from tests.shell.kit import Gate
from tests.sinks.kit import Kept, connect, once, rows_in
from tests.sinks.test_sweep import Meddling, nothing, swept

LONG = timedelta(hours=1)
MOMENT = timedelta(milliseconds=100)


RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


class Down(Kept):
    """A sink that is down until it is `alive`."""

    def __init__(self) -> None:
        super().__init__(self._refuse)
        self.alive = asyncio.Event()

    def _refuse(self, events: Sequence[TaskEvent]) -> None:
        if not self.alive.is_set():
            raise ConnectionError("nobody is there")


def small(*sinks: Sink) -> TaskTemplate[object]:
    template = TaskTemplate[object](f"sinks.ends_{uuid.uuid4().hex}", sinks=sinks)
    template.add_step("only", nothing)
    return template


def all_rows(kept: Kept) -> list[Row]:
    """As they came, whatever their numbers."""
    return [event.data.row for event in kept.events if isinstance(event.data, RowData)]


async def over(task: TaskHandle) -> list[Row]:
    """All its rows, as soon as it is over; its run may last."""
    while (await task.report()).state is not State.COMPLETE:
        pass
    return await task.audit()


@pytest.mark.parametrize("replays", [True, False], ids=["retold", "as it was sent"])
async def test_a_task_that_was_over_before_its_run_was_terminated_ends_once(server: DevServer, replays: bool) -> None:
    """The run was still waiting for a sink, so it could not close by itself."""
    down, well = Down(), Kept()
    template = small(Sink(name="down", grace=LONG), Sink(name="well"))
    client = await connect(server, template, down=down, well=well)
    async with worker(client, interceptors=[] if replays else [Meddling(fails=False)]) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        rows = await over(task)
        await well.until("task.completed")
        await task.workflow.terminate(reason="out of patience")
        down.alive.set()
        await swept(client, running.task_queue)
        await down.until("task.completed")
        if replays:
            count, sending = await resend(client, task.id, "well")
            await sending.result()
            assert count == len(rows)
    assert rows_in(down.events) == rows_in(well.events) == rows
    assert len(once(down.events)) == len(once(well.events)) == len(rows)


async def test_the_longest_id_that_a_task_can_have_keeps_no_end_back(server: DevServer) -> None:
    down, gate = Down(), Gate()
    template = small(Sink(name="down", grace=MOMENT))
    template.add_step("waits", gate.passage)
    client = await connect(server, template, down=down)
    async with worker(client) as running:
        started, ended = [
            await start_task(
                client, template, None, id=f"{uuid.uuid4()}".ljust(1000, "x"), task_queue=running.task_queue
            )
            for _ in range(2)
        ]
        await started.workflow.terminate()
        gate.open()
        await ended.result()
        down.alive.set()
        await swept(client, running.task_queue)
        await asyncio.gather(down.until(TERMINATED), down.until("task.completed"))
        assert rows_in([event for event in down.events if event.task_id == ended.id]) == await ended.audit()


async def reset(client: Client, task: TaskHandle, history: WorkflowHistory, which: int) -> str:
    """Let the task go on from before one of the workflow tasks of that run: the first, or the last."""
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    finished = [event.event_id for event in history.events if event.event_type == completed]
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=task.id, run_id=history.run_id),
            reason="once more",
            request_id=str(uuid.uuid4()),
            workflow_task_finish_event_id=finished[which],
        )
    )
    return answer.run_id


async def test_a_run_that_was_reset_after_it_handed_over_goes_on(server: DevServer) -> None:
    down = Down()
    template = small(Sink(name="down", grace=MOMENT))
    client = await connect(server, template, down=down)
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        await task.result()
        [history] = await histories(task)
        await reset(client, task, history, -1)
        await task.result()
        assert not [
            failed
            for failed in failures(await task.workflow.fetch_history())
            if failed.workflow_task_failed_event_attributes.cause != RESET
        ]
        down.alive.set()
        await down.until("task.completed")
        assert rows_in(down.events) == await task.audit()


async def test_a_run_that_was_reset_hands_over_what_it_wrote_anew(server: DevServer) -> None:
    """The run before it had written other rows of the same numbers, and they are still being sent."""
    down = Down()
    template = small(Sink(name="down", grace=MOMENT))
    client = await connect(server, template, down=down)
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        await task.result()
        [history] = await histories(task)
        await reset(client, task, history, 0)
        await task.result()
        rows = await task.audit()
        down.alive.set()
        await down.until_so(lambda: rows[-1] in all_rows(down))
    assert [row for row in all_rows(down) if row in rows] == rows


async def test_of_a_task_that_was_reset_the_archive_has_the_rows_that_the_last_one_is_chained_to(
    server: DevServer, tmp_path: Path
) -> None:
    """The run before the reset had come further, so of its rows some have numbers that nobody has overwritten."""
    gate, file = Gate(), JsonLines(tmp_path / "audit.jsonl")
    template = TaskTemplate[object](f"sinks.ends_{uuid.uuid4().hex}", sinks=[Sink(name="all")])
    template.add_step("waits", gate.passage, after=[template.add_step("first", nothing)])
    client = await connect(server, template, all=file)
    async with worker(client) as running:
        task = await start_task(client, template, None, task_queue=running.task_queue)
        gate.open()
        await task.result()
        [history] = await histories(task)
        gate.opened.clear()
        gate.reached.clear()
        await reset(client, task, history, 0)
        await gate.reached.wait()
        rows = await task.audit()
        await task.workflow.terminate(reason="once was enough")
        await swept(client, running.task_queue)
        kept = await archived(str(file.file), task.id)
        while kept.ended is None:
            kept = await archived(str(file.file), task.id)
    assert len(await file.events(task.id)) > len(rows) + 1
    assert (kept.rows, kept.ended.reason) == (rows, "once was enough")
    verify(kept.rows, genesis(task.id, kept.template_digest, kept.context_digest), after=0)


async def test_rows_too_many_for_an_input_are_those_of_the_task_and_not_of_a_later_one_of_its_id(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "CARRIED_BYTES", 1)
    down = Down()
    template = small(Sink(name="down", grace=MOMENT))
    client = await connect(server, template, down=down)
    audits = []
    async with worker(client) as running:
        id = f"same-{uuid.uuid4()}"
        for context in ("the first", "the second"):
            task = await start_task(
                client,
                template,
                context,
                id=id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                task_queue=running.task_queue,
            )
            await task.result()
            audits.append(await task.audit())
        down.alive.set()
        await down.until("task.completed", 2)
    told = [
        rows_in([event for event in down.events if event.contextdigest == digest])
        for digest in {event.contextdigest for event in down.events}
    ]
    assert sorted(told) == sorted(audits)
