"""Hears what happens to one task, and tells of it: spans at their end, counts, durations, lines of the log.

It hears an event when the whole message that led to it was applied, changes nothing, and tells nothing in a replay.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from opentelemetry.trace import SpanContext
from temporalio import workflow

from tasker_temporal.core.events import (
    AttemptsUsedUp,
    Event,
    FailedPermanently,
    Payload,
    RowWritten,
    StepTransitioned,
    TaskTransitioned,
)
from tasker_temporal.core.machine import OVER, State
from tasker_temporal.core.task import Step, Task
from tasker_temporal.telemetry.catalogue import LEVELS, level_of
from tasker_temporal.telemetry.harmless import harmless
from tasker_temporal.telemetry.metrics import Metrics, step_label
from tasker_temporal.telemetry.present import Present
from tasker_temporal.telemetry.route import Route
from tasker_temporal.telemetry.spans import Spans, is_under_way
from tasker_temporal.telemetry.tracing import Times, Tracing, name_of
from tasker_temporal.telemetry.waits import Waits

logger = logging.getLogger("tasker_temporal.task")

AROUND = frozenset(f"{entity}.{when}_transition" for entity in ("task", "step") for when in ("before", "after"))
"""These repeat what the event of the move itself says."""


class Listener:
    """One run's.

    Args:
        begun: When Temporal took the task, in nanoseconds; of a reopened one, when it was reopened.
        links: The spans that led to the run otherwise than by starting the task.
        measured: The template's own events that are counted.
    """

    def __init__(
        self,
        task: Task,
        route: Route,
        tracing: Tracing,
        metrics: Metrics,
        waits: Waits,
        present: Present,
        begun: int,
        links: tuple[SpanContext, ...] = (),
        measured: Collection[str] = (),
    ) -> None:
        self.route, self._task, self._measured = route, task, measured
        self._tracing, self._metrics, self._waits = tracing, metrics, waits
        self._present, self._begun = present, begun
        self._template = task.template.name
        self._spans = Spans(task, route, tracing, metrics, workflow.info().run_id, begun, links)
        self._is_over = False
        # The beginnings of the steps that are under way: their spans' ids are made of them.
        self._lives = {step.name: step.started_at for step in task.steps.values() if is_under_way(step)}

    def __call__(self, event: Event[Payload]) -> None:
        if not self._is_over and event.name not in AROUND:
            with harmless():
                self._hear(event)

    def close(self) -> None:
        """The run is over. What its engine is fed in the same breath is no part of the task: the next run has it."""
        self._is_over = True

    def _hear(self, event: Event[Payload]) -> None:
        payload = event.payload
        fact = event.name, getattr(payload, "step", None), getattr(payload, "execution", None)
        tells = self._present.tells(*fact)
        over, begins = self._waits.hear(event, self._task)
        if tells and over is not None:
            kind, since = over
            self._metrics.record("tasker_wait_duration", self._task.now.timestamp() - since, self._template, kind)
        if tells and begins is not None:
            self._metrics.count("tasker_waits_begun", self._template, begins)
        if isinstance(payload, StepTransitioned):
            self._step_moved(payload, tells)
        elif isinstance(payload, TaskTransitioned):
            self._task_moved(payload, tells)
        elif isinstance(payload, AttemptsUsedUp | FailedPermanently):
            self._step_failed(payload, tells)
        elif event.name == "task.hold_ended" and tells:
            self._spans.task_over(State.ERROR, self._task.now)
        if tells and event.name in self._measured:
            self._metrics.count("tasker_events_published", self._template, event.name)
        if tells:
            self._log(event)

    def handed_on(self) -> dict[str, Any]:
        """What the listener of the next run must know."""
        return {"begun": self._begun, "waits": self._waits.known}

    def leading_to(self, step: str) -> dict[str, str]:
        """What to send to a handler of the step, so that its span is the step's child."""
        begun = self._lives.get(step)
        return self.route.leading_to(self.route.span if begun is None else self.route.step(step, begun))

    # Steps.

    def _step_moved(self, moved: StepTransitioned, tells: bool) -> None:
        step = self._task.steps[moved.step]
        if tells:
            source = "none" if moved.from_state is None else moved.from_state
            self._metrics.count("tasker_step_transitions", self._template, source, moved.to_state)
        if moved.to_state in OVER:
            self._step_over(step, moved.to_state, self._lives.pop(step.name, None), tells)
        elif moved.to_state in (State.PENDING, State.IN_PROGRESS):
            self._follow(step, tells)

    def _follow(self, step: Step, tells: bool) -> None:
        """A step that somebody had begin anew before it was over leaves a life behind that ends here."""
        begun = self._lives.get(step.name)
        if begun is not None and begun != step.started_at:
            del self._lives[step.name]
            self._step_over(step, State.PENDING, begun, tells)
        if step.started_at is not None and step.state is State.IN_PROGRESS:
            self._lives[step.name] = step.started_at

    def _step_failed(self, failed: AttemptsUsedUp | FailedPermanently, tells: bool) -> None:
        step = self._task.steps[failed.step]
        labels = self._template, step_label(self._task.template, step.name)
        if tells and isinstance(failed, AttemptsUsedUp):
            self._metrics.count("tasker_retries_used_up", *labels)
        elif tells and isinstance(failed, FailedPermanently):
            self._metrics.count("tasker_steps_failed_permanently", *labels, failed.because)
        self._step_over(step, State.ERROR, self._lives.pop(step.name, None), tells)

    def _step_over(self, step: Step, state: State, begun: datetime | None, tells: bool) -> None:
        if tells:
            self._spans.step_over(step, state, begun, self._task.now)

    # The task.

    def _task_moved(self, moved: TaskTransitioned, tells: bool) -> None:
        if not tells:
            return
        source = "none" if moved.from_state is None else moved.from_state
        self._metrics.count("tasker_task_transitions", self._template, source, moved.to_state)
        if moved.to_state in OVER or (moved.to_state is State.ERROR and not self._task.is_held):
            self._spans.task_over(moved.to_state, self._task.now)

    # Requests.

    def asked(self, name: str, id: str, times: Times, caller: SpanContext | None, error: str | None) -> None:
        """Somebody asked something of the task. `caller` is the span in which they did."""
        self._metrics.count("tasker_requests", self._template, name, "applied" if error is None else "refused")
        route = self.route
        parent = route.span if caller is None else caller
        span = route.request(id)
        if caller is not None:
            span = SpanContext(caller.trace_id, span.span_id, is_remote=True, trace_flags=caller.trace_flags)
        links = [] if caller is None else [route.span]
        attributes = {**self._spans.about_task(), "tasker.request.name": name}
        told = name_of("request", request=name)
        self._tracing.tell("request", told, span, route.below(parent), times, attributes, links=links, error=error)

    # The log.

    def _log(self, event: Event[Payload]) -> None:
        payload, level = event.payload, level_of(event.name)
        if not (isinstance(payload, RowWritten) or event.name in LEVELS) or not logger.isEnabledFor(level):
            return
        step = getattr(payload, "step", None)
        said: Mapping[str, Any] = {
            "task_id": self._task.id,
            "template": self._template,
            "event": event.name,
            "trace_id": self.route.trace_id,
            **({"step": step, "attempt": self._task.steps[step].attempt} if step is not None else {}),
        }
        about = f"task {self._task.id}" if step is None else f"task {self._task.id}, step {step}"
        logger.log(level, "%s: %s", about, event.name, extra=said)
