"""Durations as people write them: `90`, `30s`, `1h30m`, `1.5h`, `PT30S`."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

UNITS = {
    "d": 86_400_000_000,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
"""Microseconds."""

NUMBER = r"\d+(?:\.\d+)?"
SIMPLE = re.compile(rf"(?:{NUMBER}(?:ms|us|[dhms]))+|{NUMBER}")
ISO = re.compile(
    rf"P(?:(?P<w>{NUMBER})W)?(?:(?P<d>{NUMBER})D)?"
    rf"(?:T(?:(?P<h>{NUMBER})H)?(?:(?P<m>{NUMBER})M)?(?:(?P<s>{NUMBER})S)?)?"
)
EXPECTED = "expected one like 90s, 1m30s, 1.5h, 2d or PT30S; a bare number is seconds"


def parse_duration(text: str) -> timedelta:
    """The time that the text says; a bare number is seconds.

    Raises:
        ValueError: it says none, or one that is longer than 999,999,999 days.
    """
    parts = _simple(text) if SIMPLE.fullmatch(text) else _iso(text)
    if not parts:
        raise ValueError(f"{text!r} is no duration: {EXPECTED}")
    try:
        return timedelta(microseconds=round(sum(Decimal(number) * UNITS[unit] for number, unit in parts)))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long a duration: expected at most 999999999d") from error


def _simple(text: str) -> list[tuple[str, str]]:
    if re.fullmatch(NUMBER, text):
        return [(text, "s")]
    return re.findall(rf"({NUMBER})(ms|us|[dhms])", text)


def _iso(text: str) -> list[tuple[str, str]]:
    found = ISO.fullmatch(text)
    if found is None:
        return []
    weeks = [(str(7 * Decimal(found["w"])), "d")] if found["w"] else []
    return [*weeks, *((number, unit) for unit in "dhms" if (number := found[unit]))]


def duration_text(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back to the same time."""
    left, text = duration // timedelta(microseconds=1), ""
    for unit, size in UNITS.items():
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
