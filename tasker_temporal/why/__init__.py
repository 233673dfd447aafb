"""Why does a task not go on? One sentence for each thing that it waits for, also when no worker lives.

The server is asked first who polls the task's queue, because a question that no worker takes hangs until it times out.
"""

from __future__ import annotations

from tasker_temporal.why.asking import why
from tasker_temporal.why.reasons import Explanation, Reason

__all__ = ["Explanation", "Reason", "why"]
