"""Turns a line of what a task waits for into a sentence, with what the server knows of the step's activity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo

from tasker_temporal.pollers import Poller
from tasker_temporal.why.reasons import Reason, command, request, run_worker
from tasker_temporal.why.server import Described, moment
from tasker_temporal.wire import BACKSTOP

Line = Mapping[str, Any]
"""One line of what `waiting` answers, as JSON."""

A = PendingActivityState

STEPS_NAMED = 5


@dataclass(frozen=True)
class Seen:
    """What is known beside the task's own lines.

    Attributes:
        polled: For each task queue where handlers run, the workers that poll it; None if the server does not tell.
    """

    task_id: str
    run: Described
    polled: Mapping[str, Sequence[Poller] | None] = field(default_factory=dict)

    def queue(self, line: Line) -> str:
        """Where the line's step runs."""
        return str(line.get("task_queue") or self.run.queue)

    def is_deserted(self, queue: str) -> bool:
        """Nobody polls the queue, and that is known."""
        polled = self.polled.get(queue)
        return polled is not None and not polled


def reason(line: Line, seen: Seen) -> Reason:
    """The line as a sentence."""
    told = SENTENCES.get(line["kind"], _plain)(line, seen)
    return told if told.action else told.model_copy(update={"action": _action(line, seen)})


def _plain(line: Line, seen: Seen, said: str = "waits for") -> Reason:
    return Reason(
        kind=line["kind"],
        step=line["step"],
        sentence=f"{_who(line)} {said} {line['what']}",
        since=_time(line.get("since")),
        until=_time(line.get("until")),
        could=tuple(line.get("could", ())),
    )


def _who(line: Line) -> str:
    return "the task" if line["step"] is None else f"step {line['step']!r}"


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "hold": ("retry",),
    "pause": ("resume",),
    "failure": ("retry_step",),
    "backoff": ("retry_step",),
    "approval": ("approve",),
    "move": ("move",),
}
"""For each kind, the request that is best if it is legal."""

FLAGS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("failure", "retry_step"): ("--fresh",),
    ("approval", "approve"): ("--actor", "YOU"),
    ("move", "move"): ("--to", "STATE"),
}
"""What the request says beside: a step that has used up its attempts needs new ones, and a vote is somebody's."""


def _action(line: Line, seen: Seen) -> str | None:
    kind = line["kind"]
    legal = [name for name in ACTIONS.get(kind, ()) if name in line.get("could", ())]
    if not legal:
        return None
    form = ("--form", "JSON") if (line.get("approval") or {}).get("form") else ()
    return request(legal[0], seen.task_id, line["step"], *FLAGS.get((kind, legal[0]), ()), *form)


def _told(line: Line, seen: Seen) -> Reason:
    """`what` is a whole sentence already."""
    return _plain(line, seen, "is being stopped:" if line["kind"] == "cancellation" else "stands still:")


def _handler(line: Line, seen: Seen) -> Reason:
    return _plain(line, seen).model_copy(update={"action": run_worker(seen.queue(line))})


# A step that runs: what does the server know of its activity?


def _execution(line: Line, seen: Seen) -> Reason:
    activity = seen.run.activities.get(line["step"])
    told = _plain(line, seen, "runs:")
    if activity is None:
        said = f"step {line['step']!r} began {line['what']}; no worker has taken up yet what came of it"
        return told if seen.run.workflow_task is None else told.model_copy(update={"sentence": said})
    return told.model_copy(update=ACTIVITIES[activity.state](activity, line, seen))


def _scheduled(activity: PendingActivityInfo, line: Line, seen: Seen) -> dict[str, Any]:
    queue, who = activity.activity_options.task_queue.name or seen.queue(line), f"step {line['step']!r}"
    lost = f" (its last one was lost: {activity.last_failure.message})" if activity.attempt > 1 else ""
    since = moment(activity.scheduled_time) or _time(line.get("since"))
    if seen.is_deserted(queue):
        sentence = f"{who} waits for a worker{lost}: none polls task queue {queue!r}"
        return {"kind": "worker", "sentence": sentence, "since": since, "action": run_worker(queue)}
    if activity.attempt > 1:
        again = f"try {activity.attempt} of {activity.maximum_attempts}"
        sentence = f"{who} waits for Temporal to start it anew ({again}): {activity.last_failure.message}"
        return {"sentence": sentence, "until": moment(activity.next_attempt_schedule_time)}
    return {"sentence": f"{who} waits for a free worker of task queue {queue!r}", "since": since}


def _started(activity: PendingActivityInfo, line: Line, seen: Seen) -> dict[str, Any]:
    since, worker = moment(activity.last_started_time), activity.last_worker_identity
    limit = activity.activity_options.start_to_close_timeout.ToTimedelta() - BACKSTOP
    ends = [_time(line.get("until")), since + limit if since is not None and limit > timedelta(0) else None]
    sentence = f"step {line['step']!r} runs on worker {worker!r}: {line['what']}"
    until = min((at for at in ends if at is not None), default=None)
    return {"sentence": sentence + _silence(activity), "since": since, "until": until}


def _silence(activity: PendingActivityInfo) -> str:
    """A worker that has said nothing for longer than it may is probably lost; the server will see to it."""
    said = moment(activity.last_heartbeat_time) or moment(activity.last_started_time)
    limit = activity.activity_options.heartbeat_timeout.ToTimedelta()
    if said is None or not limit or datetime.now(UTC) - said < limit / 2:
        return ""
    return f"; it has said nothing since {said:%H:%M:%S}, and counts as lost at {said + limit:%H:%M:%S}"


def _stopping(activity: PendingActivityInfo, line: Line, seen: Seen) -> dict[str, Any]:
    return {"sentence": f"step {line['step']!r} was told to stop, and its handler has not ended yet"}


def _paused(activity: PendingActivityInfo, line: Line, seen: Seen) -> dict[str, Any]:
    ids = ("--workflow-id", seen.task_id, "--activity-id", activity.activity_id)
    sentence = f"step {line['step']!r} waits for somebody to unpause its activity, which was paused by Temporal's means"
    return {"sentence": sentence, "action": command("temporal", "activity", "unpause", *ids)}


ACTIVITIES: Final[Mapping[int, Callable[[PendingActivityInfo, Line, Seen], dict[str, Any]]]] = {
    A.PENDING_ACTIVITY_STATE_UNSPECIFIED: _scheduled,
    A.PENDING_ACTIVITY_STATE_SCHEDULED: _scheduled,
    A.PENDING_ACTIVITY_STATE_STARTED: _started,
    A.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED: _stopping,
    A.PENDING_ACTIVITY_STATE_PAUSED: _paused,
    A.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED: _paused,
}


def _event(line: Line, seen: Seen) -> Reason:
    """Anybody may tell of it."""
    told = _plain(line, seen, "waits for an event from outside:" if line.get("events") else "waits for")
    events = line.get("events", ())
    words = ("--name", events[0], "--payload", "JSON") if events else ()
    return told.model_copy(update={"action": request("send_event", seen.task_id, None, *words) if events else None})


def _sink(line: Line, seen: Seen) -> Reason:
    """What the sink answered last is with its activity."""
    told, sending = _plain(line, seen), seen.run.deliveries.get(str(line.get("sink")))
    if sending is None or sending.attempt < 2 or not sending.last_failure.message:
        return told
    said = f"{told.sentence}; its last try, of {sending.attempt - 1}, ended: {sending.last_failure.message}"
    return told.model_copy(update={"sentence": said, "until": moment(sending.next_attempt_schedule_time)})


SENTENCES: Final[Mapping[str, Callable[[Line, Seen], Reason]]] = {
    "execution": _execution,
    "handler": _handler,
    "event": _event,
    "drain": lambda line, seen: _plain(line, seen) if line["step"] else _told(line, seen),
    "cancellation": _told,
    "sink": _sink,
}
"""How lines of a kind are told, if not simply as what is waited for."""


# Queues that nobody polls, and that steps will need.

AT_HOME: Final = ("approval", "event", "failure")
"""A step that waits for one of these runs no handler next."""


def queues(lines: Sequence[Line], run: Described) -> dict[str, list[str]]:
    """The task queues where handlers run or will run, and the steps of each."""
    found: dict[str, list[str]] = {}
    for line in lines:
        if line["step"] is not None and line["kind"] not in AT_HOME:
            found.setdefault(str(line.get("task_queue") or run.queue), []).append(line["step"])
    return found


def deserted(lines: Sequence[Line], told: Sequence[Reason], seen: Seen) -> Iterator[Reason]:
    """A sentence for each queue that no worker polls, unless a step has said so already."""
    waiting = {reason.step for reason in told if reason.kind == "worker"}
    for queue, steps in queues(lines, seen.run).items():
        if queue != seen.run.queue and seen.is_deserted(queue) and waiting.isdisjoint(steps):
            sentence = f"no worker polls task queue {queue!r}, which {named(steps)} will need"
            yield Reason(kind="worker", sentence=sentence, action=run_worker(queue))


def named(steps: Sequence[str]) -> str:
    """The steps in words, the first few by name."""
    names = ", ".join(map(repr, steps[:STEPS_NAMED]))
    more = f" and {len(steps) - STEPS_NAMED} more" if len(steps) > STEPS_NAMED else ""
    return f"{'step' if len(steps) == 1 else 'steps'} {names}{more}"
