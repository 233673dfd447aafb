"""The doors of facts: a fact is always taken, and one that comes late is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tasker_temporal.core.answers import wrong_branch
from tasker_temporal.core.ballots import approval_id, terms_of
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    Drain,
    Failure,
    HandlerMissing,
    Message,
    Note,
    NotifierFailed,
    Refused,
    RunContinued,
    RunReopened,
    Start,
    StepFailed,
    StepStopped,
    StepSucceeded,
    Timer,
    TimerFired,
    TransitionTo,
)
from tasker_temporal.core.reasons import why_late
from tasker_temporal.core.requests import ACTOR_LIMIT, REASON_LIMIT, clipped
from tasker_temporal.core.rows import step_of
from tasker_temporal.core.task import Step, Task


def _start(fact: Start, task: Task) -> Iterator[Message]:
    task.problems = fact.problems
    task.requester = fact.actor
    task.cancelled_by = fact.cancelled_by or task.cancelled_by
    task.course = fact.course or task.course
    yield TransitionTo(None, State.PENDING, actor=fact.actor, reason=fact.reason)


def _succeeded(fact: StepSucceeded, task: Task) -> Iterator[Message]:
    step = task.steps[fact.step]
    if not _is_awaited(step, fact.execution):
        yield _late(fact.step, fact.execution, "complete", {"result": task.trace(fact.result.data)})
    elif (problem := wrong_branch(step, fact.result)) is not None:
        failure = Failure("BranchUnknown", problem, retryable=False)
        yield TransitionTo(fact.step, State.ERROR, failure=failure, cause=step.row)
    else:
        if fact.published:
            yield from _published(fact, step, task)
        yield TransitionTo(fact.step, State.COMPLETE, result=fact.result, cause=step.row)


def _failed(fact: StepFailed, task: Task) -> Iterator[Message]:
    step = task.steps[fact.step]
    if _is_awaited(step, fact.execution):
        yield from _published(fact, step, task)
        yield TransitionTo(fact.step, State.ERROR, failure=fact.failure, cause=step.row)
    else:
        error = {"type": fact.failure.type, **task.trace(fact.failure.message.encode())}
        yield _late(fact.step, fact.execution, "error", {"error": error})


def _published(fact: StepSucceeded | StepFailed, step: Step, task: Task) -> Iterator[Message]:
    """What the handler said is told before the end of its attempt, which may be the end of the task."""
    for name, content in fact.published:
        said = {"execution": fact.execution, **task.trace(content.encode())}
        yield Note(name, fact.step, said, cause=step.row, content=content)


def _stopped(fact: StepStopped, task: Task) -> Iterator[Message]:
    step = task.steps[fact.step]
    if _is_awaited(step, fact.execution):
        yield TransitionTo(fact.step, State.CANCELLED, cause=task.cancelling or step.row)
    else:
        yield _late(fact.step, fact.execution, "cancelled", {})


def _is_awaited(step: Step, execution: int) -> bool:
    return step.state is State.IN_PROGRESS and step.execution == execution


def _late(step: str, execution: int, outcome: str, metadata: Mapping[str, Any]) -> Note:
    return Note("step.outcome_noted", step, {"execution": execution, "outcome": outcome, **metadata})


def _missing(fact: HandlerMissing, task: Task) -> Iterator[Message]:
    step = task.steps[fact.step]
    if _is_awaited(step, fact.execution):
        metadata = {"execution": fact.execution, "handler": fact.handler}
        yield Note("step.handler_missing", fact.step, metadata, cause=step.row)
    else:
        yield _late(fact.step, fact.execution, "handler_missing", {})


def _fired(fact: TimerFired, task: Task) -> Iterator[Message]:
    """A timer that comes due while the task is paused stays, and fires again at resume."""
    timer = task.timers.get(fact.timer)
    if timer is not None and (task.state is not State.PAUSED or timer.kind == "grace"):
        task.journal.drop(task.timers, fact.timer)
        yield from TIMERS[timer.kind](timer, task)


def _backoff_over(timer: Timer, task: Task) -> Iterator[Message]:
    yield TransitionTo(timer.step, State.PENDING, cause=timer.cause)


def _deadline_over(timer: Timer, task: Task) -> Iterator[Message]:
    step = task.steps[timer.step or ""]
    if step.state is State.IN_PROGRESS and step.template.on_deadline == "skip":
        yield TransitionTo(timer.step, State.SKIPPED, reason=why_late(task, step), cause=timer.cause)
    elif step.state is State.IN_PROGRESS and step.template.approval is not None:
        yield from _approval_over(timer, task)
    elif step.state is State.IN_PROGRESS:
        failure = Failure("StepDeadlineExceeded", f"not over within {step.template.deadline}", retryable=False)
        yield TransitionTo(timer.step, State.ERROR, failure=failure, cause=timer.cause)
    elif step.final is None and step.state is State.ERROR:
        yield Note("step.deadline_exceeded", timer.step, cause=timer.cause)


def _handler_wait_over(timer: Timer, task: Task) -> Iterator[Message]:
    yield Note("step.redispatched", timer.step, cause=timer.cause)


def _grace_over(timer: Timer, task: Task) -> Iterator[Message]:
    for name, step in task.steps.items():
        if step.is_in_flight:
            yield TransitionTo(name, State.CANCELLED, {"abandoned": True}, cause=timer.cause)


def _time_over(timer: Timer, task: Task) -> Iterator[Message]:
    """Of a trigger that counts this time: one that ceased to stopped its timer."""
    step, number = task.steps[timer.step or ""], int(timer.id.rpartition(":")[2])
    yield Note("step.time_elapsed", step.name, {"trigger": number}, cause=timer.cause, change={"number": number})


def _hold_over(timer: Timer, task: Task) -> Iterator[Message]:
    yield Note("task.hold_ended", cause=timer.cause)


def _approval_over(timer: Timer, task: Task) -> Iterator[Message]:
    """It escalates once; then what the deadline decides is decided by no vote."""
    terms, id = terms_of(task, timer.step), approval_id(task, timer.step)
    assert terms is not None
    if terms.on_deadline == "escalate" and not task.ballots[id].escalated:
        yield Note("approval.escalated", timer.step, {"approval": id}, cause=timer.cause)
    else:
        decision = "approved" if terms.on_deadline == "approve" else "overdue"
        said = {"approval": id, "decision": decision, "votes": []}
        yield Note("approval.decided", timer.step, said, cause=timer.cause)


TIMERS: Final[Mapping[str, Callable[[Timer, Task], Iterator[Message]]]] = {
    "backoff": _backoff_over,
    "deadline": _deadline_over,
    "handler": _handler_wait_over,
    "grace": _grace_over,
    "hold": _hold_over,
    "elapsed": _time_over,
    "approval": _approval_over,
}


def _long(fact: Drain, task: Task) -> Iterator[Message]:
    yield Note("workflow.drain_requested", metadata={"events": fact.events, "size": fact.size})


def _continued(fact: RunContinued, task: Task) -> Iterator[Message]:
    yield Note("workflow.run_continued", metadata={"run_id": fact.run_id})


def _reopened(fact: RunReopened, task: Task) -> Iterator[Message]:
    yield Note("workflow.run_reopened", metadata={"run_id": fact.run_id})


def _refused(fact: Refused, task: Task) -> Iterator[Message]:
    rule, name = fact.rule, fact.name
    if task.interpreter > 2:
        rule, name = clipped(rule, REASON_LIMIT), clipped(name, ACTOR_LIMIT)
    metadata = {"rule": rule, "name": name} if name else {"rule": rule}
    yield Note("workflow.request_refused", step_of(fact.entity), metadata, fact.actor, fact.reason, refused=True)


def _not_notified(fact: NotifierFailed, task: Task) -> Iterator[Message]:
    error = {"type": fact.failure.type, **task.trace(fact.failure.message.encode())}
    said = {"approval": fact.approval, "kind": fact.kind, "error": error}
    yield Note("approval.notification_failed", fact.step, said)


FACTS: Final[Mapping[type, Callable[[Any, Task], Iterator[Message]]]] = {
    Start: _start,
    StepSucceeded: _succeeded,
    StepFailed: _failed,
    StepStopped: _stopped,
    HandlerMissing: _missing,
    TimerFired: _fired,
    NotifierFailed: _not_notified,
    Drain: _long,
    RunContinued: _continued,
    RunReopened: _reopened,
    Refused: _refused,
}
