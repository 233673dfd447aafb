"""What a run left that was ended from outside: its task as it last stood, found by replaying the run's history.

A terminated run wrote no record. But the same messages lead to the same rows, so a replay finds every row that it had
written, and what its sinks had acknowledged of them.
"""

from __future__ import annotations

import secrets
from typing import Any

from temporalio import workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.common import RawValue
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Template
from tasker_temporal.errors import RecordError
from tasker_temporal.life import begun
from tasker_temporal.local_activities import KEY_BYTES
from tasker_temporal.wire import NOTHING, StartInput, content_of, read_raw
from tasker_temporal.workflow import TaskWorkflow, workflow_class


async def task_of(client: Client, history: WorkflowHistory, name: str, template: Template | None = None) -> Task:
    """The task as it stood when its run was ended.

    Args:
        name: Of its template.
        template: Which it would have had, if it was started without one and no worker ever took it.

    Raises:
        RecordError: its history cannot be replayed.
    """
    watcher = _Watcher()
    replayer = Replayer(workflows=[workflow_class(name)], interceptors=[watcher], data_converter=client.data_converter)
    if _has_begun(history):
        try:
            await replayer.replay_workflow(history)
        except Exception as error:
            raise RecordError(f"the history of task {history.workflow_id!r} cannot be replayed: {error}") from error
    for seen in watcher.seen:
        if seen.task is not None:
            return seen.task
    return await _unbegun(client, history, template)


def _has_begun(history: WorkflowHistory) -> bool:
    """A worker has taken it."""
    return any(event.HasField("workflow_task_completed_event_attributes") for event in history.events)


async def _unbegun(client: Client, history: WorkflowHistory, template: Template | None) -> Task:
    """It was ended before a worker took it: it has no rows, and its sinks are those that it was started with."""
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    values: list[RawValue] = await client.data_converter.decode(payloads, [RawValue] * len(payloads))
    context = content_of(values[0].payload) if values else NOTHING
    plain = read_raw(values[1]) if len(values) > 1 else None
    if plain is not None:
        return begun(StartInput.model_validate(plain), history.workflow_id, context)
    if template is None:
        raise RecordError(f"task {history.workflow_id!r} was ended before a worker took it: it has no rows")
    return Task(history.workflow_id, template, context, secrets.token_bytes(KEY_BYTES))


class _Watcher(Interceptor):
    """Keeps the workflows that are replayed."""

    def __init__(self) -> None:
        self.seen: list[TaskWorkflow] = []

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        seen = self.seen

        class Inbound(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                task = workflow.instance()
                assert isinstance(task, TaskWorkflow)
                seen.append(task)
                return await super().execute_workflow(input)

        return Inbound
