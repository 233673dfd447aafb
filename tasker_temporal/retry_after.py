"""Reads the three forms in which a server or a handler asks for a later attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def seconds_of(value: float | timedelta | datetime | str | None, now: datetime | None = None) -> float | None:
    """Seconds from now; None if nothing was asked for, or nothing that can be read.

    Args:
        value: Seconds, a timedelta, a datetime (UTC if it has no zone), or the value of an HTTP `Retry-After` header
            (RFC 9110, section 10.2.3: seconds or an HTTP date). A header comes from outside, so one that cannot be
            read is no error: the template's own backoff applies.
        now: The present, if not the clock's.
    """
    if isinstance(value, str):
        value = _header(value.strip())
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        value = (moment - (now or datetime.now(UTC))).total_seconds()
    return None if value is None else max(float(value), 0.0)


def _header(text: str) -> float | datetime | None:
    if text.isdecimal():
        return float(text)
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
