"""What is declared and makes no difference: events, branches, results, order that is said twice."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.checks.finding import Finding, finding
from tasker_temporal.core.conditions import reads
from tasker_temporal.core.guards import results_read
from tasker_temporal.core.template import Template
from tasker_temporal.core.triggers import Chosen, Received, leaves

NO_RESULT = ("None", "Any")
"""Return types of which nobody can say that a result is lost."""


def check_unused(template: Template) -> Iterator[Finding]:
    """What could be left out, or was forgotten."""
    if not template.steps:
        yield finding("TT-C035", "the template has no steps: its tasks complete at once")
    yield from _events(template)
    yield from _branches(template)
    yield from _results(template)
    yield from _leaves(template)
    yield from _twice(template)
    yield from _former(template)


def _events(template: Template) -> Iterator[Finding]:
    heard = {
        leaf.received
        for step in template.steps
        for leaf in (leaves(step.on) if step.on is not None else ())
        if isinstance(leaf, Received)
    }
    for event in template.events:
        if event.name not in heard:
            yield finding("TT-C030", f"event {event.name!r} is declared, but no trigger receives it", field="events")


def _branches(template: Template) -> Iterator[Finding]:
    waited = {
        (leaf.chosen, leaf.branch)
        for step in template.steps
        for leaf in (leaves(step.on) if step.on is not None else ())
        if isinstance(leaf, Chosen)
    }
    for step in template.steps:
        for branch in step.branches:
            if (step.name, branch) not in waited:
                message = f"step {step.name!r}: nothing waits for its branch {branch!r}"
                yield finding("TT-C031", message, step=step.name, field="branches")


def _results(template: Template) -> Iterator[Finding]:
    """The results of last steps are what the task is for."""
    taken = {a.step for step in template.steps for a in step.arguments if a.part == "result"}
    taken |= {step.name for step in template.steps if step.branches or not step.runs}
    taken |= results_read(template.type)
    read = {name for step in template.steps if step.when for name in step.needs if reads(step.when, f"result.{name}")}
    for step in template.steps:
        if (
            step.result not in NO_RESULT
            and step.name not in taken
            and template.followers(step.name)
            and step.name not in read
        ):
            message = f"step {step.name!r} returns {step.result}, which no step takes: its followers only wait for it"
            yield finding("TT-C032", message, step=step.name, field="result")


def _leaves(template: Template) -> Iterator[Finding]:
    last = [step.name for step in template.steps if not template.followers(step.name)]
    if len(last) > 1:
        for name in last:
            yield finding("TT-C033", f"nobody waits for step {name!r}: it is one of {len(last)} last steps", step=name)


def _twice(template: Template) -> Iterator[Finding]:
    for step in template.steps:
        taken = {a.step for a in step.arguments}
        for name in step.after:
            if name in taken:
                message = (
                    f"step {step.name!r}: it takes the result of {name!r}, so it waits for it without `after`, too"
                )
                yield finding("TT-C034", message, step=step.name, field="after")


def _former(template: Template) -> Iterator[Finding]:
    names = {step.name for step in template.steps}
    for step in template.steps:
        for name in step.formerly:
            if name in names:
                message = (
                    f"step {step.name!r}: its former name {name!r} is another step's name: tasks cannot tell them apart"
                )
                yield finding("TT-C036", message, step=step.name, field="formerly")
