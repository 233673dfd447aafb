"""Does it fit? Temporal's limits on payloads, histories and what is under way at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic_core import to_json

from tasker_temporal.checks.finding import Finding, finding
from tasker_temporal.checks.shape import levels
from tasker_temporal.core.template import PAYLOAD_LIMIT, Limits, StepTemplate, Template

PENDING_ACTIVITIES: Final = 2_000
"""Activities that the server lets one workflow have under way."""
HISTORY_EVENTS: Final = 51_200
"""From so many events on the server terminates a run."""
HISTORY_BYTES: Final = 50 * 1024 * 1024
EVENTS_TO_FINISH: Final = 9
"""History events that a step in flight may still cause while the run drains: it ends, backs off, and is told."""
EVENTS_A_STEP: Final = 6
"""Those of a step that runs alone and succeeds: it is scheduled, starts and completes, and so is a workflow task."""
EVENTS_A_RETRY: Final = 11
"""Those of an attempt that fails and is followed by another, with its timer."""
LARGE_CONFIG: Final = 64 * 1024
"""Bytes. It is sent with every attempt."""
MANY_RESULTS: Final = 32


def check_sizes(template: Template) -> Iterator[Finding]:
    """What is over a limit, or certain to reach one."""
    yield from _server_limits(template.limits)
    yield from _template_size(template)
    yield from _history(template)
    yield from _window(template)
    for step in template.steps:
        yield from _step(template, step)


def _server_limits(limits: Limits) -> Iterator[Finding]:
    if limits.in_flight > PENDING_ACTIVITIES:
        message = (
            f"limits.in_flight is {limits.in_flight}: the server lets a workflow have {PENDING_ACTIVITIES} activities"
        )
        yield finding("TT-C020", message, field="limits")
    events = limits.drain_events + EVENTS_TO_FINISH * limits.in_flight
    if events > HISTORY_EVENTS:
        message = (
            f"limits.drain_events is {limits.drain_events}, and {limits.in_flight} steps in flight may add "
            f"{EVENTS_TO_FINISH * limits.in_flight}: the server ends a run at {HISTORY_EVENTS} events"
        )
        yield finding("TT-C020", message, field="limits")
    if limits.drain_bytes > HISTORY_BYTES:
        message = f"limits.drain_bytes is {limits.drain_bytes}: the server ends a run at {HISTORY_BYTES} bytes"
        yield finding("TT-C020", message, field="limits")


def _template_size(template: Template) -> Iterator[Finding]:
    """A bound that holds before it is compressed; so it is told as an error only where nothing could help."""
    size = len(to_json(template.model_dump(mode="json", exclude_defaults=True)))
    if size > COMPRESSED_TO * PAYLOAD_LIMIT:
        message = f"the template has {size} bytes: it travels with each task, which takes {PAYLOAD_LIMIT} when packed"
        yield finding("TT-C021", message)


COMPRESSED_TO: Final = 5
"""Names and configs shrink to a fifth or less."""


def _step(template: Template, step: StepTemplate) -> Iterator[Finding]:
    config = len(to_json(step.config)) if step.config else 0
    if config > PAYLOAD_LIMIT:
        message = f"step {step.name!r}: its config has {config} bytes, of {PAYLOAD_LIMIT} that a step can be sent"
        yield finding("TT-C022", message, step=step.name, field="config")
    elif config > LARGE_CONFIG:
        message = f"step {step.name!r}: its config of {config} bytes is sent with every attempt"
        yield finding("TT-C022", message, step=step.name, field="config", severity="warning")
    events = step.max_attempts * EVENTS_A_RETRY
    if step.runs and events > template.limits.drain_events:
        told = f"step {step.name!r}: its {step.max_attempts} attempts alone take {events} history events"
        message = f"{told}, if all fail: the task continues as new in between"
        yield finding("TT-C024", message, step=step.name, field="retry")
    results = sum(a.step is not None for a in step.arguments)
    if results > MANY_RESULTS:
        each = PAYLOAD_LIMIT // results
        message = (
            f"step {step.name!r} takes {results} results, together at most {PAYLOAD_LIMIT} bytes: about {each} each"
        )
        yield finding("TT-C026", message, step=step.name)


def _history(template: Template) -> Iterator[Finding]:
    events = 6 + EVENTS_A_STEP * len(template.steps)
    if events > template.limits.drain_events:
        runs = -(-events // template.limits.drain_events)
        message = f"up to {events} history events without any retry: the task continues as new, in about {runs} runs"
        yield finding("TT-C023", message, field="limits")


def _window(template: Template) -> Iterator[Finding]:
    window = min(template.limits.in_flight, template.max_concurrency or template.limits.in_flight)
    if template.max_concurrency is not None and template.max_concurrency > template.limits.in_flight:
        message = (
            f"max_concurrency {template.max_concurrency} has no effect: limits.in_flight is {template.limits.in_flight}"
        )
        yield finding("TT-C015", message, field="max_concurrency")
    widest = max((sum(template.step(name).runs for name in level) for level in levels(template)), default=0)
    if widest > window and template.mode != "sequential_only":
        message = f"up to {widest} steps could run at once, and {window} may: the others wait for their turn"
        yield finding("TT-C025", message, field="limits")
