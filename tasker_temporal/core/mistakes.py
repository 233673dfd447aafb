"""What keeps a template from being a sound graph: names, cycles, approvals and types that do not fit."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter

from tasker_temporal.core.approval import approval_mistakes
from tasker_temporal.core.task_types import TYPES, type_mistakes
from tasker_temporal.core.template import Template
from tasker_temporal.core.values import queue_problem

TEMPLATE_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
STEP_NAME = re.compile(r"[A-Za-z_][\w-]*")
NAME_LIMIT = 100


def mistakes(template: Template) -> list[str]:
    """Everything that keeps the template from being a sound graph, each in a sentence that names its step."""
    return [*_name_mistakes(template), *_graph_mistakes(template), *_approval_mistakes(template)]


def _approval_mistakes(template: Template) -> list[str]:
    found = _type_mistakes(template)
    if template.approval is not None:
        found += approval_mistakes(template.approval, template.approval.deadline, "None")
    for step in template.steps:
        said = [] if step.approval is None else approval_mistakes(step.approval, step.deadline, step.result)
        if (step.awaits == "approval") != (step.approval is not None):
            said.append("it awaits an approval: expected the terms of one with it, and only then")
        if step.approval is not None and step.approval.deadline is not None:
            said.append("its approval has a deadline of its own: expected the step's")
        if step.approval is not None and step.name == "task":
            said.append("an approval of that name would be mistaken for the task's own: expected another name")
        found += [f"step {step.name!r}: {mistake}" for mistake in said]
    return found


def _type_mistakes(template: Template) -> list[str]:
    """A type that a route may choose must be possible too, and the approval of one is none too many for the others."""
    chosen = [TYPES[route.task_type] for route in template.routes if route.task_type is not None]
    known = {kind.name: kind for kind in (template.type, *chosen)}
    is_given, is_used = template.approval is not None, any(kind.is_approved for kind in known.values())
    return [
        mistake
        for kind in known.values()
        for mistake in type_mistakes(kind, has_approval=is_given and (kind.is_approved or not is_used))
    ]


def _name_mistakes(template: Template) -> list[str]:
    found = []
    if not TEMPLATE_NAME.fullmatch(template.name) or len(template.name) > NAME_LIMIT:
        found.append(f"its name {template.name!r}: expected dotted identifiers, at most {NAME_LIMIT} characters")
    if template.name.split(".")[0] == "tasker":
        found.append(f"its name {template.name!r}: the namespace 'tasker' is the library's own")
    names: set[str] = set()
    for step in template.steps:
        if not STEP_NAME.fullmatch(step.name) or len(step.name) > NAME_LIMIT:
            found.append(f"step {step.name!r}: expected an identifier of at most {NAME_LIMIT} characters as its name")
        if step.name in names:
            found.append(f"step {step.name!r} is declared twice: expected one step of each name")
        names.add(step.name)
    queues = {"the template": template.task_queue}
    queues |= {f"step {step.name!r}": step.task_queue for step in template.steps}
    queues |= {f"sink {sink.name!r}": sink.task_queue for sink in template.sinks}
    found += [
        f"{who}: its task_queue: {problem}: expected another name"
        for who, queue in queues.items()
        if queue is not None and (problem := queue_problem(queue)) is not None
    ]
    sinks = [sink.name for sink in template.sinks]
    found += [
        f"sink {name!r}: expected an identifier as its name, and one sink of each name"
        for name in dict.fromkeys(sinks)
        if not STEP_NAME.fullmatch(name) or len(name) > NAME_LIMIT or sinks.count(name) > 1
    ]
    return found


def _graph_mistakes(template: Template) -> list[str]:
    names = {step.name for step in template.steps}
    found = [
        f"step {step.name!r} waits for {unknown!r}, which is no step of this template: expected one of {sorted(names)}"
        for step in template.steps
        for unknown in step.needs
        if unknown not in names
    ]
    try:
        TopologicalSorter({step.name: step.needs for step in template.steps}).prepare()
    except CycleError as error:
        found.append(f"step {error.args[1][0]!r} waits for itself: {' -> '.join(reversed(error.args[1]))}")
    return found
