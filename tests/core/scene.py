"""A small run of a task, played in memory as often as somebody looks at it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker_temporal.core.snapshot import snapshot
from tasker_temporal.core.subscribers import SUBSCRIPTIONS, Subscriptions
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.errors import RequestRefused
from tests.core.driving import (
    Drive,
    template,
)

Play = Callable[[Drive], None]


@dataclass(frozen=True)
class Scene:
    """A task, and what happens to it."""

    template: Template
    play: Play
    context: bytes = b"{}"

    def driven(self, subscriptions: Subscriptions = SUBSCRIPTIONS) -> Drive:
        """The scene, played to its end."""
        drive = Drive(self.template, context=self.context, subscriptions=subscriptions)
        self.play(drive)
        return drive

    def seen(self, subscriptions: Subscriptions = SUBSCRIPTIONS) -> Any:
        """All that can be seen of the scene from outside: rows, commands, and whether it could be played at all."""
        drive = Drive(self.template, context=self.context, subscriptions=subscriptions)
        try:
            self.play(drive)
            broken = None
        except (KeyError, ValueError, RequestRefused) as error:
            broken = repr(error)
        return [(run.rows, run.replies) for run in drive.runs], broken


SCENES: dict[str, Scene] = {}


def scene(*steps: StepTemplate, context: bytes = b"{}", **options: Any) -> Callable[[Play], Play]:
    """Make the function the scene of a task of these steps."""

    def register(play: Play) -> Play:
        SCENES[play.__name__] = Scene(template(*steps, **options), play, context)
        return play

    return register


def audits() -> str:
    """A digest of all that the scenes write, order and say."""
    seen = hashlib.sha256()
    for name, known in SCENES.items():
        for run in known.driven().runs:
            seen.update(repr((name, run.rows, run.replies, run.events, snapshot(run.task))).encode())
    return seen.hexdigest()
