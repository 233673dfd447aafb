"""What a step handler may ask for beside its inputs: which task, which attempt, and a way to say that it is alive."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tasker_temporal.custom_events import CustomEvent

T = TypeVar("T")

_logger = logging.getLogger("tasker_temporal.step")


def _ignore(*details: Any) -> None:
    """A handler that a test calls by hand has nobody to tell."""


def _check(event: CustomEvent[Any], payload: Any) -> None:
    """Nobody is told either, but what is published must be valid."""
    event.written(payload)


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """Declare a parameter of this type, and the handler is given one. For tests, every field has a default.

    Attributes:
        attempt: Counted from 1.
        attempts_left: How many attempts may follow this one.
        execution: Runs of this step's handler in this task, counted from 1 for ever.
        idempotency_key: The same for every attempt of one round of the step: hand it to payment gateways and the like.
        config: The step's `config`.
        heartbeat_details: What the last execution told by `heartbeat` before its worker was lost.
        logger: Adds task, step and attempt to each record.
    """

    task_id: str = "task"
    step: str = "step"
    attempt: int = 1
    attempts_left: int = 0
    execution: int = 1
    idempotency_key: str = "task/step/1"
    config: Mapping[str, Any] = field(default_factory=dict)
    heartbeat_details: tuple[Any, ...] = ()
    tell: Callable[..., None] = _ignore
    say: Callable[[CustomEvent[Any], Any], None] = _check

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        extra = {"task_id": self.task_id, "step": self.step, "attempt": self.attempt}
        return logging.LoggerAdapter(_logger, extra)

    def heartbeat(self, *details: Any) -> None:
        """Tell how far the handler is. The library heartbeats by itself; this adds details for the next execution.

        Raises:
            StopRequested: the handler is sync and was told to stop, because its task was cancelled or its time is up.
        """
        self.tell(*details)

    def publish(self, event: CustomEvent[T], payload: T) -> None:
        """Tell an event of the template's own. It stands in the audit once the outcome of this attempt is recorded.

        It is told also if the attempt fails, and lost if the attempt is: with its worker, or by cancellation.

        Raises:
            EventRefused: the template does not declare it, the payload does not validate, or it is too much.
        """
        self.say(event, payload)
