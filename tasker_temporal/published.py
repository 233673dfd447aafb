"""The events that one attempt publishes. They travel with its outcome, and are lost with it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pydantic_core import to_json
from temporalio.api.common.v1 import Payload

from tasker_temporal.core.messages import Published
from tasker_temporal.custom_events import CustomEvent
from tasker_temporal.errors import EventRefused

EVENTS_LIMIT: Final = 100
BYTES_LIMIT: Final = 256 * 1024
"""What one attempt may publish, beside its result or its failure."""

METADATA: Final = "tasker-events"
"""Where the payload of a result carries them."""


class Publications:
    """What one attempt has published so far."""

    def __init__(self, declared: Collection[CustomEvent[Any]], template: str) -> None:
        self._declared, self._template = declared, template
        self._said: list[Published] = []
        self._size = 0

    def publish(self, event: CustomEvent[Any], payload: Any) -> None:
        """Check it, and keep it until the attempt ends.

        Raises:
            EventRefused: the template does not declare it, it does not validate, or it is too much.
        """
        if event not in self._declared:
            known = ", ".join(sorted(known.name for known in self._declared)) or "none"
            raise EventRefused(f"event {event.name!r} is none of template {self._template!r}, which has {known}")
        content = event.written(payload)
        self._size += len(content)
        if len(self._said) >= EVENTS_LIMIT or self._size > BYTES_LIMIT:
            raise EventRefused(
                f"event {event.name!r}: one attempt can publish {EVENTS_LIMIT} events of {BYTES_LIMIT} bytes in total"
            )
        self._said.append(Published(event.name, content))

    def attach(self, payload: Payload) -> Payload:
        """The payload of the result, with what was published beside it."""
        if self._said:
            payload.metadata[METADATA] = to_json(self._said)
        return payload

    def detail(self) -> dict[str, Any]:
        """What a failure's details say of it."""
        return {"published": list(self._said)} if self._said else {}


def detach(payload: Payload) -> tuple[Published, ...]:
    """What was published beside the result. The payload is without it afterwards."""
    if METADATA not in payload.metadata:
        return ()
    found = json.loads(payload.metadata[METADATA])
    del payload.metadata[METADATA]
    return published(found)


def published(found: Sequence[Sequence[str]]) -> tuple[Published, ...]:
    return tuple(Published(name, content) for name, content in found)


def of_failure(details: Mapping[str, Any]) -> tuple[Published, ...]:
    """What was published beside the failure."""
    return published(details.get("published", ()))
