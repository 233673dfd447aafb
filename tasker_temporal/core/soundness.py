"""Whether triggers, decisions and events fit together: what keeps a template from being sound beside its graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tasker_temporal.core.mistakes import TEMPLATE_NAME
from tasker_temporal.core.template import Argument, StepTemplate, Template
from tasker_temporal.core.triggers import (
    AtLeast,
    Chosen,
    Ended,
    Failed,
    Group,
    Leaf,
    Received,
    leaves,
    parts,
    step_of,
)
from tasker_temporal.core.values import EVENT_NAME_LIMIT
from tasker_temporal.core.variables import Schemas, condition_mistakes

SIGNALS: Final = ("transition", "send_event")
"""The library's own: what comes under these names is a request, or any event."""

RESERVED: Final = "__temporal"
"""Begins what is Temporal's own."""


def unsound(template: Template, schemas: Schemas = lambda path: {}) -> list[str]:
    """Every mistake, each in a sentence that names its step. With `schemas`, types are checked as far as they tell."""
    found = [*_event_mistakes(template), *_mode_mistakes(template)]
    for step in template.steps:
        mistakes = [*_trigger_mistakes(template, step), *_argument_mistakes(step), *_wait_mistakes(step)]
        found += [f"step {step.name!r}: {mistake}" for mistake in (*mistakes, *_decision_mistakes(step))]
    return [*found, *condition_mistakes(template, schemas)]


def _event_mistakes(template: Template) -> Iterator[str]:
    names: set[str] = set()
    for event in template.events:
        if not TEMPLATE_NAME.fullmatch(event.name):
            yield f"event {event.name!r}: expected dotted identifiers as its name"
        if len(event.name) > EVENT_NAME_LIMIT:
            yield f"event {event.name!r}: expected a name of at most {EVENT_NAME_LIMIT} characters"
        if event.name in SIGNALS or event.name.startswith(RESERVED):
            yield f"event {event.name!r}: a signal of that name is not the event: expected another name"
        if event.name in names:
            yield f"event {event.name!r} is declared twice: expected one event of each name"
        names.add(event.name)


def _mode_mistakes(template: Template) -> Iterator[str]:
    if template.mode == "sequential_only" and template.max_concurrency not in (None, 1):
        yield f"its max_concurrency {template.max_concurrency}: sequential_only runs one step at a time"


def _trigger_mistakes(template: Template, step: StepTemplate) -> Iterator[str]:
    if step.on is None:
        return
    events = [event.name for event in template.events]
    for leaf in leaves(step.on):
        if isinstance(leaf, Received) and leaf.received not in events:
            known = f"one of {events}" if events else "it among the template's events"
            yield f"it waits for the event {leaf.received!r}, which is not declared: expected {known}"
        if isinstance(leaf, Chosen):
            yield from _branch_mistakes(template, leaf)
    yield from _group_mistakes(step.on)


def _branch_mistakes(template: Template, leaf: Chosen) -> Iterator[str]:
    branches = next((step.branches for step in template.steps if step.name == leaf.chosen), ())
    if not branches:
        yield f"step {leaf.chosen!r} has no branch {leaf.branch!r}, as it is no decision: expected one with branches"
    elif leaf.branch not in branches:
        yield f"step {leaf.chosen!r} has no branch {leaf.branch!r}: expected one of {list(branches)}"


def _group_mistakes(trigger: Leaf | Group) -> Iterator[str]:
    if isinstance(trigger, AtLeast) and trigger.at_least > len(trigger.of):
        yield f"its trigger asks for at least {trigger.at_least} of {len(trigger.of)}: it could never be true"
    for part in parts(trigger):
        yield from _group_mistakes(part)


def _argument_mistakes(step: StepTemplate) -> Iterator[str]:
    found = [] if step.on is None else list(leaves(step.on))
    failures = {step_of(leaf) for leaf in found if isinstance(leaf, (Failed, Ended))}
    events = {leaf.received for leaf in found if isinstance(leaf, Received)}
    for argument in step.arguments:
        if argument.part == "failure" and argument.step not in failures:
            yield f"its parameter {argument.name!r}: {_expected(argument, 'failed', argument.step)}"
        if argument.event is not None and argument.event not in events:
            yield f"its parameter {argument.name!r}: {_expected(argument, 'received', argument.event)}"


def _expected(argument: Argument, word: str, name: str | None) -> str:
    what = "the failure of a step" if argument.part == "failure" else "an event"
    return f"it takes {what} that its trigger does not name: expected on={word}({name!r})"


def _wait_mistakes(step: StepTemplate) -> Iterator[str]:
    if step.awaits == "event" and not isinstance(step.on, Received):
        yield "it waits for an event: expected received(event) and nothing else"
    if step.awaits != "event" and step.on_deadline != "fail":
        yield "its on_deadline='skip': only a wait for an event can be skipped when its deadline passes"


def _decision_mistakes(step: StepTemplate) -> Iterator[str]:
    if len(set(step.branches)) != len(step.branches):
        yield f"its branches {list(step.branches)}: expected each once"
    if not all(branch.strip() for branch in step.branches):
        yield f"its branches {list(step.branches)}: expected none of them blank"
    if step.branches and not step.runs:
        yield "it has branches, but no handler that could choose among them"
