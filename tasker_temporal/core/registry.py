"""What an event is, and the registry through which each is made: no other name, and no other shape, can be said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from tasker_temporal.core import events as shapes
from tasker_temporal.core.events import Event, Payload
from tasker_temporal.errors import EventError

EVENT_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


class Category(StrEnum):
    """What an event is about. `telemetry` and `custom` ones are templates' own."""

    TASK = "task"
    STEP = "step"
    WORKFLOW = "workflow"
    APPROVAL = "approval"
    EXTERNAL = "external"
    STATE_MACHINE = "state_machine"
    TELEMETRY = "telemetry"
    CUSTOM = "custom"


RESERVED: Final = frozenset({"task", "step", "workflow", "error", "approval", "external", "telemetry", "tasker"})
"""The namespaces, what stands before the first dot, of the library's own events."""


class EventDefinition(NamedTuple):
    """One kind of event.

    Attributes:
        payload: The shape that each of them has; for `custom` ones, of the envelope around what the handler says.
        description: What happened, in one sentence.
        publisher: The module of the package that says it.
        version: Rises when its payload changes so that a reader must change too.
        content: JSON Schema of what an event of a template's own says.
    """

    name: str
    category: Category
    payload: type[Payload]
    description: str
    publisher: str
    version: int = 1
    content: Mapping[str, Any] | None = None

    @classmethod
    def task(cls, name: str, payload: type[Payload], description: str, publisher: str) -> EventDefinition:
        return cls(f"task.{name}", Category.TASK, payload, description, publisher)

    @classmethod
    def step(cls, name: str, payload: type[Payload], description: str, publisher: str) -> EventDefinition:
        return cls(f"step.{name}", Category.STEP, payload, description, publisher)

    @classmethod
    def workflow(cls, name: str, payload: type[Payload], description: str, publisher: str) -> EventDefinition:
        return cls(name if "." in name else f"workflow.{name}", Category.WORKFLOW, payload, description, publisher)

    @classmethod
    def approval(cls, name: str, description: str, publisher: str) -> EventDefinition:
        return cls(f"approval.{name}", Category.APPROVAL, shapes.ApprovalNoted, description, publisher)

    @classmethod
    def external(cls, name: str, description: str, publisher: str) -> EventDefinition:
        return cls(f"external.{name}", Category.EXTERNAL, shapes.RowWritten, description, publisher)

    @classmethod
    def state_machine(cls, name: str, description: str) -> EventDefinition:
        return cls(name, Category.STATE_MACHINE, shapes.Move, description, "core.engine")

    @classmethod
    def telemetry(cls, name: str, description: str, version: int, content: Mapping[str, Any]) -> EventDefinition:
        """An event of a template's own, for those who measure: telemetry counts it.

        Raises:
            EventError: its name is none that a template may use.
        """
        return cls.custom(name, description, version, content)._replace(category=Category.TELEMETRY)

    @classmethod
    def custom(cls, name: str, description: str, version: int, content: Mapping[str, Any]) -> EventDefinition:
        """An event of a template's own.

        Raises:
            EventError: its name is none that a template may use.
        """
        if not EVENT_NAME.fullmatch(str(name)):
            raise EventError(f"event {name!r}: expected dotted lower-case identifiers, as in 'order.priced'")
        if name.split(".")[0] in RESERVED:
            raise EventError(f"event {name!r}: the namespace {name.split('.')[0]!r} is the library's own")
        return cls(name, Category.CUSTOM, shapes.CustomPublished, description, "step_context", version, content)


class EventRegistry:
    """The events that may be published, by name. Built once, then only read.

    Raises:
        EventError: two events have one name.
    """

    def __init__(self, definitions: Iterable[EventDefinition]) -> None:
        self._definitions: dict[str, EventDefinition] = {}
        for definition in definitions:
            if definition.name in self._definitions:
                raise EventError(f"event {definition.name!r} is registered twice")
            self._definitions[definition.name] = definition
        # What `payload(**fields)` does, without the calls in between: an event is said some five times a step.
        self._validate = {
            name: definition.payload.__pydantic_validator__.validate_python
            for name, definition in self._definitions.items()
        }

    def event(self, name: str, fields: Mapping[str, Any], cause: int) -> Event[Payload]:
        """Make the event `name`.

        Raises:
            EventError: `name` is not registered, or `fields` are not of its shape.
        """
        validate = self._validate.get(name)
        if validate is None:
            raise EventError(f"event {name!r} is not registered")
        try:
            return Event(name, validate(fields), cause)
        except ValidationError as error:
            raise EventError(f"event {name!r}: {error}") from error

    def names_step(self, name: str) -> bool:
        """The event `name` has a field for a step."""
        return name in self._definitions and "step" in self._definitions[name].payload.model_fields

    def payload(self, name: str) -> type[Payload]:
        """The shape of the registered event `name`."""
        return self._definitions[name].payload

    def __getitem__(self, name: str) -> EventDefinition:
        return self._definitions[name]

    def __contains__(self, name: object) -> bool:
        return name in self._definitions

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def __len__(self) -> int:
        return len(self._definitions)

    def custom(self, name: str, fields: Mapping[str, Any], cause: int) -> Event[Payload]:
        """Make an event of a template's own. What it says was checked where it was published, in the handler's attempt.

        Raises:
            EventError: `fields` are not of the shape that all of them share.
        """
        try:
            return Event(name, shapes.CustomPublished.model_validate(fields), cause)
        except ValidationError as error:
            raise EventError(f"event {name!r}: {error}") from error
