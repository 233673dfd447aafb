"""What is declared, published or sent: a value that nobody changes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

Instant = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str, when_used="json")]
"""A time, told as rows tell it: `2026-01-01T00:00:00+00:00`, where pydantic would write `Z`."""


class Frozen(BaseModel):
    """A value: built once, compared by content, and refused if it has a field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float", allow_inf_nan=False)


TIME_LIMIT: Final = timedelta(days=999_999_999)
"""Of what is added to another time. A sum that no timedelta holds would stop the task."""

EVENT_NAME_LIMIT: Final = 200
"""Characters of the name of an event from outside."""

QUEUE_LIMIT: Final = 1000
"""Bytes of a task queue's name."""


def queue_problem(name: str) -> str | None:
    """What is wrong with a task queue's name. The server refuses it again and again, and the task stands still."""
    if (size := len(name.encode(errors="replace"))) > QUEUE_LIMIT:
        return f"it has {size} bytes: at most {QUEUE_LIMIT} are a name"
    return "it begins with '/_sys/', as only Temporal's own queues do" if name.startswith("/_sys/") else None


def _queue_name(name: str) -> str:
    if (problem := queue_problem(name)) is not None:
        raise ValueError(problem)
    return name


QueueName = Annotated[str, Field(min_length=1), AfterValidator(_queue_name)]
