"""Opens approvals, counts their votes, and lets what was decided take effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from tasker_temporal.core import timers
from tasker_temporal.core.ballots import Decided, approval_id, decided, terms_of
from tasker_temporal.core.events import ApprovalNoted, Event, StepTransitioned, TaskTransitioned
from tasker_temporal.core.guards import next_way
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    Content,
    Failure,
    Message,
    Note,
    Notify,
    StartTimer,
    Timer,
    TimerKind,
    TransitionTo,
)
from tasker_temporal.core.task import Task
from tasker_temporal.core.task_types import known
from tasker_temporal.core.values import after

NOTHING: Final = Content(b"null")


def request_approval(event: Event[StepTransitioned], task: Task) -> Sequence[Message]:
    step = event.payload.step
    return () if task.steps[step].template.approval is None else (_requested(task, step),)


def request_task_approval(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """The deadline begins with the opening, as a step's does with its start."""
    yield from _deadline(task, None, event.cause)
    yield _requested(task, None)


def _requested(task: Task, step: str | None) -> Note:
    terms, id = terms_of(task, step), approval_id(task, step)
    assert terms is not None
    return Note("approval.requested", step, {"approval": id, "quorum": terms.quorum})


def _deadline(task: Task, step: str | None, cause: int) -> Iterator[Message]:
    """As long as it was given in the first place, from now on."""
    terms = terms_of(task, step)
    assert terms is not None
    period = terms.deadline if step is None else task.steps[step].template.deadline
    if period is not None:
        kind: TimerKind = "approval" if step is None else "deadline"
        yield StartTimer(Timer(timers.deadline(step), kind, step, after(task.now, period), cause))


def count_votes(event: Event[ApprovalNoted], task: Task) -> Iterator[Message]:
    """Of what came early nothing counts before the approval opens."""
    step, id = event.payload.step, event.payload.metadata["approval"]
    terms, ballot = terms_of(task, step), task.ballots.get(id)
    found = None if ballot is None or terms is None else decided(ballot.votes, terms)
    if found is not None:
        votes = [vote.row for vote in found.votes]
        yield Note("approval.decided", step, {"approval": id, "decision": found.decision, "votes": votes})


def escalate(event: Event[ApprovalNoted], task: Task) -> Iterator[Message]:
    yield from _deadline(task, event.payload.step, event.cause)


def settle(event: Event[ApprovalNoted], task: Task) -> Iterator[Message]:
    """What was decided is the end of the step, or moves the task by the row of its type."""
    step, found = event.payload.step, _found(event, task)
    if step is not None:
        yield _step_end(step, found, event)
        return
    way = next_way(task, "approved" if found.decision == "approved" else "rejected")
    assert way.row is not None  # A sound type has a row for either.
    failure = _failure(found) if way.row.to == State.ERROR else None
    about = {"approval": event.payload.metadata["approval"], **way.about}
    yield TransitionTo(None, known(way.row.to), about, failure=failure)


def _step_end(step: str, found: Decided, event: Event[ApprovalNoted]) -> TransitionTo:
    """The result is the form of the vote that made the quorum full; of a deadline that approves it is null."""
    about = {"approval": event.payload.metadata["approval"]}
    if found.decision == "approved":
        said = {**about, "by_hand": True, "voters": [vote.actor for vote in found.votes]}
        return TransitionTo(step, State.COMPLETE, said, result=found.votes[-1].form if found.votes else NOTHING)
    return TransitionTo(step, State.ERROR, about, failure=_failure(found))


def _found(event: Event[ApprovalNoted], task: Task) -> Decided:
    said = event.payload.metadata
    votes = task.ballots[said["approval"]].votes
    return Decided(said["decision"], tuple(vote for vote in votes if vote.row in said["votes"]))


def _failure(found: Decided) -> Failure:
    if found.decision == "overdue":
        return Failure("ApprovalOverdue", "nobody decided in time", retryable=False)
    return Failure("ApprovalRejected", f"{found.votes[-1].actor}: {found.votes[-1].reason}", retryable=False)


def notify_opened(event: Event[ApprovalNoted], task: Task) -> Iterator[Message]:
    """Nobody is asked for what early votes have decided."""
    if event.payload.metadata["approval"] in task.ballots:
        yield from _notice(event, task, "opened")


def notify_escalated(event: Event[ApprovalNoted], task: Task) -> Iterator[Message]:
    yield from _notice(event, task, "escalated")


def notify_decided(event: Event[ApprovalNoted], task: Task) -> Iterator[Message]:
    found = _found(event, task)
    voters = tuple(vote.actor for vote in found.votes)
    for notice in _notice(event, task, "decided"):
        yield notice._replace(until=None, decision=found.decision, voters=voters)


def _notice(
    event: Event[ApprovalNoted], task: Task, kind: Literal["opened", "escalated", "decided"]
) -> Iterator[Notify]:
    step, id = event.payload.step, event.payload.metadata["approval"]
    terms, timer = terms_of(task, step), task.timers.get(timers.deadline(step))
    if terms is not None and terms.notify:
        approvers = terms.voters(escalated=task.ballots[id].escalated)
        until = None if timer is None else timer.due.isoformat()
        yield Notify(step, id, kind, approvers, terms.quorum, until)
