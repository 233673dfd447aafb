"""What is said of a handler's call: a span that is current while it runs, a duration, and what log lines say of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from tasker_temporal.telemetry.carrier import context_of, sent
from tasker_temporal.telemetry.deliveries import listening
from tasker_temporal.telemetry.metrics import Metrics
from tasker_temporal.telemetry.outside import Outside
from tasker_temporal.telemetry.tracing import Tracing, name_of
from tasker_temporal.wire import StepCall, execution_of

Handlers = Mapping[str, tuple[str, str, str]]
"""For each activity type that is a handler: its template, its step, and the step's label."""

ATTEMPT: ContextVar[Mapping[str, Any]] = ContextVar("tasker_attempt")
"""What a line of the log says of the attempt in which it is written."""


class AttemptInbound(ActivityInboundInterceptor):
    """One worker's activities; those that are no handlers pass through."""

    def __init__(
        self, next: ActivityInboundInterceptor, tracing: Tracing, metrics: Metrics, handlers: Handlers
    ) -> None:
        super().__init__(next)
        self._tracing, self._metrics, self._handlers = tracing, metrics, handlers
        self._outside = Outside(tracing, metrics)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        handler = self._handlers.get(activity.info().activity_type)
        if handler is None:
            with listening(self._outside):
                return await super().execute_activity(input)
        template, step, label = handler
        call = StepCall.read(input.args[0])
        context = context_of(sent(input.headers))
        said = {"task_id": activity.info().workflow_id, "step": step, "attempt": call.attempt}
        with _current(self._begun(call, template, step, context), context, said) as span:
            begun, outcome = time.perf_counter(), "error"
            try:
                result = await super().execute_activity(input)
                outcome = "complete"
                return result
            except BaseException as error:
                outcome = "cancelled" if isinstance(error, CancelledError | asyncio.CancelledError) else "error"
                _blame(span, error, outcome)
                raise
            finally:
                self._metrics.record("tasker_attempt_duration", time.perf_counter() - begun, template, label, outcome)

    def _begun(self, call: StepCall, template: str, step: str, context: contexts.Context) -> trace.Span:
        tracer = self._tracing.tracer
        if tracer is None:
            return trace.INVALID_SPAN
        info = activity.info()
        attributes: dict[str, str | int] = {
            "tasker.task.id": info.workflow_id or "",
            "tasker.template.name": template,
            "tasker.step.name": step,
            "tasker.attempt.number": call.attempt,
            "tasker.attempt.execution": execution_of(info.activity_id)[1],
            "tasker.attempt.delivery": info.attempt,
        }
        return tracer.start_span(
            name_of("attempt", template=template, step=step), context, SpanKind.CONSUMER, attributes
        )


class _current:
    """The span is current in the block, and over at its end. Without a span, the context that was sent is."""

    def __init__(self, span: trace.Span, context: contexts.Context, said: Mapping[str, Any]) -> None:
        self._span, self._says = span, said
        self._context = context if span is trace.INVALID_SPAN else trace.set_span_in_context(span, context)

    def __enter__(self) -> trace.Span:
        self._token = contexts.attach(self._context)
        self._said = ATTEMPT.set(self._says)
        return self._span

    def __exit__(self, *_: object) -> None:
        self._span.end()
        ATTEMPT.reset(self._said)
        contexts.detach(self._token)


def _blame(span: trace.Span, error: BaseException, outcome: str) -> None:
    """By its type only: messages may hold personal text. A handler that was told to stop did nothing wrong."""
    kind = (error.type if isinstance(error, ApplicationError) else None) or type(error).__name__
    span.set_attribute("error.type", kind)
    if outcome == "error":
        span.set_status(Status(StatusCode.ERROR, kind))
