"""Who polls a task queue: the workers that would take up what is put there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

LONGEST_POLL = timedelta(seconds=75)
"""A poll lasts a minute at most. The server remembers pollers for five, so one that is older than this is gone."""

SLACK = timedelta(seconds=1)
"""By how much a poll's end may seem later than the worker's last word, which is that it stops."""

KINDS: Mapping[str, TaskQueueType.ValueType] = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}

Kind = Literal["workflow", "activity"]


class Poller(NamedTuple):
    """A worker that asks for work, and when it last did."""

    identity: str
    seen: datetime


async def pollers(client: Client, queue: str, kind: Kind = "workflow") -> Sequence[Poller] | None:
    """The workers that poll the queue, as far as the server can know; None if it does not tell.

    A worker that was killed is counted for about a minute more; one that has stopped in order is not.
    """
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=KINDS[kind]
    )
    try:
        found = (await client.workflow_service.describe_task_queue(request)).pollers
    except RPCError:
        return None
    fresh = datetime.now(UTC) - LONGEST_POLL
    seen = [Poller(one.identity, one.last_access_time.ToDatetime(UTC)) for one in found]
    alive = [poller for poller in seen if poller.seen >= fresh]
    return _without(alive, await _stopped(client, queue)) if alive else []


def _without(alive: Iterable[Poller], stopped: Mapping[str, datetime]) -> Sequence[Poller]:
    return [one for one in alive if one.identity not in stopped or one.seen > stopped[one.identity] + SLACK]


async def _stopped(client: Client, queue: str) -> Mapping[str, datetime]:
    """The identities whose workers all said that they stop, and when they did. Older servers do not know."""
    escaped = queue.replace("\\", "\\\\").replace("'", "\\'")
    request = ListWorkersRequest(namespace=client.namespace, page_size=1000, query=f"TaskQueue = '{escaped}'")
    try:
        known = [one.worker_heartbeat for one in (await client.workflow_service.list_workers(request)).workers_info]
    except RPCError:
        return {}
    running = {one.worker_identity for one in known if one.status == WorkerStatus.WORKER_STATUS_RUNNING}
    stopped: dict[str, datetime] = {}
    for one in known:
        if one.worker_identity not in running:
            at = one.heartbeat_time.ToDatetime(UTC)
            stopped[one.worker_identity] = max(at, stopped.get(one.worker_identity, at))
    return stopped
