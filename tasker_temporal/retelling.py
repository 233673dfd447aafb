"""Tells a run again from its history, in this process, as a worker would: so a task answers also when none lives.

No user code runs in a task's workflow, and the template is in its history, so the library alone can do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.common import RawValue
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from tasker_temporal.core.engine import Engine
from tasker_temporal.errors import NewerRelease, RetellingFailed
from tasker_temporal.life import beginning
from tasker_temporal.payloads import content_of, raw, read_raw
from tasker_temporal.wire import StartInput
from tasker_temporal.workflow import TaskWorkflow, workflow_class

NEWS = {
    EventType.Value(f"EVENT_TYPE_{name}")
    for name in (
        "ACTIVITY_TASK_STARTED",
        "ACTIVITY_TASK_COMPLETED",
        "ACTIVITY_TASK_FAILED",
        "ACTIVITY_TASK_TIMED_OUT",
        "ACTIVITY_TASK_CANCELED",
        "TIMER_FIRED",
        "WORKFLOW_EXECUTION_SIGNALED",
        "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
        "WORKFLOW_EXECUTION_UPDATE_ADMITTED",
        "WORKFLOW_TASK_SCHEDULED",
        "WORKFLOW_EXECUTION_TERMINATED",
        "WORKFLOW_EXECUTION_TIMED_OUT",
    )
}
"""What happens to a run. All other events are what its last workflow task has brought about."""


async def retold(client: Client, id: str, run_id: str | None = None) -> Engine | None:
    """The task as its last workflow task left it; None if it waits for a worker that has its template.

    What came since then is not in it: no worker has taken that up.

    Raises:
        RetellingFailed: the history is not one of a task that this release can replay.
    """
    history = await client.get_workflow_handle(id, run_id=run_id).fetch_history()
    events = taken_up(history.events)
    if not events:
        return await _untaken(client, id, history.events[0])
    name = events[0].workflow_execution_started_event_attributes.workflow_type.name
    listening = _Listening()
    # Nobody waits for this in a workflow task: it may take as long as it must.
    replayer = Replayer(
        workflows=[workflow_class(name)],
        data_converter=client.data_converter,
        interceptors=[listening],
        debug_mode=True,
    )
    try:
        await replayer.replay_workflow(WorkflowHistory(id, events))
    except Exception as error:
        raise RetellingFailed(f"the history of task {id!r} cannot be replayed by this release: {error}") from error
    return None if listening.told is None else listening.told.engine


async def _untaken(client: Client, id: str, started: HistoryEvent) -> Engine | None:
    """The task before any worker has taken this run."""
    payloads = started.workflow_execution_started_event_attributes.input.payloads
    context, *more = await client.data_converter.decode(payloads, [RawValue] * len(payloads)) or [raw(None)]
    try:
        plain = read_raw(more[0]) if more else None
        start = None if plain is None else StartInput.read(plain)
        return None if start is None else Engine(beginning(id, start, content_of(context.payload)))
    except NewerRelease as error:
        raise RetellingFailed(str(error)) from error
    except Exception as error:
        raise RetellingFailed(f"workflow {id!r} is no task of this library") from error


def taken_up(events: Sequence[HistoryEvent]) -> Sequence[HistoryEvent]:
    """The events up to the end of the last workflow task that a worker has completed, and what that brought about."""
    completed = [
        number
        for number, event in enumerate(events)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    ]
    if not completed:
        return []
    end = completed[-1] + 1
    while end < len(events) and events[end].event_type not in NEWS:
        end += 1
    return events[:end]


class _Listening(Interceptor):
    """Keeps the workflow that is replayed."""

    told: TaskWorkflow | None = None

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        listening = self

        class Listener(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                found = workflow.instance()
                assert isinstance(found, TaskWorkflow)
                listening.told = found
                return await super().execute_workflow(input)

        return Listener
