"""Lines of Python's log as OpenTelemetry's records: which task, step, attempt and trace each is about.

OpenTelemetry for Python has no stable names for logs yet, so these are only imported when OTEL_LOGS_EXPORTER asks.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry import trace
from opentelemetry._logs import LoggerProvider, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current, get_value
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tasker_temporal.telemetry.logs import about

NAMES: Final[Mapping[str, str]] = {
    "task_id": "tasker.task.id",
    "template": "tasker.template.name",
    "step": "tasker.step.name",
    "attempt": "tasker.attempt.number",
}
"""The attribute that says what a line of JSON says under that name."""

SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (logging.DEBUG, SeverityNumber.DEBUG),
)

THEIR_OWN: Final = ("opentelemetry", "grpc")
"""Loggers of the exporter itself: what it says of a failed export would be exported. So would be what the libraries say
that it calls, but those run in a context that OpenTelemetry has marked."""


class ExportingHandler(logging.Handler):
    """Hands lines to a logger provider. What an exception says is left out, because it may be personal or secret."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in THEIR_OWN or get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return
        try:
            said = about(record)
            self._provider.get_logger(record.name).emit(
                timestamp=int(record.created * 1_000_000) * 1000,
                context=_context(said.get("trace_id")),
                severity_text=record.levelname,
                severity_number=_severity(record.levelno),
                body=record.getMessage(),
                event_name=said.get("event"),
                attributes={name: said[key] for key, name in NAMES.items() if key in said} | _error(record),
            )
        except Exception:
            self.handleError(record)


def _context(trace_id: str | None) -> Context:
    """The span in which the line is written, or else the trace that the line itself names."""
    if trace_id is None or trace.get_current_span().get_span_context().is_valid:
        return get_current()
    span = SpanContext(int(trace_id, 16), trace.INVALID_SPAN_ID, is_remote=False, trace_flags=TraceFlags())
    return trace.set_span_in_context(NonRecordingSpan(span), Context())


def _severity(level: int) -> SeverityNumber:
    return next((number for least, number in SEVERITIES if level >= least), SeverityNumber.TRACE)


def _error(record: logging.LogRecord) -> dict[str, Any]:
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    error = record.exc_info[1]
    return {
        "exception.type": type(error).__name__,
        "exception.stacktrace": "".join(traceback.format_tb(error.__traceback__)),
    }
