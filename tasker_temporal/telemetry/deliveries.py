"""What the activities around sinks tell telemetry, whether anybody listens or not.

It imports nothing of OpenTelemetry, so that without telemetry nothing of it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from temporalio.api.history.v1 import HistoryEvent

from tasker_temporal.core.events import Event, RunEnded
from tasker_temporal.core.task import Task


class Recorder(Protocol):
    """What telemetry can do."""

    def count(self, name: str, *labels: str, by: int = 1) -> None: ...

    def record(self, name: str, seconds: float, *labels: str) -> None: ...

    def ended(self, task: Task, end: Event[RunEnded], started: HistoryEvent, trace: Mapping[str, str]) -> None: ...


_RECORDER: ContextVar[Recorder] = ContextVar("tasker_recorder")


@contextmanager
def listening(recorder: Recorder) -> Iterator[None]:
    """What is delivered in the block is recorded."""
    token = _RECORDER.set(recorder)
    try:
        yield
    finally:
        _RECORDER.reset(token)


def listens() -> bool:
    """Somebody hears what is told here."""
    return _RECORDER.get(None) is not None


def delivered(template: str, sink: str, events: int, lag: float) -> None:
    """So many events reached the sink; the oldest of them happened `lag` seconds before."""
    if (recorder := _RECORDER.get(None)) is not None:
        recorder.count("tasker_sink_deliveries", template, sink, "delivered", by=events)
        recorder.record("tasker_sink_lag", lag, template, sink)


def failed(template: str, sink: str, events: int) -> None:
    """So many events did not reach the sink; they will be tried again."""
    if (recorder := _RECORDER.get(None)) is not None:
        recorder.count("tasker_sink_deliveries", template, sink, "failed", by=events)


def ended(task: Task, end: Event[RunEnded], started: HistoryEvent, trace: Mapping[str, str]) -> None:
    """The task's last run, which began with the event `started`, could not tell its end itself."""
    if (recorder := _RECORDER.get(None)) is not None:
        recorder.ended(task, end, started, trace)
