"""The ids of requests: the same request twice has one effect and one answer, and another one of its id is refused.

Rule 1: a request is what it asks for. Who asks and why do not make it another one; but a vote is somebody's.
Rule 2: what is kept says no more of a request than a row does: its name, and a salted digest of its content.
"""

from __future__ import annotations

from typing import Final

from tasker_temporal.core.messages import Answer
from tasker_temporal.core.requests import Ask, MoveTask, SendEvent, StepAsk, VoteAsk
from tasker_temporal.core.rows import salted
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused

ANSWERS_KEPT: Final = 1000

DIGITS: Final = 16
"""Of the digest, that are kept: nobody gains anything by finding another request of the same."""

COMPARED_FROM: Final = 3
"""The first interpreter that compares."""


def answered(task: Task, request: Ask) -> Answer | None:
    """What the request did, if it came before. An answer without a digest was given before they were kept.

    Raises:
        RequestRefused: its id is that of another request.
    """
    known = task.answers.get(request.request_id or "")
    if known is None or task.interpreter < COMPARED_FROM or known.digest in ("", _digest(task.key, request)):
        return known
    same = known.request == name_of(request)
    used = f"was already used for {known.request}{', which handed over something else' if same else ''}"
    raise RequestRefused(f"request id {request.request_id!r} {used} (sort_key {known.first}): use another id", None)


def remember(task: Task, request: Ask, first: int) -> None:
    """Keep the answer of a request that has an id, of which the rows from `first` on followed."""
    if request.request_id is None:
        return
    answer = Answer(first, task.sort_key)
    if task.interpreter >= COMPARED_FROM:
        answer = Answer(first, task.sort_key, name_of(request), _digest(task.key, request))
    if len(task.answers) >= ANSWERS_KEPT:
        task.journal.drop(task.answers, min(task.answers, key=lambda id: task.answers[id]))
    task.journal.put(task.answers, request.request_id, answer)


def _digest(key: bytes, request: Ask) -> str:
    return salted(key, request.content)[:DIGITS]


def name_of(request: Ask) -> str:
    """What a refusal calls it, without what it hands over."""
    match request:
        case StepAsk(step=step):
            return f"{request.kind} of step {step!r}"
        case VoteAsk(step=step, actor=actor):
            return f"{request.kind} of {'the task' if step is None else f'step {step!r}'} by {actor!r}"
        case MoveTask(to=to):
            return f"{request.kind} to {to!r}"
        case SendEvent(name=name):
            return f"{request.kind} {name!r}"
    return f"{request.kind} of the task"
