"""How a run ended that could write no row of it: it was terminated, it timed out, or it failed without a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any, Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistoryEventFilterType

from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.events import Event, RunEnded

TERMINATED: Final = "task.terminated"
TIMED_OUT: Final = "task.timed_out"
ABORTED: Final = "task.aborted"

RECORDED: Final = "TaskFailed"
"""The type of the failure that has a record: a row tells of it, and the task has told its sinks itself."""

REASONS: Final[Mapping[str, str]] = {
    "StateTooLarge": "what its steps still wait for is too large to be handed to a new run",
    "StartInvalid": "it was started with arguments that are not the library's",
}
"""For failures of the library's own. What others say may be personal, so only their type is told."""

Said = tuple[str, str, str]
"""The event's name, the actor, and the reason."""


def end_of_run(task_id: str, run_id: str, closing: HistoryEvent) -> Event[RunEnded] | None:
    """The event that tells how a run ended, by the last event of its history; None if the task has told it itself."""
    if (read := _READERS.get(closing.event_type)) is None or (said := read(closing)) is None:
        return None
    name, actor, reason = said
    at = closing.event_time.ToDatetime(UTC).isoformat()
    fields = {"task_id": task_id, "run_id": run_id, "actor": actor, "reason": reason, "at": at}
    payload = EVENTS.event(name, fields, 0).payload
    assert isinstance(payload, RunEnded)
    return Event(name, payload, 0)


def plain_end(end: Event[RunEnded]) -> dict[str, Any]:
    """As a batch has it: the event's payload, its name and its time."""
    said = end.payload.model_dump(exclude={"task_id"})
    return {"type": end.name, "time": said.pop("at"), **said}


async def closing_of(client: Client, task_id: str, run_id: str) -> HistoryEvent:
    """The last event of a closed run."""
    handle = client.get_workflow_handle(task_id, run_id=run_id)
    closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
    return [event async for event in handle.fetch_history_events(event_filter_type=closing)][-1]


def _terminated(event: HistoryEvent) -> Said:
    said = event.workflow_execution_terminated_event_attributes
    return TERMINATED, said.identity, said.reason


def _timed_out(event: HistoryEvent) -> Said:
    return TIMED_OUT, "temporal", "the run took longer than it may"


def _failed(event: HistoryEvent) -> Said | None:
    kind = _type(event.workflow_execution_failed_event_attributes.failure)
    return None if kind == RECORDED else (ABORTED, "tasker", REASONS.get(kind, f"the run failed: {kind}"))


def _type(failure: Failure) -> str:
    return failure.application_failure_info.type or failure.WhichOneof("failure_info") or "unknown"


_READERS: Final[Mapping[Any, Callable[[HistoryEvent], Said | None]]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: _terminated,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: _timed_out,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: _failed,
}
