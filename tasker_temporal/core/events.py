"""What can be said inside a task: each event's name, and the enforced shape of its payload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE, State
from tasker_temporal.errors import EventError


class Payload(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    task_id: str


class RowWritten(Payload):
    """An event that is a row of the audit: `sort_key` names it."""

    sort_key: int
    metadata: Mapping[str, Any]


class TaskTransitioned(RowWritten):
    """The task moved."""

    from_state: State | str | None
    to_state: State | str


class StepTransitioned(RowWritten):
    """A step moved. `execution` counts its handler's runs so far."""

    from_state: State | None
    to_state: State
    step: str
    execution: int


class StepNoted(RowWritten):
    """Something about a step that is no move."""

    step: str


class ApprovalNoted(RowWritten):
    """Something about an approval: a step's, or the task's own if `step` is None."""

    step: str | None


class StepNamed(Payload):
    step: str


class StepOver(StepNamed):
    """`state` is `complete`, `skipped` or `resolved_manually`."""

    state: State


class StepsNamed(Payload):
    steps: tuple[str, ...]


class Backoff(StepNamed):
    """`delay` is in seconds; `attempt` is the failed one, counted from 1; `retry_at` is ISO 8601 in UTC."""

    attempt: int
    delay: float
    retry_at: str
    requested: bool
    """The handler asked for this delay itself."""


class AttemptsUsedUp(StepNamed):
    attempts: int


class FailedPermanently(StepNamed):
    because: str
    """`permanent`, `not_retryable`, `deadline` or `cancelling`."""


class Unclear(Payload):
    """Nothing runs, nothing waits, nothing failed, and yet not every step is over."""

    found: Mapping[str, int]
    """How many steps there are in each state."""


P = TypeVar("P", bound=Payload, covariant=True)


class Event(NamedTuple, Generic[P]):
    """One fact. `cause` is the sort_key of the row that it is, or that led to it."""

    name: str
    payload: P
    cause: int


class EventRegistry:
    """The events that may be published, by name. Built at import, then only read."""

    def __init__(self, payloads: Mapping[str, type[Payload]]) -> None:
        self._payloads = dict(payloads)
        # What `payload(**fields)` does, without the calls in between: an event is said some five times a step.
        self._validate = {name: shape.__pydantic_validator__.validate_python for name, shape in payloads.items()}

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
        return name in self._payloads and "step" in self._payloads[name].model_fields

    def payload(self, name: str) -> type[Payload]:
        """The shape of the registered event `name`."""
        return self._payloads[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._payloads)


EVENTS = EventRegistry(
    dict.fromkeys(TASK_TABLE.values(), TaskTransitioned)
    | dict.fromkeys(STEP_TABLE.values(), StepTransitioned)
    | {
        "task.approval_requested": TaskTransitioned,
        "task.moved": TaskTransitioned,
        "approval.requested": ApprovalNoted,
        "approval.voted": ApprovalNoted,
        "approval.withdrawn": ApprovalNoted,
        "approval.escalated": ApprovalNoted,
        "approval.decided": ApprovalNoted,
        "approval.notification_failed": ApprovalNoted,
        "task.cancel_requested": RowWritten,
        "task.hold_ended": RowWritten,
        "step.changed": StepNoted,
        "step.deadline_exceeded": StepNoted,
        "step.handler_missing": StepNoted,
        "step.redispatched": StepNoted,
        "step.outcome_noted": StepNoted,
        "workflow.drain_requested": RowWritten,
        "workflow.run_continued": RowWritten,
        "workflow.run_reopened": RowWritten,
        "workflow.request_refused": RowWritten,
        "workflow.task_started": Payload,
        "workflow.step_completed": StepOver,
        "workflow.round_begun": StepsNamed,
        "workflow.viable_steps_discovered": StepsNamed,
        "workflow.no_viable_steps": Payload,
        "workflow.task_state_unclear": Unclear,
        "error.retry_wanted": StepNamed,
        "error.task_blocked": StepsNamed,
        "step.backoff": Backoff,
        "step.max_retries_reached": AttemptsUsedUp,
        "step.failed_permanently": FailedPermanently,
    }
)
