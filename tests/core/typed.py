"""A task of a declared type, and what is asked of it."""

from __future__ import annotations

from typing import Any

from tests.core.driving import Drive, seconds, step, template, terms
from tests.task_types import SHIPPED


def ask(kind: Any, actor: str = "ann", **said: Any) -> Any:
    return kind(actor=actor, reason="r", **said)


def shipped(context: bytes = b'{"total": 1001}', **options: Any) -> Drive:
    made = template(step("a"), type=SHIPPED, approval=terms("ann", deadline=seconds(60)), **options)
    drive = Drive(made, context=context)
    drive.start(actor="sam")
    drive.succeed("a")
    return drive
