"""Events of a template's own: declared once, published by its handlers, and told as the library's own are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

from pydantic import Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from tasker_temporal.core.registry import EventDefinition
from tasker_temporal.core.wording import hint_mistakes
from tasker_temporal.errors import EventError, EventRefused
from tasker_temporal.options import check_options

T = TypeVar("T")


class EventOptions(TypedDict, total=False):
    """What is said of a custom event beside its type."""

    description: str
    version: Annotated[int, Field(ge=1)]
    category: Literal["custom", "telemetry"]


@dataclass(frozen=True)
class CustomEvent(Generic[T]):
    """One kind of event. `TaskTemplate.custom_event` declares it, `StepContext.publish` publishes one.

    Attributes:
        name: Dotted, outside the library's own namespaces.
        model: The type of what it says.
        version: Rises when the type changes so that its readers must change too.
        category: `telemetry` if it is for those who measure.
    """

    name: str
    model: type[T]
    description: str = ""
    version: int = 1
    category: Literal["custom", "telemetry"] = "custom"

    def __post_init__(self) -> None:
        said = {"description": self.description, "version": self.version, "category": self.category}
        check_options(f"event {self.name!r}", EventOptions, said)

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.model)

    @cached_property
    def definition(self) -> EventDefinition:
        """Its line in the registry.

        Raises:
            EventError: its name is none that a template may use, or its type has no JSON Schema.
        """
        if found := hint_mistakes("its model", self.model):
            raise EventError(f"event {self.name!r}: {found[0]}")
        try:
            schema = self._adapter.json_schema(mode="serialization")
        except PydanticUserError as error:
            raise EventError(
                f"event {self.name!r}: {self.model!r} has no JSON Schema: expected a pydantic model, or a type of JSON"
            ) from error
        make = EventDefinition.telemetry if self.category == "telemetry" else EventDefinition.custom
        return make(self.name, self.description, self.version, schema)

    def written(self, payload: Any) -> str:
        """What it says, checked, as JSON.

        Raises:
            EventRefused: it does not validate; the message has no input, which may be personal.
        """
        try:
            text = self._adapter.dump_json(self._adapter.validate_python(payload), warnings=False)
            # An instance of a model was not looked into before.
            self._adapter.validate_json(text)
            return text.decode()
        except ValidationError as error:
            problems = error.errors(include_input=False, include_url=False, include_context=False)
            said = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the whole'}: {p['msg']}" for p in problems)
            raise EventRefused(f"event {self.name!r}: {said}") from error
        except PydanticSerializationError as error:
            raise EventRefused(f"event {self.name!r}: it is no JSON: {error}") from error
