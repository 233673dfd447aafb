"""The undo log: what a message changed, and how it was before.

Undoing costs what was done, not the size of the task: a thing's attributes are kept when the message first touches it,
and a queue or a table is never copied but has each change of it taken back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

_ABSENT: Any = object()


class Journal:
    """Every change of a task goes through here while a message is applied."""

    __slots__ = ("_looks", "_undo")

    def __init__(self) -> None:
        self._looks: dict[object, dict[str, Any]] = {}
        self._undo: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def keep(self, thing: object) -> None:
        """From here on the thing's attributes may be set. A list or a dict among them must be replaced, not changed."""
        if thing not in self._looks:
            self._looks[thing] = vars(thing).copy()

    def put(self, target: dict[Any, Any], key: object, value: object) -> None:
        """Set an item of a dict."""
        self._undo.append((_restore, target, key, target.get(key, _ABSENT)))
        target[key] = value

    def drop(self, target: dict[Any, Any], key: object) -> None:
        """Delete an item of a dict. Undone, it stands last: whoever iterates such a dict must sort it."""
        self._undo.append((_restore, target, key, target.pop(key)))

    def append(self, target: list[Any] | deque[Any], value: object) -> None:
        self._undo.append((_pop, target, None, None))
        target.append(value)

    def popleft(self, target: deque[Any]) -> None:
        self._undo.append((_appendleft, target, target.popleft(), None))

    def commit(self) -> None:
        """Keep what was done."""
        self._looks.clear()
        self._undo.clear()

    def rollback(self) -> None:
        """Take back everything since the last commit, newest first."""
        while self._undo:
            function, target, key, value = self._undo.pop()
            function(target, key, value)
        while self._looks:
            thing, look = self._looks.popitem()
            vars(thing).update(look)


def _restore(target: dict[Any, Any], key: object, value: object) -> None:
    if value is _ABSENT:
        del target[key]
    else:
        target[key] = value


def _pop(target: list[Any] | deque[Any], key: None, value: None) -> None:
    target.pop()


def _appendleft(target: deque[Any], key: object, value: None) -> None:
    target.appendleft(key)
