"""Why is a task over? Its written record tells, or else the event that closed its run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from temporalio.api.enums.v1 import EventType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistoryEventFilterType

from tasker_temporal.core.machine import State
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.rows import Row
from tasker_temporal.errors import RecordError
from tasker_temporal.reader import Reader
from tasker_temporal.record import Record
from tasker_temporal.why.reasons import Explanation, Reason, command, ordered, request
from tasker_temporal.why.server import Described, moment

S = WorkflowExecutionStatus

FROM_OUTSIDE = {
    S.WORKFLOW_EXECUTION_STATUS_TERMINATED: "terminated",
    S.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: "timed_out",
}
"""How a run ends that cannot write its own end, and the state that is then said of its task."""

STATES = {S.WORKFLOW_EXECUTION_STATUS_FAILED: "error", S.WORKFLOW_EXECUTION_STATUS_CANCELED: "cancelled"}
"""What is said of a closed run that left no record."""


async def over(client: Client, id: str, run: Described) -> Explanation:
    """Why the task of this closed run is over."""
    name = run.info.type.name
    if run.info.status in FROM_OUTSIDE:
        state = FROM_OUTSIDE[run.info.status]
        return Explanation(
            task_id=id, template=name, state=state, source="server", reasons=(await _from_outside(client, id, run),)
        )
    try:
        record = await Reader(client, id).record(run.run_id)
    except RecordError as error:
        said = f"{await _closing(client, id, run)} ({error})"
        reason = Reason(kind="over", sentence=f"the task is over: {said}", since=moment(run.info.close_time))
        state = STATES.get(run.info.status, "closed")
        return Explanation(task_id=id, template=name, state=state, source="server", reasons=(reason,))
    report = record.report()
    return Explanation(
        task_id=id, template=name, state=report.state, source="record", reasons=ordered(_reasons(id, report, record))
    )


async def _from_outside(client: Client, id: str, run: Described) -> Reason:
    said = await _closing(client, id, run)
    sentence = f"the task was ended from outside, and could not write its end: {said}"
    return Reason(kind="over", sentence=sentence, since=moment(run.info.close_time))


async def _closing(client: Client, id: str, run: Described) -> str:
    handle = client.get_workflow_handle(id, run_id=run.run_id)
    closing = WorkflowHistoryEventFilterType.CLOSE_EVENT
    async for event in handle.fetch_history_events(event_filter_type=closing):
        return await _said(client, event)
    return "nothing more is known"


async def _said(client: Client, event: HistoryEvent) -> str:
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        ended = event.workflow_execution_terminated_event_attributes
        return f"{ended.identity or 'somebody'!r} terminated it: {ended.reason or 'no reason was given'}"
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        failure = event.workflow_execution_failed_event_attributes.failure
        error = await client.data_converter.decode_failure(failure)
        return f"its run failed: {getattr(error, 'message', error)}"
    return EventType.Name(event.event_type).removeprefix("EVENT_TYPE_WORKFLOW_EXECUTION_").lower().replace("_", " ")


def _reasons(id: str, report: TaskReport, record: Record) -> Iterator[Reason]:
    yield _end(id, report, record.rows)
    for name, step in report.steps.items():
        if step.state is State.ERROR and step.last_error is not None:
            attempts = "1 attempt" if step.attempt == 1 else f"{step.attempt} attempts"
            error = f"{step.last_error.type}: {step.last_error.message}"
            sentence = f"step {name!r} failed for good after {attempts}: {error}"
            yield Reason(kind="failure", step=name, sentence=sentence, since=step.ended_at)


def _end(id: str, report: TaskReport, rows: Sequence[Row]) -> Reason:
    counts = ", ".join(f"{count} {state}" for state, count in report.counts.items() if state != "total")
    sentence, action = f"the task is over: {report.state}", None
    if report.problems:
        first = report.problems[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        sentence = f"the task is over, because its context is not valid: {place}: {first['msg']}"
        action = command("tasker", "start", report.template, "--context", "JSON")
    elif report.state is State.ERROR:
        sentence = f"the task is over, because it failed ({counts}); a request that mends it opens it again"
        action = request("retry", id)
    elif report.state in (State.CANCELLED, State.RESOLVED_MANUALLY):
        who, because = _by_whom(rows)
        sentence += f", as {who!r} asked: {because}"
    elif counts:
        sentence += f" ({counts})"
    return Reason(kind="over", sentence=sentence, since=report.ended_at, action=action)


def _by_whom(rows: Sequence[Row]) -> tuple[str, str]:
    """Who wanted the end, and why: the last row of the task itself says."""
    last = next(row for row in reversed(rows) if row.step is None and row.kind == "transition")
    return last.actor, last.reason
