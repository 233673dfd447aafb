"""How a sink is told: any function, sync or async, that takes events in order. What it raises is tried again."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tasker_temporal.errors import RetryableError
from tasker_temporal.retry_after import seconds_of
from tasker_temporal.sinks.events import TaskEvent

SinkHandler = Callable[[Sequence[TaskEvent]], Awaitable[None] | None]
"""Takes some events of one task, in order. To return is to acknowledge all of them; to raise is to get them again."""

SinkHandlers = Mapping[str, SinkHandler]
"""By the name that templates give the sink."""

LOGGER = logging.getLogger("tasker_temporal.sinks")

MOST_RETRY_AFTER = 300.0
"""Seconds for which a receiver may ask, at most."""


LONGEST = 1000
"""Characters of what is said of a failed attempt: a receiver may have answered anything."""


def translated(sink: str, error: Exception) -> ApplicationError:
    """The error as Temporal tries it again: for ever, and when the receiver asked for it.

    It is benign, because a receiver that is down is to be expected: one line in the log, no stack trace an attempt.
    """
    asked = seconds_of(error.retry_after) if isinstance(error, RetryableError) else None
    delay = None if asked is None else timedelta(seconds=min(asked, MOST_RETRY_AFTER))
    message = f"sink {sink!r}: {type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST]
    LOGGER.warning("%s", message)
    benign = ApplicationErrorCategory.BENIGN
    return ApplicationError(message, type="SinkFailed", next_retry_delay=delay, category=benign)


def slow(sink: str, how: str) -> ApplicationError:
    """The attempt took its whole time, so the next need not wait."""
    benign, at_once = ApplicationErrorCategory.BENIGN, timedelta(milliseconds=1)
    return ApplicationError(
        f"sink {sink!r} takes its time: {how}", type="SinkSlow", next_retry_delay=at_once, category=benign
    )


def unknown(sink: str, handlers: SinkHandlers) -> ApplicationError:
    """Another worker may know it, or this one after a deployment: so it is tried again."""
    known = ", ".join(sorted(handlers)) or "none"
    message = f"this worker knows no sink {sink!r}: pass TaskerPlugin(..., sinks={{{sink!r}: ...}}); it knows {known}"
    LOGGER.warning("%s", message)
    return ApplicationError(message, type="UnknownSink", category=ApplicationErrorCategory.BENIGN)
