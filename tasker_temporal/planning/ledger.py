"""Counts the events and the bytes of a history that is not written yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

# History events and their bytes, without what they carry, as a server writes them.
STARTED: Final = (1, 203)
WORKFLOW_TASK: Final = (3, 271)
SCHEDULED: Final = (1, 130)
ENDED: Final = (2, 156)
PAYLOAD: Final = 31
"""Bytes of a payload's own metadata."""
TIMER: Final = (1, 95)
CLOSED: Final = (1, 30)
UPDATE: Final = (2, 1400)
"""An update that is accepted, and answered."""
MARKER: Final = (1, 300)
"""A local activity of the library."""
ATTRIBUTES: Final = (1, 125)
"""Search attributes that change."""
NOTICE_BYTES: Final = 300


@dataclass
class Ledger:
    """Counts history events while a task is played."""

    fewest: int = 0
    most: int = 0
    bytes: int = 0
    moments: set[datetime] = field(default_factory=set)

    def add(self, cost: tuple[int, int], carried: int = 0, times: int = 1) -> None:
        events, size = cost
        self.fewest += events * times
        self.most += events * times
        self.bytes += (size + carried) * times

    def wake(self, now: datetime) -> None:
        """Something came to the workflow: it has a task for it, together with what else comes at that moment."""
        events, size = WORKFLOW_TASK
        self.most += events
        if now not in self.moments:
            self.moments.add(now)
            self.fewest += events
            self.bytes += size
