"""What a handler is told about the failure that it handles."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FailedStep(BaseModel):
    """How a step failed: `type` is the exception's class name, `attempts` counts all, the first included."""

    model_config = ConfigDict(frozen=True)

    step: str
    type: str
    message: str
    attempts: int
