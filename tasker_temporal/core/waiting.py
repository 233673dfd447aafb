"""What a task waits for: one line for each thing, since when, until when, and what a person could do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal

from tasker_temporal.core import timers
from tasker_temporal.core.answers import due_clocks
from tasker_temporal.core.approval import is_name
from tasker_temporal.core.ballots import approval_id, terms_of
from tasker_temporal.core.guards import guards_of, requestable
from tasker_temporal.core.intake.legality import legal_requests
from tasker_temporal.core.joins import answer, may_start
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import AUTOMATIC
from tasker_temporal.core.outbox import Outbox
from tasker_temporal.core.report import waits_for
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.template import Frozen
from tasker_temporal.core.triggers import events_of, said
from tasker_temporal.core.values import Instant

NAMELESS: Final = (AUTOMATIC, "unknown")
"""Who starts a task if nobody says who."""


class OpenApproval(Frozen):
    """An approval that people are asked for."""

    id: str
    """As `fraud_review#1`: a vote may name it, and then counts for no other."""
    approvers: tuple[str, ...]
    """Who may vote now."""
    quorum: int
    approved_by: tuple[str, ...] = ()
    requester: str | None = None
    """Who started the task, and may not vote: it takes four eyes. None if whoever did may."""
    verified: bool = False
    """Only verified identities may vote."""
    form: str | None = None
    """The name of the type of what a vote for it fills in."""


class Wait(Frozen):
    """One thing that is waited for: by the task itself if `step` is None, for ever if `until` is None."""

    kind: Literal[
        "execution",
        "approval",
        "move",
        "event",
        "time",
        "backoff",
        "handler",
        "dependency",
        "failure",
        "window",
        "pause",
        "hold",
        "drain",
        "cancellation",
        "sink",
    ]
    step: str | None
    what: str
    since: Instant | None = None
    until: Instant | None = None
    could: tuple[str, ...] = ()
    """The requests that would be legal."""
    task_queue: str | None = None
    """Where the step's handler runs, if not where the task's workflow does."""
    approval: OpenApproval | None = None
    events: tuple[str, ...] = ()
    """The events from outside that could end it."""
    sink: str | None = None
    """The name of the sink, if it is one that is waited for."""


def waiting(task: Task, most: int | None = None) -> tuple[Wait, ...]:
    """Everything that an open task waits for, the task's own lines first, then its steps in declared order.

    Args:
        most: From so many lines of steps on, those that only wait for other steps are counted, and not told.
    """
    sinks = [_sink(box) for box in task.outboxes.values() if box.sent_at is not None]
    if not task.is_open:
        return tuple(sinks)
    lines: list[Wait] = []
    untold: list[Step] = []
    for step in task.steps.values():
        if not step.is_over:
            if most is not None and len(lines) >= most and _only_depends(step):
                untold.append(step)
            else:
                lines.append(_line(task, step))
    return (*_task_waits(task), *sinks, *lines, *_folded(untold))


def _only_depends(step: Step) -> bool:
    return step.state is State.PENDING and not step.expects and answer(step) == "not yet"


def _folded(steps: Sequence[Step]) -> Iterator[Wait]:
    if steps:
        what = f"{len(steps)} more steps, of which each waits for others"
        since = min(step.since for step in steps if step.since is not None)
        yield Wait(kind="dependency", step=None, what=what, since=since)


def _sink(box: Outbox) -> Wait:
    what = f"sink {box.sink.name!r} to take {box.count} rows, from its number {box.next} on"
    return Wait(kind="sink", step=None, what=what, since=box.sent_at, sink=box.sink.name)


def _task_waits(task: Task) -> Iterator[Wait]:
    if task.cancelling is not None:
        grace, actor = task.timers.get(timers.GRACE), task.cancelled_by[0]
        until = None if grace is None else grace.due
        since = None if until is None else until - task.template.cancel_grace
        what = f"{actor!r} cancelled it; {task.in_flight} running steps are being stopped"
        yield Wait(kind="cancellation", step=None, what=what, since=since, until=until)
    if task.state is State.PAUSED:
        could = legal_requests(task)
        yield Wait(kind="pause", step=None, what="somebody to resume it", since=task.since, could=could)
    if task.state is State.PENDING_APPROVAL:
        yield _approval(task, None, task.since, legal_requests(task))
    if task.state in task.type.states:
        what, could = _moves(task), legal_requests(task)
        yield Wait(kind="move", step=None, what=what, since=task.since, could=could)
    if task.is_held:
        until, could = task.timers[timers.HOLD].due, legal_requests(task)
        yield Wait(kind="hold", step=None, what="somebody to step in", since=task.ended_at, until=until, could=could)
    if task.draining:
        what = "the run's history is long: nothing starts until it continues as new"
        asked = next(row.at for row in reversed(task.rows) if row.event == "workflow.drain_requested")
        yield Wait(kind="drain", step=None, what=what, since=datetime.fromisoformat(asked))


def _moves(task: Task) -> str:
    """A condition that does not hold now never will: nothing changes in a state of the type's own."""
    if places := requestable(task):
        return f"somebody to move it to {' or '.join(places)}"
    guards = ", ".join(guards_of(task))
    return f"somebody to cancel it: no row of its type may be taken ({guards})"


def _line(task: Task, step: Step) -> Wait:
    could = legal_requests(task, step.name)
    if step.state is State.IN_PROGRESS:
        wait = _running(task, step, could)
    elif step.state is State.ERROR:
        wait = _failed(task, step, could)
    else:
        wait = _pending(task, step, could)
    queue = step.template.task_queue or task.course.task_queue
    return wait if queue is None else wait.model_copy(update={"task_queue": queue})


def _pending(task: Task, step: Step, could: tuple[str, ...]) -> Wait:
    known = answer(step)
    if known != "not yet" and task.state is not State.IN_PROGRESS:
        kind: Literal["pause", "hold"] = "pause" if task.state is State.PAUSED else "hold"
        return Wait(kind=kind, step=step.name, what="the task to go on", since=task.since, could=could)
    if known == "yes":
        return _viable(task, step, could)
    if step.expects:
        return _expecting(task, step, could)
    what = "these steps to be over: " + ", ".join(waits_for(task, step))
    if step.told == "not yet" and step.template.trigger is not None:
        what += f", for {said(step.template.trigger)}"
    return Wait(kind="dependency", step=step.name, what=what, since=step.since, could=could)


def _expecting(task: Task, step: Step, could: tuple[str, ...]) -> Wait:
    """Only the outside, or time, is missing."""
    trigger = step.template.trigger
    assert trigger is not None
    until = min(due_clocks(step).values(), default=None)
    events = events_of(trigger)
    kind: Literal["event", "time"] = "event" if events else "time"
    what = said(trigger)
    return Wait(kind=kind, step=step.name, what=what, since=step.since, until=until, could=could, events=events)


def _viable(task: Task, step: Step, could: tuple[str, ...]) -> Wait:
    """It could start, but for something that is not about it."""
    ended = (task.steps[name].ended_at for name in step.template.dependencies)
    since = max((at for at in (step.since, *ended) if at is not None), default=None)
    if task.draining:
        return Wait(kind="drain", step=step.name, what="the run to continue as new", since=since, could=could)
    if not task.may_start or (task.is_stopped and not may_start(task, step)):
        failed = ", ".join(name for name, other in task.steps.items() if other.final is not None)
        what = f"nothing new to start, because these failed: {failed}"
        return Wait(kind="failure", step=step.name, what=what, since=since, could=could)
    what = "a place among the steps that run at once"
    return Wait(kind="window", step=step.name, what=what, since=since, could=could)


def _parked(task: Task, step: Step, could: tuple[str, ...]) -> Wait:
    if step.template.approval is not None:
        return _approval(task, step.name, step.started_at, could)
    until = task.due(timers.deadline(step.name))
    what = said(step.template.on) if step.template.on is not None else "something from outside"
    return Wait(
        kind="event",
        step=step.name,
        what=what,
        since=step.started_at,
        until=until,
        could=could,
        events=events_of(step.template.on),
    )


def _approval(task: Task, step: str | None, since: datetime | None, could: tuple[str, ...]) -> Wait:
    terms, id = terms_of(task, step), approval_id(task, step)
    assert terms is not None
    ballot = task.ballots[id]
    voters = tuple(vote.actor for vote in ballot.votes)
    asked = terms.voters(escalated=ballot.escalated)
    until = task.due(timers.deadline(step))
    requester = task.requester if terms.not_requester and task.requester not in NAMELESS else None
    votes = "a vote" if terms.quorum == 1 else f"{terms.quorum - len(voters)} more of {terms.quorum} votes"
    return Wait(
        kind="approval",
        step=step,
        what=f"{votes} of {', '.join(asked)}" + _but(requester, asked) + (", escalated" if ballot.escalated else ""),
        since=since,
        until=until,
        could=could,
        approval=OpenApproval(
            id=id,
            approvers=asked,
            quorum=terms.quorum,
            approved_by=voters,
            requester=requester,
            verified=terms.verified,
            form=_form(task, step),
        ),
    )


def _but(requester: str | None, asked: Sequence[str]) -> str:
    """Who started the task is named if he might think that he is asked."""
    is_asked = requester in asked or not all(map(is_name, asked))
    return f" but {requester}, who started the task" if requester is not None and is_asked else ""


def _form(task: Task, step: str | None) -> str | None:
    form = "None" if step is None else task.steps[step].template.result
    return None if form == "None" else form


def _running(task: Task, step: Step, could: tuple[str, ...]) -> Wait:
    if not step.template.runs:
        return _parked(task, step, could)
    if step.missing_since is not None and timers.handler(step.name, step.execution) in task.timers:
        what = f"a worker that has the handler {task.template.activity_type(step.name)!r}"
        until = step.missing_since + task.template.handler_grace
        return Wait(kind="handler", step=step.name, what=what, since=step.missing_since, until=until, could=could)
    what = f"execution {step.execution} of its handler"
    deadline = task.due(timers.deadline(step.name))
    return Wait(kind="execution", step=step.name, what=what, since=step.since, until=deadline, could=could)


def _failed(task: Task, step: Step, could: tuple[str, ...]) -> Wait:
    timer = task.timers.get(timers.backoff(step.name, step.execution))
    error = "an unknown failure" if step.failure is None else f"{step.failure.type}: {step.failure.message}"
    if timer is not None:
        what = f"attempt {step.attempt + 1} of {step.template.max_attempts}, after {error}"
        return Wait(kind="backoff", step=step.name, what=what, since=step.since, until=timer.due, could=could)
    what = f"somebody to act on its failure: {error}"
    return Wait(kind="failure", step=step.name, what=what, since=step.ended_at, could=could)
