"""Lines of the log as JSON: which task, step, attempt and trace a line is about, and no text of an error."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from opentelemetry import trace

from tasker_temporal.telemetry.attempts import ATTEMPT

FIELDS: Final = {
    "time": "ISO 8601 in UTC",
    "level": "DEBUG, INFO, WARNING, ERROR or CRITICAL",
    "logger": "whose line it is; the library's own are `tasker_temporal.task` and `tasker_temporal.step`",
    "message": "what is said",
    "task_id": "the task, if the line is about one, or was written in a handler",
    "template": "its template, in lines about what happened to a task",
    "event": "the event, in lines about what happened to a task",
    "step": "the step",
    "attempt": "its attempt",
    "trace_id": "the trace: that of the task, or of the span in which the line was written",
    "span_id": "the span in which the line was written",
    "error": "the type of the exception that the line was written with",
    "stack": "where it was raised, without its message",
}
"""What a line can have."""

_ABOUT: Final = ("task_id", "template", "event", "step", "attempt", "trace_id")


class JsonFormatter(logging.Formatter):
    """One JSON object a line. What an exception says is left out, because it may be personal or secret."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _span() | about(record)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error"] = type(error).__name__
            line["stack"] = "".join(traceback.format_tb(error.__traceback__))
        return json.dumps(line, default=str)


def _span() -> dict[str, str]:
    """The span in which the line is written."""
    span = trace.get_current_span().get_span_context()
    return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}


def about(record: logging.LogRecord) -> dict[str, Any]:
    """What the line itself says, before what is known of the handler in which it was written."""
    said = {name: value for name in _ABOUT if (value := getattr(record, name, None)) is not None}
    temporal = getattr(record, "temporal_activity", None) or getattr(record, "temporal_workflow", None)
    known = {"task_id": temporal["workflow_id"]} if isinstance(temporal, Mapping) and "workflow_id" in temporal else {}
    return {**known, **ATTEMPT.get({}), **said}
