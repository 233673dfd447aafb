"""`tasker.sweep`: tells of runs that were terminated, timed out or broke down, which none of them can tell itself.

A Temporal schedule starts it. Each run that it finds gets a `tasker.delivery` for each of its sinks, whose id is made
of the run's: so it is told once, however often it is found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.common import RawValue, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from tasker_temporal.core.events import Event, RunEnded
from tasker_temporal.core.outbox import Outbox, fits
from tasker_temporal.core.rows import salted
from tasker_temporal.core.task import Task
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.deliveries import DELIVERY, FOR_EVER
from tasker_temporal.errors import RecordError
from tasker_temporal.histories import Run
from tasker_temporal.payloads import raw, read_raw
from tasker_temporal.reader import Reader
from tasker_temporal.sinks.ends import closing_of, end_of_run, plain_end
from tasker_temporal.sinks.remains import known_of
from tasker_temporal.telemetry import deliveries as telemetry
from tasker_temporal.wire import Batch, Remainder

SWEEP: Final = "tasker.sweep"

OVERLAP = timedelta(minutes=10)
"""How late visibility may know that a run was closed."""

SEEN: Final = 20_000
"""So many runs one sweep tells the next of, at most."""

LONGEST = timedelta(hours=1)
HEARTBEAT = timedelta(minutes=2)


@workflow.defn(name=SWEEP, sandboxed=False)
class Sweep:
    """Looks for what told no end since the last sweep of its schedule; the first looks at all that is kept.

    It returns `until`, when it looked, `told`, the ids of the tasks that it told sinks of, `unread`, those whose
    history could not be replayed, and `seen`, the runs that the next sweep would find once more, and need not look at.
    """

    @workflow.run
    async def run(self) -> RawValue:
        before = workflow.get_last_completion_result(RawValue)
        known = {} if before is None else read_raw(before)
        found: RawValue = await workflow.execute_activity(
            SWEEP,
            raw({"since": known.get("until"), "seen": known.get("seen", [])}),
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
        asked, now = read_raw(call), datetime.now(UTC)
        known = frozenset(asked.get("seen", ()))
        told: list[str] = []
        unread: list[str] = []
        seen: list[str] = []
        async for run in _found(activity.client(), list(templates), asked["since"]):
            activity.heartbeat()
            try:
                if run.run_id not in known and await _tell(activity.client(), run, templates[run.workflow_type]):
                    told.append(run.id)
                if run.close_time is not None and run.close_time >= now - OVERLAP:
                    seen.append(run.run_id)
            except Exception:
                activity.logger.exception("the end of task %r, run %r, cannot be told", run.id, run.run_id)
                unread.append(run.id)
        return raw({"until": now.isoformat(), "told": told, "unread": unread, "seen": seen[:SEEN]})

    return tasker_sweep


async def _found(client: Client, templates: list[str], since: str | None) -> AsyncIterator[WorkflowExecution]:
    """The runs that may have told no end."""
    if not templates:
        return
    wanted = [
        "ExecutionStatus IN ('Terminated', 'TimedOut', 'Failed')",
        f"WorkflowType IN ({', '.join(map(repr, templates))})",
    ]
    if since is not None:
        wanted.append(f"CloseTime >= '{(datetime.fromisoformat(since) - OVERLAP).isoformat()}'")
    async for run in client.list_workflows(" AND ".join(wanted)):
        yield run


class _End(NamedTuple):
    """The end of one task, which it could not tell."""

    task: Task
    run: Run
    event: Event[RunEnded]


async def _tell(client: Client, run: WorkflowExecution, template: TaskTemplate[Any]) -> bool:
    """Tell telemetry, and start the deliveries that are due. False if there are none, or they were started before."""
    event = end_of_run(run.id, run.run_id, await closing_of(client, run.id, run.run_id))
    if event is None or await _goes_on(client, run):
        return False
    history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
    end = _End(await known_of(client, history, template.compiled), Run(run.run_id, history.events[0]), event)
    remainders = [rest for box in end.task.outboxes.values() if (rest := _rest(end, box)).batches]
    told = any([await _start(client, end, rest) for rest in remainders])
    if told or not remainders:
        telemetry.ended(end.task, event, end.run.started, await _trace(client, end.run, history))
    return told


async def _goes_on(client: Client, run: WorkflowExecution) -> bool:
    """In a later run: after a reset, which ends a run in the same way, or because somebody reopened the task.

    A later task that was only given the same id is another one.
    """
    latest = await client.get_workflow_handle(run.id).describe()
    if latest.run_id == run.run_id:
        return False
    # Lists do not say with which run a chain began.
    described = await client.get_workflow_handle(run.id, run_id=run.run_id).describe()
    if latest.raw_info.first_run_id == described.raw_info.first_run_id:
        return True
    try:
        return run.run_id in await Reader(client, run.id).runs()
    except (RecordError, ValueError):
        return False


async def _trace(client: Client, run: Run, history: WorkflowHistory) -> Mapping[str, str]:
    try:
        return await Reader(client, history.workflow_id).trace(run)
    except ValueError:
        return {}


def _rest(end: _End, box: Outbox) -> Remainder:
    """What the sink has not acknowledged, and then the end, if it gets it."""
    task = end.task
    box.collect(task.rows, task.said, task.announced)
    digest = salted(task.key, task.context.data)
    batches = [Batch.of(task, digest, box, number, rows) for number, rows in box.rest()]
    if fits(box.sink.events, end.event.name):
        last = Batch.of(task, digest, box, box.next + box.count, 0)
        batches.append(last.model_copy(update={"ended": plain_end(end.event)}))
    batches = [batch.model_copy(update={"run_id": end.run.run_id}) for batch in batches]
    return Remainder(sink=box.sink, batches=tuple(batches))


async def _start(client: Client, end: _End, rest: Remainder) -> bool:
    try:
        await client.start_workflow(
            DELIVERY,
            rest.raw(),
            id=f"{end.task.id}/sink/{rest.sink.name}/{end.run.run_id}/ended",
            task_queue=end.run.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"{rest.sink.name} · the end of {end.task.id}",
        )
    except WorkflowAlreadyStartedError:
        return False
    return True
