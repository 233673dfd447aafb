"""How often, and how late, what failed is tried again."""

from __future__ import annotations

import hashlib
import sys
from datetime import timedelta
from typing import Literal

from pydantic import Field

from tasker_temporal.core.values import Declaration


class Retry(Declaration):
    """How often, and how late, a failed step is tried again."""

    attempts: int = Field(default=3, ge=1)
    """All attempts, the first included."""
    base_delay: timedelta = Field(default=timedelta(seconds=1), ge=timedelta(0))
    max_delay: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(0))
    multiplier: float = Field(default=2.0, ge=1)
    jitter: Literal["full", "none"] = "full"
    max_retry_after: timedelta = Field(default=timedelta(seconds=300), ge=timedelta(0))
    """The most that a handler's own `retry_after` can ask for."""

    def delay(self, attempt: int, seed: str) -> timedelta:
        """How long to wait after failed attempt number `attempt` (the first is 1).

        The design document's formula: `min(base_delay * multiplier ** max(attempt, 2), max_delay) * jitter`. With full
        jitter the last factor lies in [0, 1) and is drawn from `seed` alone, so that a replay waits the same time.
        """
        try:
            growth = self.multiplier ** max(attempt, 2)
        except OverflowError:
            growth = sys.float_info.max
        seconds = min(self.base_delay.total_seconds() * growth, self.max_delay.total_seconds())
        return timedelta(seconds=seconds * (_fraction(seed) if self.jitter == "full" else 1.0))


def _fraction(seed: str) -> float:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big") / 2**56
