"""What is declared, published or sent: a value that nobody changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from tasker_temporal.core import wording
from tasker_temporal.errors import OptionError

Instant = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str, when_used="json")]
"""A time, told as rows tell it: `2026-01-01T00:00:00+00:00`, where pydantic would write `Z`."""


class Frozen(BaseModel):
    """A value: built once, compared by content, and refused if it has a field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float", allow_inf_nan=False)


class Declaration(Frozen):
    """A value that people write in their code, so that they are told in plain words what is wrong with it.

    Raises:
        OptionError: with every mistake.
    """

    def __init__(self, *places: Any, **said: Any) -> None:
        if places:
            fields = type(self).model_fields
            name = next((name for name, field in fields.items() if field.is_required()), next(iter(fields)))
            raise OptionError(type(self).__name__, [f"it takes its options by name, as {name}=..."])
        try:
            super().__init__(**said)
        except ValidationError as error:
            raise OptionError(type(self).__name__, wording.told(error, type(self), said)) from None

    # Else pydantic would call it for each value inside another one, and the outer could not tell where it stands.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


TIME_LIMIT: Final = timedelta(days=999_999_999)
"""Of what is added to another time. A sum that no timedelta holds would stop the task."""

LAST: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""When it is over what never is."""


def after(moment: datetime, wait: timedelta) -> datetime:
    """The moment so much later. One that no calendar has is as good as never, and stops no task."""
    try:
        return moment + wait
    except OverflowError:
        return LAST


EVENT_NAME_LIMIT: Final = 200
"""Characters of the name of an event from outside."""

QUEUE_LIMIT: Final = 1000
"""Bytes of a task queue's name."""


def queue_problem(name: str) -> str | None:
    """What is wrong with a task queue's name. The server refuses it again and again, and the task stands still."""
    if not name.strip():
        return "it is blank"
    if (size := len(name.encode(errors="replace"))) > QUEUE_LIMIT:
        return f"it has {size} bytes: at most {QUEUE_LIMIT} are a name"
    return "it begins with '/_sys/', as only Temporal's own queues do" if name.startswith("/_sys/") else None


def _queue_name(name: str) -> str:
    if (problem := queue_problem(name)) is not None:
        raise ValueError(problem)
    return name


QueueName = Annotated[str, Field(min_length=1), AfterValidator(_queue_name)]
