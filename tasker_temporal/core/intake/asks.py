"""The doors of requests: what each asks of the state machines, or why it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic_core import to_json

from tasker_temporal.core.answers import wrong_branch
from tasker_temporal.core.external import require_place, takers
from tasker_temporal.core.guards import requestable
from tasker_temporal.core.intake.legality import legal_requests, require_legal
from tasker_temporal.core.intake.votes import approve, reject, withdraw
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import DROPPED, Announce, Content, Failure, Message, Note, StopStep, TransitionTo
from tasker_temporal.core.requests import (
    Approve,
    Ask,
    CancelTask,
    ChangeStep,
    CompleteStep,
    MoveTask,
    PauseTask,
    Reject,
    ResolveStep,
    ResolveTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
    SendEvent,
    SkipStep,
    Withdraw,
)
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.task_types import known
from tasker_temporal.errors import RequestRefused


def _cancel(request: CancelTask, task: Task) -> Iterator[Message]:
    yield Note("task.cancel_requested", actor=request.actor, reason=request.reason)


def _to(state: State) -> Callable[[Ask, Task], Iterator[Message]]:
    """The door of a request that is just a transition of the task."""

    def door(request: Ask, task: Task) -> Iterator[Message]:
        yield TransitionTo(None, state, actor=request.actor, reason=request.reason)

    return door


def _move(request: MoveTask, task: Task) -> Iterator[Message]:
    places = requestable(task)
    if request.to not in places:
        raise RequestRefused(f"no row leads from {task.state} to {request.to!r} now: expected {' or '.join(places)}")
    failure = Failure("MovedToError", request.reason, retryable=False) if request.to == State.ERROR else None
    yield TransitionTo(None, known(request.to), {}, request.actor, request.reason, failure=failure)


def _skip(request: SkipStep, task: Task) -> Iterator[Message]:
    yield TransitionTo(request.step, State.SKIPPED, actor=request.actor, reason=request.reason)


def _retry_step(request: RetryStep, task: Task) -> Iterator[Message]:
    yield _back(request, request.step, fresh=request.fresh)


def _retry_from(request: RetryFrom, task: Task) -> Iterator[Message]:
    again = [task.steps[name] for name in _downstream(task, request.step)]
    running = [step.name for step in again if step.state is State.IN_PROGRESS]
    if running:
        raise RequestRefused(f"what depends on step {request.step!r} runs: wait for {_these(running)}, or cancel")
    if gone := _gone(task, again):
        raise RequestRefused(f"the result of {_these(gone)}, which would be asked for, is not kept any more")
    # What is over comes first: it takes the ground from under all that is not, so that none of it starts too early.
    for step in sorted(again, key=lambda step: not step.is_over):
        if step.state is not State.PENDING:
            yield _back(request, step.name, fresh=True)
    yield Announce("workflow.round_begun", {"steps": tuple(step.name for step in again)})


def _downstream(task: Task, step: str) -> list[str]:
    """The step and all that depend on it, each after at least one of those that it depends on."""
    found = {step: None}
    for name in (queue := [step]):
        fresh = [dependent for dependent in task.template.followers(name) if dependent not in found]
        found.update(dict.fromkeys(fresh))
        queue.extend(fresh)
    return list(found)


def _gone(task: Task, again: list[Step]) -> list[str]:
    """The steps that are not done again, and whose results these steps take, but a snapshot dropped them."""
    names = {step.name for step in again}
    taken = dict.fromkeys(argument.step for step in again for argument in step.template.arguments)
    return [name for name in taken if name and name not in names and task.steps[name].result is DROPPED]


def _back(request: Ask, step: str, *, fresh: bool) -> TransitionTo:
    metadata = {"fresh": True} if fresh else {}
    return TransitionTo(step, State.PENDING, metadata, request.actor, request.reason, fresh=fresh)


def _resolve_step(request: ResolveStep, task: Task) -> Iterator[Message]:
    dependents = [task.steps[name] for name in task.template.followers(request.step)]
    takers = [step.name for step in dependents if request.step in step.template.required and not step.is_over]
    if takers:
        legal = ("complete_step", "skip")
        raise RequestRefused(f"{_these(takers)} cannot do without the result of step {request.step!r}", legal)
    yield TransitionTo(request.step, State.RESOLVED_MANUALLY, actor=request.actor, reason=request.reason)


def _complete_step(request: CompleteStep, task: Task) -> Iterator[Message]:
    step = task.steps[request.step]
    running = step.is_in_flight
    result = Content(to_json(request.result))
    if (problem := wrong_branch(step, result)) is not None:
        raise RequestRefused(problem)
    by_hand = {"by_hand": True}
    yield TransitionTo(step.name, State.COMPLETE, by_hand, request.actor, request.reason, result=result)
    if running:
        yield StopStep(step.name, step.execution)


def _send_event(request: SendEvent, task: Task) -> Iterator[Message]:
    """An event that nobody waits for, not any more or not yet again, is a fact all the same."""
    known = [event.name for event in task.template.events]
    if request.name not in known:
        raise RequestRefused(f"no event {request.name!r} is declared: expected one of {', '.join(known)}")
    payload = Content(to_json(request.payload))
    found = takers(task, request.name, payload)
    if found.takers:
        require_place(task, request.name, payload)
    metadata: dict[str, Any] = {"name": request.name, "payload": task.trace(payload.data)}
    metadata["taken_by"] = list(dict.fromkeys(taker.step for taker in found.takers))
    if found.unclear:
        metadata["unclear"] = list(found.unclear)
    change = {"name": request.name, "id": request.id or "", "content": payload, "takers": found.takers}
    change = change if found.takers else {}
    yield Note("external.received", None, metadata, request.actor, request.reason, change=change)


def _change_step(request: ChangeStep, task: Task) -> Iterator[Message]:
    plain = request.model_dump(mode="json", include={"attempts", "timeout", "task_queue", "config"})
    change = {name: value for name, value in plain.items() if value is not None}
    if not change:
        raise RequestRefused("it changes nothing: expected attempts, timeout, task_queue or config")
    if request.attempts is not None and not task.template.step(request.step).retryable:
        rule = f"step {request.step!r} is declared with retryable=False, so it has one attempt: retry it by hand"
        raise RequestRefused(rule, legal_requests(task, request.step))
    said = {name: task.trace(to_json(value)) if name == "config" else value for name, value in change.items()}
    yield Note("step.changed", request.step, said, request.actor, request.reason, change=change)


def _these(names: list[str]) -> str:
    return f"steps {', '.join(map(repr, names))}" if len(names) > 1 else f"step {names[0]!r}"


def _checked(door: Callable[[Any, Task], Iterator[Message]], name: str) -> Callable[[Any, Task], Iterator[Message]]:
    def checked(request: Ask, task: Task) -> Iterator[Message]:
        require_legal(request, name, task)
        yield from door(request, task)

    return checked


_DOORS: Final[Mapping[type[Ask], Callable[[Any, Task], Iterator[Message]]]] = {
    CancelTask: _cancel,
    PauseTask: _to(State.PAUSED),
    ResumeTask: _to(State.IN_PROGRESS),
    RetryTask: _to(State.PENDING),
    ResolveTask: _to(State.RESOLVED_MANUALLY),
    SkipStep: _skip,
    RetryStep: _retry_step,
    RetryFrom: _retry_from,
    ResolveStep: _resolve_step,
    CompleteStep: _complete_step,
    ChangeStep: _change_step,
    SendEvent: _send_event,
    MoveTask: _move,
    Approve: approve,
    Reject: reject,
    Withdraw: withdraw,
}

ASKS: Final = {kind: _checked(door, kind.model_fields["request"].default) for kind, door in _DOORS.items()}
