"""The undo log: what a message changed, and how it was before.

Undoing costs what was done, not the size of the task: a thing's attributes are kept when the message first touches it,
and a queue or a table is never copied but has each change of it taken back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any


class Journal:
    """Every change of a task goes through here while a message is applied."""

    __slots__ = ("_looks", "_undo")

    def __init__(self) -> None:
        self._looks: dict[object, dict[str, Any]] = {}
        self._undo: list[Callable[[], object]] = []

    def keep(self, thing: object) -> None:
        """From here on the thing's attributes may be set. A list or a dict among them must be replaced, not changed."""
        if thing not in self._looks:
            self._looks[thing] = vars(thing).copy()

    def keep_length(self, target: list[Any]) -> None:
        """From here on the list may be appended to."""
        self._undo.append(partial(_cut, target, len(target)))

    def put(self, target: dict[Any, Any], key: object, value: object) -> None:
        """Set an item of a dict."""
        undo = partial(target.__setitem__, key, target[key]) if key in target else partial(target.pop, key)
        self._undo.append(undo)
        target[key] = value

    def drop(self, target: dict[Any, Any], key: object) -> None:
        """Delete an item of a dict. Undone, it stands last: whoever iterates such a dict must sort it."""
        self._undo.append(partial(target.__setitem__, key, target.pop(key)))

    def append(self, target: deque[Any], value: object) -> None:
        target.append(value)
        self._undo.append(target.pop)

    def popleft(self, target: deque[Any]) -> None:
        self._undo.append(partial(target.appendleft, target.popleft()))

    def commit(self) -> None:
        """Keep what was done."""
        self._looks.clear()
        self._undo.clear()

    def rollback(self) -> None:
        """Take back everything since the last commit, newest first."""
        while self._undo:
            self._undo.pop()()
        while self._looks:
            thing, look = self._looks.popitem()
            vars(thing).update(look)


def _cut(target: list[Any], length: int) -> None:
    del target[length:]
