"""What is declared, published or sent: a value that nobody changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

Instant = Annotated[datetime, PlainSerializer(datetime.isoformat, return_type=str, when_used="json")]
"""A time, told as rows tell it: `2026-01-01T00:00:00+00:00`, where pydantic would write `Z`."""


class Frozen(BaseModel):
    """A value: built once, compared by content, and refused if it has a field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float", allow_inf_nan=False)
