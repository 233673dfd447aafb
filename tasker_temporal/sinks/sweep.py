"""`tasker.sweep`: tells sinks of runs that were terminated or timed out, which a dead workflow cannot tell itself.

A Temporal schedule starts it. Each run that it finds gets a `tasker.delivery` for each of its sinks, whose id is made
of the run's: so it is told once, however often it is found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.common import RawValue, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from tasker_temporal.core.outbox import TERMINATED, TIMED_OUT, Outbox, fits
from tasker_temporal.core.rows import salted
from tasker_temporal.core.task import Task
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.deliveries import DELIVERY, FOR_EVER
from tasker_temporal.sinks.remains import task_of
from tasker_temporal.wire import Batch, Remainder, raw, read_raw

SWEEP: Final = "tasker.sweep"

OVERLAP = timedelta(minutes=10)
"""How late visibility may know that a run was closed."""

LONGEST = timedelta(hours=1)
HEARTBEAT = timedelta(minutes=2)


@workflow.defn(name=SWEEP, sandboxed=False)
class Sweep:
    """Looks for what was ended from outside since the last sweep of its schedule; the first looks at all that is kept.

    It returns `until`, when it looked, `told`, the ids of the tasks that it told of, and `unread`, those whose history
    could not be replayed.
    """

    @workflow.run
    async def run(self) -> RawValue:
        before = workflow.get_last_completion_result(RawValue)
        since = None if before is None else read_raw(before).get("until")
        found: RawValue = await workflow.execute_activity(
            SWEEP,
            raw({"since": since}),
            result_type=RawValue,
            start_to_close_timeout=LONGEST,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=FOR_EVER,
        )
        return found


def sweep_activity(templates: Mapping[str, TaskTemplate[Any]]) -> Callable[..., Any]:
    """The activity. It looks for tasks of the templates that its worker has."""

    @activity.defn(name=SWEEP)
    async def tasker_sweep(call: RawValue) -> RawValue:
        since, now = read_raw(call)["since"], datetime.now(UTC)
        told: list[str] = []
        unread: list[str] = []
        async for run in _found(activity.client(), list(templates), since):
            activity.heartbeat()
            try:
                if await _tell(activity.client(), run, templates[run.workflow_type]):
                    told.append(run.id)
            except Exception:
                activity.logger.exception("the end of task %r, run %r, cannot be told", run.id, run.run_id)
                unread.append(run.id)
        return raw({"until": now.isoformat(), "told": told, "unread": unread})

    return tasker_sweep


async def _found(client: Client, templates: list[str], since: str | None) -> AsyncIterator[WorkflowExecution]:
    """The runs that were ended from outside."""
    if not templates:
        return
    wanted = ["ExecutionStatus IN ('Terminated', 'TimedOut')", f"WorkflowType IN ({', '.join(map(repr, templates))})"]
    if since is not None:
        wanted.append(f"CloseTime >= '{(datetime.fromisoformat(since) - OVERLAP).isoformat()}'")
    async for run in client.list_workflows(" AND ".join(wanted)):
        yield run


async def _tell(client: Client, run: WorkflowExecution, template: TaskTemplate[Any]) -> bool:
    """Start the deliveries that are due. False if there are none, or they were started before."""
    # A reset ends a run in the same way, but the task goes on.
    if (await client.get_workflow_handle(run.id).describe()).run_id != run.run_id:
        return False
    history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
    task, ended = await task_of(client, history, template.compiled), _ended(history, run.run_id)
    queue = history.events[0].workflow_execution_started_event_attributes.task_queue.name
    remainders = [rest for box in task.outboxes.values() if (rest := _rest(task, box, ended)).batches]
    return any([await _start(client, task, run.run_id, rest, queue) for rest in remainders])


def _ended(history: WorkflowHistory, run_id: str) -> dict[str, Any]:
    """The data of the event, and its `type` and `time`."""
    event = history.events[-1]
    plain = {"run_id": run_id, "time": event.event_time.ToDatetime(UTC).isoformat()}
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        said = event.workflow_execution_terminated_event_attributes
        return {**plain, "type": TERMINATED, "actor": said.identity, "reason": said.reason}
    return {**plain, "type": TIMED_OUT, "actor": "temporal", "reason": "the run took longer than it may"}


def _rest(task: Task, box: Outbox, ended: Mapping[str, Any]) -> Remainder:
    """The rows that the sink has not acknowledged, and then the end, if it gets it."""
    box.collect(task.rows, task.said)
    digest = salted(task.key, task.context.data)
    batches = [Batch.of(task, digest, box, number, rows) for number, rows in box.rest()]
    if fits(box.sink.events, ended["type"]):
        end = Batch.of(task, digest, box, box.next + box.count, 0)
        batches.append(end.model_copy(update={"ended": ended}))
    return Remainder(sink=box.sink, batches=tuple(batches))


async def _start(client: Client, task: Task, run_id: str, rest: Remainder, queue: str) -> bool:
    try:
        await client.start_workflow(
            DELIVERY,
            rest.raw(),
            id=f"{task.id}/sink/{rest.sink.name}/{run_id}/ended",
            task_queue=queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"{rest.sink.name} · the end of {task.id}",
        )
    except WorkflowAlreadyStartedError:
        return False
    return True
