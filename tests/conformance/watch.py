"""Looks over the shoulder of every engine of a task: what was it fed, and when?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Command, Fact
from tasker_temporal.core.requests import Ask
from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.task import Task
from tasker_temporal.testing import Fed


@dataclass
class Watched:
    """One engine: a copy of its task as it was before the first message, and the messages."""

    beginning: Task
    fed: list[Fed] = field(default_factory=list)


_watched: dict[str, dict[Engine, Watched]] = {}


def install(patch: pytest.MonkeyPatch) -> None:
    """From here on every engine can be watched."""
    apply = Engine.apply

    def watched_apply(engine: Engine, message: Ask | Fact, now: datetime) -> list[Command]:
        engines = _watched.get(engine.task.id)
        if engines is not None:
            known = engines.get(engine) or engines.setdefault(engine, Watched(_copy(engine.task)))
            known.fed.append(Fed(message, now))
        return apply(engine, message, now)

    patch.setattr(Engine, "apply", watched_apply)


def _copy(task: Task) -> Task:
    if task.state is None:
        return Task(task.id, task.template, task.context, task.key)
    return restore(snapshot(task), task.context)


@contextmanager
def watching(task_id: str) -> Iterator[list[Watched]]:
    """Collects the task's engines that are fed in this block, in the order in which they began."""
    found: list[Watched] = []
    engines: dict[Engine, Watched] = {}
    _watched[task_id] = engines
    yield found
    del _watched[task_id]
    found += sorted(engines.values(), key=lambda watched: watched.beginning.before[0])
