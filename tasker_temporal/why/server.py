"""What Temporal itself knows of a task's run: whether it is open, what runs, and whether its workflow task fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client
from temporalio.converter import decode_typed_search_attributes

from tasker_temporal.attributes import STATE

S = WorkflowExecutionStatus

RUNNING, PAUSED = S.WORKFLOW_EXECUTION_STATUS_RUNNING, S.WORKFLOW_EXECUTION_STATUS_PAUSED

STEPS_BACK = 100
"""How many of a history's last events are looked through for the failure of its workflow task."""


@dataclass(frozen=True)
class Described:
    """One run as the server describes it. `describe()` of the SDK cannot read a run that Temporal itself has paused."""

    raw: DescribeWorkflowExecutionResponse

    @property
    def info(self) -> WorkflowExecutionInfo:
        return self.raw.workflow_execution_info

    @property
    def run_id(self) -> str:
        return self.info.execution.run_id

    @property
    def is_open(self) -> bool:
        return self.info.status in (RUNNING, PAUSED)

    @property
    def is_paused(self) -> bool:
        """Temporal itself was asked to pause it, not the task."""
        return self.info.status == PAUSED

    @property
    def queue(self) -> str:
        return self.info.task_queue

    @property
    def state(self) -> str | None:
        """The task's state, if its search attributes tell one."""
        return decode_typed_search_attributes(self.info.search_attributes).get(STATE)

    @property
    def begins_at(self) -> datetime | None:
        """When it begins, if it was started with a delay that is not over."""
        at = moment(self.info.execution_time)
        return (
            at if at is not None and at > datetime.now(UTC) and not self.raw.HasField("pending_workflow_task") else None
        )

    @property
    def workflow_task(self) -> PendingWorkflowTaskInfo | None:
        return self.raw.pending_workflow_task if self.raw.HasField("pending_workflow_task") else None

    @property
    def has_failing_task(self) -> bool:
        """Its workflow task was tried before, and will be again."""
        return self.workflow_task is not None and self.workflow_task.attempt > 1

    @cached_property
    def deliveries(self) -> Mapping[str, PendingActivityInfo]:
        """What is on its way to sinks, by their names."""
        found = (one for one in self.raw.pending_activities if one.activity_type.name == "tasker.deliver")
        return {one.activity_id.split(":")[1]: one for one in found}

    @cached_property
    def activities(self) -> Mapping[str, PendingActivityInfo]:
        """What runs or is about to, by step: the last execution of each."""
        found: dict[str, PendingActivityInfo] = {}
        for one in self.raw.pending_activities:
            if one.activity_type.name.startswith("tasker."):
                continue
            step, _, execution = one.activity_id.rpartition(":")
            known = found.get(step)
            if known is None or _number(execution) > _number(known.activity_id.rpartition(":")[2]):
                found[step] = one
        return found


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def moment(at: Timestamp) -> datetime | None:
    """None if it was not set."""
    return at.ToDatetime(UTC) if at.seconds > 0 else None


async def described(client: Client, id: str) -> Described:
    """The latest run of the task.

    Raises:
        RPCError: there is none, or the server does not tell.
    """
    execution = WorkflowExecution(workflow_id=id)
    request = DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=execution)
    return Described(await client.workflow_service.describe_workflow_execution(request))


@dataclass(frozen=True)
class TaskFailure:
    """Why a run's workflow task fails."""

    cause: str
    message: str
    since: datetime | None

    @property
    def is_missing(self) -> bool:
        """The worker that takes it does not have the template."""
        return "is not registered on this worker" in self.message


async def task_failure(client: Client, run: Described) -> TaskFailure | None:
    """What the history says of the failure since the last workflow task that succeeded. Only the first is written."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace, execution=run.info.execution, maximum_page_size=STEPS_BACK
    )
    page = await client.workflow_service.get_workflow_execution_history_reverse(request)
    found: TaskFailure | None = None
    for event in page.history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            break
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            found = await _failed(client, event)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            found = TaskFailure("timed out", "its worker took it and did not answer in time", moment(event.event_time))
    return found


async def _failed(client: Client, event: HistoryEvent) -> TaskFailure:
    said = event.workflow_task_failed_event_attributes
    cause = WorkflowTaskFailedCause.Name(said.cause).removeprefix("WORKFLOW_TASK_FAILED_CAUSE_").lower()
    error = await client.data_converter.decode_failure(said.failure)
    return TaskFailure(cause.replace("_", " "), getattr(error, "message", str(error)), moment(event.event_time))
