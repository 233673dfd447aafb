"""What an activity that delivers events to a sink tells telemetry, whether anybody listens or not.

It imports nothing of OpenTelemetry, so that without telemetry nothing of it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Recorder(Protocol):
    """What telemetry's metrics can do."""

    def count(self, name: str, *labels: str, by: int = 1) -> None: ...

    def record(self, name: str, seconds: float, *labels: str) -> None: ...


_RECORDER: ContextVar[Recorder] = ContextVar("tasker_recorder")


@contextmanager
def listening(recorder: Recorder) -> Iterator[None]:
    """What is delivered in the block is recorded."""
    token = _RECORDER.set(recorder)
    try:
        yield
    finally:
        _RECORDER.reset(token)


def delivered(template: str, sink: str, events: int, lag: float) -> None:
    """So many events reached the sink; the oldest of them happened `lag` seconds before."""
    if (recorder := _RECORDER.get(None)) is not None:
        recorder.count("tasker_sink_deliveries", template, sink, "delivered", by=events)
        recorder.record("tasker_sink_lag", lag, template, sink)


def failed(template: str, sink: str, events: int) -> None:
    """So many events did not reach the sink; they will be tried again."""
    if (recorder := _RECORDER.get(None)) is not None:
        recorder.count("tasker_sink_deliveries", template, sink, "failed", by=events)
