"""Everything that telemetry says, by name: spans, their attributes, metrics, and which log level an event has.

Names are the field's: OpenTelemetry's rules for attributes (dotted, in the namespace `tasker`) and span names (a verb
and a target of which there are few), Temporal's for metrics (underscores, the unit is added on the way out).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple


class SpanKind(NamedTuple):
    """One kind of span. In `name`, TEMPLATE, STEP and REQUEST stand for what they say."""

    name: str
    kind: Literal["producer", "consumer", "client", "server", "internal"]
    parent: str
    span: str
    """From when to when."""


SPANS: Final[Mapping[str, SpanKind]] = {
    "start": SpanKind("start TEMPLATE", "producer", "the caller's span", "the call of `start_task`"),
    "task": SpanKind(
        "task TEMPLATE", "consumer", "the start", "from when Temporal took the task, over all its runs, to its end"
    ),
    "step": SpanKind(
        "step TEMPLATE.STEP",
        "internal",
        "the task",
        "from its first attempt to its end, waits between attempts included",
    ),
    "attempt": SpanKind(
        "attempt TEMPLATE.STEP", "consumer", "the step", "as long as the handler was called, on its worker"
    ),
    "ask": SpanKind("ask REQUEST", "client", "the caller's span", "from the request to its answer"),
    "request": SpanKind(
        "request REQUEST", "server", "the caller's; linked to the task", "while the workflow worked on the request"
    ),
}

ATTRIBUTES: Final[Mapping[str, str]] = {
    "tasker.task.id": "the task's id, which is the workflow's; on all spans",
    "tasker.template.name": "its template; on all spans but that of `ask`",
    "tasker.template.version": "the template's version; on the task's span",
    "tasker.task.state": "the state in which the task ended; `terminated`, `timed_out` or `aborted` by a sweeper",
    "tasker.task.steps": "how many steps it has",
    "tasker.run.id": "the Temporal run in which the span ended",
    "tasker.step.name": "the step",
    "tasker.step.state": "the state in which it ended; `pending` if somebody had it begin anew; "
    "the task's if a sweeper found that",
    "tasker.step.round": "how often it was begun, sent back ones included",
    "tasker.step.attempts": "attempts that it took",
    "tasker.attempt.number": "the attempt, counted from 1",
    "tasker.attempt.execution": "runs of the handler, counted for ever",
    "tasker.attempt.delivery": "above 1: so many workers were given this execution, those before were lost",
    "tasker.request.name": "the request, as `cancel`",
    "error.type": "what went wrong: the error's type. Messages are left out, they may hold personal text",
}


HANDED_ON: Final = "tasker-telemetry"
"""The header in which a run tells the next one what telemetry knows."""


class Metric(NamedTuple):
    """One instrument: how often something happened, or how many seconds it took."""

    kind: Literal["counter", "histogram"]
    labels: tuple[str, ...]
    description: str

    @property
    def unit(self) -> str | None:
        return "seconds" if self.kind == "histogram" else None


def _count(*labels: str, of: str) -> Metric:
    return Metric("counter", labels, of)


def _duration(*labels: str, of: str) -> Metric:
    return Metric("histogram", labels, of)


METRICS: Final[Mapping[str, Metric]] = {
    "tasker_task_transitions": _count("template", "from", "to", of="Moves of tasks."),
    "tasker_task_duration": _duration(
        "template", "state", of="From when Temporal took the task to its end, by the state in which it ended."
    ),
    "tasker_step_transitions": _count("template", "from", "to", of="Moves of steps."),
    "tasker_step_duration": _duration("template", "step", "state", of="From a step's first attempt to its end."),
    "tasker_attempt_duration": _duration(
        "template", "step", "outcome", of="How long a handler was called: to `complete`, `error` or `cancelled`."
    ),
    "tasker_retries_used_up": _count("template", "step", of="Steps whose last attempt failed."),
    "tasker_steps_failed_permanently": _count(
        "template", "step", "because", of="Steps that failed for good for another reason."
    ),
    "tasker_events_published": _count(
        "template", "event", of="Events of a template's own, of the category `telemetry`."
    ),
    "tasker_requests": _count("template", "request", "outcome", of="Requests to tasks: `applied` or `refused`."),
    "tasker_waits_begun": _count(
        "template", "kind", of="Waits that began. Less the count of tasker_wait_duration, those that last."
    ),
    "tasker_wait_duration": _duration("template", "kind", of="How long a wait was, when it was over."),
    "tasker_sink_deliveries": _count(
        "template", "sink", "outcome", of="Events given to sinks: `delivered` or `failed`."
    ),
    "tasker_sink_lag": _duration(
        "template", "sink", of="From when the oldest event of a delivery happened to its delivery."
    ),
}

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400, 604800)
"""Seconds: from a handler that looks something up to a task that waits for a person for a week."""

STEPS_NAMED: Final = 100
"""A step's name is a label in templates with at most so many steps; in larger ones the label says `*`."""

WAITS: Final[Mapping[str, str]] = {
    "execution": "a handler was ordered: until its outcome was recorded, time in queues included",
    "backoff": "a step failed, and another attempt follows",
    "handler": "no worker has the handler",
    "approval": "people are asked to decide",
    "event": "a step waits for something from outside",
    "move": "the task is in a state of its type's own",
    "pause": "somebody paused the task",
    "hold": "the task is in error, and somebody may step in",
}
"""The values of `kind`, as `waiting` has them."""

LEVELS: Final[Mapping[str, int]] = {
    "task.failed": logging.WARNING,
    "task.terminated": logging.WARNING,
    "task.timed_out": logging.WARNING,
    "task.aborted": logging.ERROR,
    "step.max_retries_reached": logging.WARNING,
    "step.failed_permanently": logging.WARNING,
    "step.handler_missing": logging.WARNING,
    "step.deadline_exceeded": logging.WARNING,
    "workflow.task_state_unclear": logging.ERROR,
}
"""Beside these, what happens to a task is INFO, and the rest DEBUG. A failed attempt is the worker's own warning."""


def level_of(event: str) -> int:
    """How loud the event is."""
    return LEVELS.get(event, logging.INFO if event.startswith("task.") else logging.DEBUG)
