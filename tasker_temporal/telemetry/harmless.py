"""What goes wrong in telemetry is a line of the log, and nothing to the task."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("tasker_temporal.telemetry")


@contextmanager
def harmless() -> Iterator[None]:
    """An exception in the block ends there."""
    try:
        yield
    except Exception:
        logger.exception("telemetry failed, the task goes on")
