"""What a step takes of what its trigger names, as far as it is there: results, failures, and payloads of events."""

from __future__ import annotations

from pydantic_core import to_json

from tasker_temporal.core.messages import Content
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.template import Argument
from tasker_temporal.core.triggers import Received, leaves


def missing(task: Task, step: Step) -> str | None:
    """What it requires and cannot have."""
    for argument in step.template.arguments:
        if is_named(step, argument) and not argument.optional and argument_of(task, step, argument) is None:
            return _missed(argument)
    return None


def is_named(step: Step, argument: Argument) -> bool:
    """The parameter takes something that the step's trigger names."""
    return argument.event is not None or argument.step in step.template.named


def _missed(argument: Argument) -> str:
    if argument.event is not None:
        return f"the event {argument.event!r}, which it takes, has not come"
    return f"the {argument.part} of {argument.step!r}, which it requires, is not there"


def weigh(task: Task, step: Step) -> None:
    """Count what it takes of that into the size of its payloads."""
    taken = [argument_of(task, step, a) for a in step.template.arguments if is_named(step, a)]
    weight = sum(content.size for content in taken if content is not None)
    step.size += weight - step.taken
    step.taken = weight


def argument_of(task: Task, step: Step, argument: Argument) -> Content | None:
    """What the parameter is handed; None if there is nothing."""
    if argument.event is not None:
        return payload_of(task, step, argument.event)
    if argument.step is None:
        return task.context
    named = task.steps[argument.step]
    return failure_of(named) if argument.part == "failure" else named.result


def failure_of(step: Step) -> Content | None:
    """How the step failed, as JSON; None if it has not failed for good."""
    if not step.has_failed or step.failure is None:
        return None
    told = {"step": step.name, "type": step.failure.type, "message": step.failure.message, "attempts": step.attempt}
    return Content(to_json(told))


def payload_of(task: Task, step: Step, event: str) -> Content | None:
    """The payload of the event of that name that the step was waiting for; None if it has not come."""
    on = step.template.on
    for number, leaf in enumerate(leaves(on)) if on is not None else ():
        if isinstance(leaf, Received) and leaf.received == event and number in step.came:
            row = step.came[number]
            return next((kept.content for kept in task.inbox.get(inbox_name(event), ()) if kept.row == row), None)
    return None


def forget_gone(task: Task, step: Step) -> None:
    """A step that is done again takes the events that it had, as far as they are still kept."""
    if not step.came:
        return
    kept = {entry.row for entries in task.inbox.values() for entry in entries}
    step.came = {number: row for number, row in step.came.items() if row in kept}


def inbox_name(event: str) -> str:
    """Under which name events are kept. Steps keep theirs there too."""
    return f"event:{event}"
