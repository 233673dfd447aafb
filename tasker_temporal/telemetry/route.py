"""Where a task stands in its trace: below whom it was started, and the ids of its own span and of its steps'."""

from __future__ import annotations

from datetime import datetime

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext

from tasker_temporal.core.task import Task
from tasker_temporal.telemetry.carrier import Carrier, below, carried_by, context_of, span_of
from tasker_temporal.telemetry.identity import span_id_of, trace_id_of
from tasker_temporal.telemetry.tracing import Tracing, name_of, spanned


class Route:
    """One chain of runs: those that continue one another as new.

    Attributes:
        parent: The context in which the task was started.
        span: The task's span.
    """

    def __init__(self, task: Task, chain: str, carrier: Carrier, tracing: Tracing) -> None:
        self.carrier = carrier
        self.parent = context_of(carrier)
        starter = span_of(self.parent)
        trace_id = trace_id_of(task.key) if starter is None else starter.trace_id
        sampled = tracing.samples(self.parent, trace_id, name_of("task", template=task.template.name))
        self._task_id, self._chain = task.id, chain
        self.span = spanned(trace_id, span_id_of(trace_id, task.id, chain), sampled, starter)

    @property
    def trace_id(self) -> str:
        """As 32 hexadecimal digits."""
        return f"{self.span.trace_id:032x}"

    def step(self, step: str, begun: datetime) -> SpanContext:
        """The span of a step that began its attempts then."""
        return self._named(step, begun.isoformat())

    def request(self, id: str) -> SpanContext:
        """The span of a request to the task."""
        return self._named("request", id)

    def _named(self, *parts: str) -> SpanContext:
        span = self.span
        id = span_id_of(span.trace_id, self._task_id, self._chain, *parts)
        return spanned(span.trace_id, id, span.trace_flags.sampled, span)

    def below(self, span: SpanContext) -> Context:
        """What is told below the span, with the baggage of whoever started the task."""
        return below(span, self.parent)

    def leading_to(self, span: SpanContext) -> dict[str, str]:
        """What to send so that the receiver goes on below the span."""
        return carried_by(self.below(span))
