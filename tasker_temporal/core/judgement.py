"""Evaluates the conditions of a task on its own data: of steps, of events, and of routes."""

from __future__ import annotations

from collections.abc import Mapping

from tasker_temporal.core.arguments import failure_of, payload_of
from tasker_temporal.core.conditions import DATA_LIMIT, decoded, holds, reads
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content, Failure, Message, Note, TransitionTo
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.triggers import events_of
from tasker_temporal.errors import ConditionError


def judged(task: Task, step: Step) -> Message:
    """What follows from the step's condition: it may run, is skipped, or has failed because nobody can tell."""
    when = step.template.when
    try:
        met = evaluated(when, _sources(task, step))
    except ConditionError as error:
        return TransitionTo(step.name, State.ERROR, failure=Failure("ConditionError", str(error), retryable=False))
    if met:
        return Note("step.condition_met", step.name, {"when": when})
    return TransitionTo(step.name, State.SKIPPED, reason=f"its condition is false: {when}")


def _sources(task: Task, step: Step) -> dict[str, Content | None]:
    found: dict[str, Content | None] = {"context": task.context}
    for name in step.template.needs:
        found[f"result.{name}"] = task.steps[name].result
        found[f"failure.{name}"] = failure_of(task.steps[name])
    for event in events_of(step.template.on):
        found["event"] = payload_of(task, step, event)
    return found


def evaluated(expression: str, sources: Mapping[str, Content | None]) -> bool:
    """Evaluate it on what it names of `sources`, which are by path: `context`, `result.charge`.

    Raises:
        ConditionError: it reads too much, or what is not JSON, or has no answer.
    """
    read = {path: content for path, content in sources.items() if reads(expression, path)}
    size = sum(len(content.data) for content in read.values() if content is not None)
    if size > DATA_LIMIT:
        raise ConditionError(expression, f"it reads {size} bytes: at most {DATA_LIMIT} are evaluated")
    data: dict[str, object] = {}
    for path, content in read.items():
        root, _, name = path.partition(".")
        value = None if content is None else decoded(expression, path, content.data)
        if name:
            known = data.setdefault(root, {})
            assert isinstance(known, dict)
            known[name] = value
        else:
            data[root] = value
    return holds(expression, data)
