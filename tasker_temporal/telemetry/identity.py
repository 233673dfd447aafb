"""Ids that are computed, so that whoever tells of a span names it alike: before it ended, in a replay, in another run.

A span whose workflow task is tried again after a crash may be exported twice; it then has the same id twice.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.sdk.trace.id_generator import IdGenerator


def trace_id_of(key: bytes) -> int:
    """The trace of a task that nobody's trace led to. The key is drawn by chance, and goes with the task for ever."""
    return int.from_bytes(hashlib.sha256(b"tasker/trace\n" + key).digest()[:16], "big") or 1


def span_id_of(trace_id: int, *parts: str) -> int:
    """The id of the span that `parts` name within its trace."""
    told = "\n".join([f"{trace_id:032x}", *parts])
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big") or 1


class GivenIds(IdGenerator):
    """Gives a new span the ids that it is to have. Where nothing was given it draws them as it was done before."""

    def __init__(self, otherwise: IdGenerator) -> None:
        self._otherwise = otherwise
        self._given = threading.local()

    @contextmanager
    def given(self, trace_id: int, span_id: int) -> Iterator[None]:
        """For spans that this thread starts in the block."""
        self._given.ids = trace_id, span_id
        try:
            yield
        finally:
            self._given.ids = None

    def generate_trace_id(self) -> int:
        ids: tuple[int, int] | None = getattr(self._given, "ids", None)
        return self._otherwise.generate_trace_id() if ids is None else ids[0]

    def generate_span_id(self) -> int:
        ids: tuple[int, int] | None = getattr(self._given, "ids", None)
        return self._otherwise.generate_span_id() if ids is None else ids[1]

    def is_trace_id_random(self) -> bool:
        return self._otherwise.is_trace_id_random()
