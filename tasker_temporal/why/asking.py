"""Whom to ask: the worker if one answers, else the history, told again, else its bare events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowQueryRejectedError
from temporalio.service import RPCError

from tasker_temporal import views
from tasker_temporal.core.machine import State
from tasker_temporal.door import Door
from tasker_temporal.errors import NoAnswer, RequestRefused, RetellingFailed
from tasker_temporal.pollers import Poller, pollers
from tasker_temporal.retelling import retold
from tasker_temporal.why.ends import over
from tasker_temporal.why.reasons import Explanation, Reason, Source, command, ordered, run_worker
from tasker_temporal.why.sentences import Line, Seen, deserted, queues, reason
from tasker_temporal.why.server import Described, TaskFailure, described, moment, task_failure

PATIENCE = timedelta(seconds=1.5)
"""How long a worker may take to answer. What its history tells is as good, and needs none."""


class Told(NamedTuple):
    """What the task waits for, by whoever could tell."""

    source: Source
    lines: Sequence[Line]
    trouble: str = ""
    """Why nobody better could."""
    state: str = ""
    """The task's, if it is known."""


async def why(client: Client, id: str) -> Explanation:
    """Why the task does not go on, or how it ended.

    Raises:
        UnknownTask: there is none of this id.
        RPCError: the server does not answer.
    """
    door = Door(client, id)
    try:
        run = await described(client, id)
        if not run.is_open:
            return await over(client, id, run)
        return await _open(client, door, id, run)
    except WorkflowQueryRejectedError:
        # It was open, and was over when it was asked.
        return await why(client, id)
    except RPCError as error:
        raise door.translated(error) from error


async def _open(client: Client, door: Door, id: str, run: Described) -> Explanation:
    workers = await pollers(client, run.queue)
    told = await _told(client, door, id, run, workers)
    found = list(queues(told.lines, run))
    polled = await asyncio.gather(*(pollers(client, queue, "activity") for queue in found))
    seen = Seen(id, run, dict(zip(found, polled, strict=True)))
    failure = await task_failure(client, run) if run.has_failing_task else None
    steps = [reason(line, seen) for line in told.lines]
    reasons = [*_of_run(id, run, failure), *_of_workers(run, workers, told), *steps, *deserted(told.lines, steps, seen)]
    return Explanation(
        task_id=id, template=run.info.type.name, state=_state(told, run), source=told.source, reasons=ordered(reasons)
    )


async def _told(client: Client, door: Door, id: str, run: Described, workers: Sequence[Poller] | None) -> Told:
    trouble = f", and has said nothing within {PATIENCE.total_seconds():g} s" if workers else ""
    if not run.has_failing_task and (workers is None or workers):
        try:
            return Told("worker", await door.query("waiting", patience=PATIENCE))
        except NoAnswer:
            pass
        except RequestRefused as error:
            trouble = f", but refuses: {error.rule}"
    try:
        engine = await retold(client, id, run.run_id)
    except RetellingFailed as error:
        return Told("events", [*_activities(run), *await _timers(client, id, run)], f"{trouble}; {error}")
    state = (engine.task.state if engine else None) or State.PENDING
    return Told("history", views.waiting(engine), trouble, state)


STATES = {
    ("pause", None): "paused",
    ("hold", None): "error",
    ("approval", None): "pending_approval",
    ("preparation", None): "pending",
}
"""The state of a task that waits for such a thing itself; any other is in progress."""


def _state(told: Told, run: Described) -> str:
    return (
        told.state
        or run.state
        or next((STATES[key] for line in told.lines if (key := (line["kind"], line["step"])) in STATES), "in_progress")
    )


# What the history's bare events tell.


def _activities(run: Described) -> Iterator[Line]:
    for step, activity in run.activities.items():
        since = moment(activity.scheduled_time)
        yield {
            "kind": "execution",
            "step": step,
            "what": f"execution {activity.activity_id.rpartition(':')[2]} of its handler",
            "since": since.isoformat() if since else None,
            "task_queue": activity.activity_options.task_queue.name or None,
        }


async def _timers(client: Client, id: str, run: Described) -> Sequence[Line]:
    """The timers that run, by the names that they have in Temporal's UI."""
    found: dict[int, Line] = {}
    async for event in client.get_workflow_handle(id, run_id=run.run_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            lasts = event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            since = moment(event.event_time)
            until = since + lasts if since else None
            times = {"since": since.isoformat() if since else None, "until": until.isoformat() if until else None}
            found[event.event_id] = {"kind": "timer", "step": None, "what": await _called(client, event), **times}
        found.pop(event.timer_fired_event_attributes.started_event_id, None)
        found.pop(event.timer_canceled_event_attributes.started_event_id, None)
    return list(found.values())


async def _called(client: Client, event: HistoryEvent) -> str:
    if not event.user_metadata.HasField("summary"):
        return "a timer"
    [summary] = await client.data_converter.decode([event.user_metadata.summary])
    return f"a timer: {summary}"


# What the server tells of the run itself.


def _of_run(id: str, run: Described, failure: TaskFailure | None) -> Iterator[Reason]:
    if run.begins_at is not None:
        sentence = "the task has not begun: it was started with a delay"
        yield Reason(kind="start", sentence=sentence, since=moment(run.info.start_time), until=run.begins_at)
    if run.is_paused:
        action = command("temporal", "workflow", "unpause", "--workflow-id", id)
        sentence = "the task waits for somebody to unpause its workflow, which was paused by Temporal's means"
        yield Reason(kind="pause", sentence=sentence, action=action)
    if failure is not None:
        yield _failing(run, failure)


def _failing(run: Described, failure: TaskFailure) -> Reason:
    tries = run.workflow_task.attempt if run.workflow_task else 1
    if failure.is_missing:
        what = f"the worker of task queue {run.queue!r} does not have the template {run.info.type.name!r}"
        sentence = f"the task waits for a worker that has its template: {what} (tried {tries} times)"
        action: str | None = run_worker(run.queue)
    else:
        sentence = (
            f"the task stands still: its workflow task fails (tried {tries} times), {failure.cause}: "
            f"{failure.message}; it is tried again by itself, so mend what the worker runs, and restart it"
        )
        action = None
    return Reason(kind="workflow_task", sentence=sentence, since=failure.since, action=action)


def _of_workers(run: Described, workers: Sequence[Poller] | None, told: Told) -> Iterator[Reason]:
    if told.source == "worker" or run.has_failing_task or run.begins_at is not None:
        return
    task = run.workflow_task
    since = moment(task.original_scheduled_time) if task is not None else None
    if not workers:
        news = "" if task is None else ", and something has come that it must take up"
        sentence = f"the task waits for a worker: none polls task queue {run.queue!r}{news}"
    else:
        seen = max(workers, key=lambda one: one.seen)
        sentence = (
            f"the task waits for a worker that answers: {seen.identity!r} polled task queue {run.queue!r} "
            f"at {seen.seen:%H:%M:%S}"
        )
    sentence += told.trouble
    yield Reason(kind="worker", sentence=sentence, since=since, action=run_worker(run.queue))
