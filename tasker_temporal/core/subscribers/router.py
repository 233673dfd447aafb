"""Finds how a task is processed: the first of its template's routes that holds, or what its start says."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.core.events import Event, TaskTransitioned
from tasker_temporal.core.judgement import evaluated
from tasker_temporal.core.messages import Message, Note
from tasker_temporal.core.routes import AS_DECLARED, Course, Route
from tasker_temporal.core.task import Task
from tasker_temporal.errors import ConditionError


def route(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """What the start says wins over a route, field by field. A route that cannot be evaluated does not hold."""
    if not task.template.routes and task.course is AS_DECLARED:
        return
    rule, unclear = None, []
    for number, known in enumerate(task.template.routes, start=1):
        try:
            rule = (known.name or str(number), known) if evaluated(known.when, {"context": task.context}) else None
        except ConditionError:
            unclear.append(known.name or str(number))
        if rule is not None:
            break
    asked = _said(task.course)
    if rule is None and not asked and not unclear:
        return
    course = Course.model_validate((_said(rule[1]) if rule is not None else {}) | asked)
    metadata = _said(course) | ({"rule": rule[0]} if rule is not None else {})
    metadata |= {"unclear": unclear} if unclear else {}
    yield Note("task.routed", metadata=metadata, change={"course": course})


def _said(course: Course | Route) -> dict[str, object]:
    plain = course.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in plain.items() if name in Course.model_fields}
