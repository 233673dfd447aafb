"""What comes before anybody waits for it is kept, up to a limit, and taken when somebody does: votes and events."""

from __future__ import annotations

from typing import Final

from tasker_temporal.core.messages import Content, Kept
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused

KEPT_PER_NAME: Final = 100
KEPT_BYTES: Final = 256 * 1024
"""Of one task, for all names together."""


def require_room(task: Task, name: str, content: Content, forgotten: frozenset[int] = frozenset()) -> None:
    """Refuse what would be lost. The entries of the rows `forgotten` do not count.

    Raises:
        RequestRefused: the inbox is full.
    """
    if sum(kept.row not in forgotten for kept in task.inbox.get(name, ())) >= KEPT_PER_NAME:
        raise RequestRefused(f"{KEPT_PER_NAME} are kept for {name!r} already, and nobody waits for them yet")
    held = sum(kept.content.size for entries in task.inbox.values() for kept in entries if kept.row not in forgotten)
    if held + content.size > KEPT_BYTES:
        raise RequestRefused(f"what came early would be more than {KEPT_BYTES} bytes: {held} are kept already")


def keep_early(task: Task, name: str, id: str, row: int, content: Content) -> None:
    """Keep it under `name`, behind what was kept before. `row` is the sort_key of the row that noted it."""
    kept = Kept(id, row, content)
    task.journal.put(task.inbox, name, (*task.inbox.get(name, ()), kept))


def take(task: Task, name: str) -> tuple[Kept, ...]:
    """All that is kept under `name`, oldest first. It is not kept any more."""
    if name not in task.inbox:
        return ()
    found = task.inbox[name]
    task.journal.drop(task.inbox, name)
    return found
