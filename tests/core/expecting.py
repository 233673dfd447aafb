"""A task that waits for an event from outside."""

from __future__ import annotations

from typing import Any

from tasker_temporal.core.requests import (
    SendEvent,
)
from tests.core.driving import Drive, template

PAID = {"received": "paid", "match": "event.order == context.order"}

EVENTS = [{"name": "paid"}, {"name": "other"}]


def expecting(*steps: Any, context: bytes = b'{"order": 7}', **options: Any) -> Drive:
    drive = Drive(template(*steps, events=EVENTS, **options), context=context)
    drive.start()
    return drive


def tell(drive: Drive, order: int = 7, **given: Any) -> None:
    drive.ask(SendEvent, name="paid", payload={"order": order}, **given)
