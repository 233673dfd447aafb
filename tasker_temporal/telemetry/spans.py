"""The spans and durations of one task and its steps, told when they are over."""

from __future__ import annotations

from datetime import datetime

from opentelemetry.trace import SpanContext

from tasker_temporal.core.machine import OVER, State
from tasker_temporal.core.task import Step, Task
from tasker_temporal.telemetry.metrics import Metrics, step_label
from tasker_temporal.telemetry.route import Route
from tasker_temporal.telemetry.tracing import Times, Tracing, name_of


class Spans:
    """One run's.

    Args:
        begun: When Temporal took the task, in nanoseconds; of a reopened one, when it was reopened.
        links: The spans that led to the run otherwise than by starting the task.
    """

    def __init__(
        self,
        task: Task,
        route: Route,
        tracing: Tracing,
        metrics: Metrics,
        run_id: str,
        begun: int,
        links: tuple[SpanContext, ...] = (),
    ) -> None:
        self._task, self._route, self._tracing, self._metrics = task, route, tracing, metrics
        self._template = task.template.name
        self._run_id, self._begun, self._links = run_id, begun, links

    def step_over(self, step: Step, state: State | str, begun: datetime | None, now: datetime) -> None:
        """A step that never ran has a span without length."""
        since = now if begun is None else begun
        label = step_label(self._task.template, step.name)
        self._metrics.record("tasker_step_duration", (now - since).total_seconds(), self._template, label, state)
        error = step.failure.type if state is State.ERROR and step.failure is not None else None
        attributes = {
            **self.about_task(),
            "tasker.step.name": step.name,
            "tasker.step.state": str(state),
            "tasker.step.round": step.round,
            "tasker.step.attempts": step.attempt,
        }
        name = name_of("step", template=self._template, step=step.name)
        span, parent = self._route.step(step.name, since), self._route.below(self._route.span)
        self._tracing.tell("step", name, span, parent, _times(since, now), attributes, error=error)

    def task_over(self, state: State | str, now: datetime, error: str | None = None) -> None:
        """`error` is what went wrong, if it is no state."""
        task, end = self._task, _nanoseconds(now)
        self._metrics.record("tasker_task_duration", (end - self._begun) / 1e9, self._template, state)
        attributes = {
            **self.about_task(),
            "tasker.template.version": task.template.version,
            "tasker.task.state": str(state),
            "tasker.task.steps": len(task.steps),
        }
        name, times = name_of("task", template=self._template), Times(self._begun, end)
        said = "TaskFailed" if state is State.ERROR else error
        route = self._route
        self._tracing.tell("task", name, route.span, route.parent, times, attributes, links=self._links, error=said)

    def about_task(self) -> dict[str, str | int]:
        """The attributes of every span of the task."""
        return {
            "tasker.task.id": self._task.id,
            "tasker.template.name": self._template,
            "tasker.run.id": self._run_id,
        }


def is_under_way(step: Step) -> bool:
    """Its span has begun."""
    return step.started_at is not None and step.final is None and step.state not in OVER


def _times(start: datetime, end: datetime) -> Times:
    return Times(_nanoseconds(start), _nanoseconds(end))


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
