"""What can be said inside a task: the shapes of the events' payloads. The `catalogue` has the events themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, InstanceOf

from tasker_temporal.core.machine import State


class Payload(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    task_id: str


class RowWritten(Payload):
    """An event that is a row of the audit: `sort_key` names it."""

    sort_key: int
    metadata: Annotated[dict[str, Any], InstanceOf]
    """A copy of the row's, of which nothing else is checked."""


class TaskTransitioned(RowWritten):
    """The task moved."""

    from_state: State | str | None
    to_state: State | str


class StepTransitioned(TaskTransitioned):
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


class CustomPublished(StepNoted):
    """A handler published an event of the template's own. `metadata` has the size and the salted digest of what it
    says, and `content` the JSON itself, which is in no row."""

    content: str
    execution: int


class RunEnded(Payload):
    """A run ended that could write no row of it: somebody else found it. No words of an error are in it.

    `actor` is the identity that terminated it, else `temporal` or `tasker`; `at` is ISO 8601 in UTC.
    """

    run_id: str
    actor: str
    reason: str
    at: str


class Move(Payload):
    """A transition that is about to be written, or was: for those who only listen.

    `sort_key` is the row's, `event` the transition's own event, `step` is None for the task.
    """

    sort_key: int
    event: str
    step: str | None
    from_state: State | str | None
    to_state: State | str


class StepNamed(Payload):
    """Something about one step."""

    step: str


class StepOver(StepNamed):
    """`state` is `complete`, `skipped` or `resolved_manually`."""

    state: State


class StepsNamed(Payload):
    """Something about these steps."""

    steps: tuple[str, ...]


class Backoff(StepNamed):
    """`delay` is in seconds; `attempt` is the failed one, counted from 1; `retry_at` is ISO 8601 in UTC."""

    attempt: int
    delay: float
    retry_at: str
    requested: bool
    """The handler asked for this delay itself."""


class AttemptsUsedUp(StepNamed):
    """`attempts` is how many there were."""

    attempts: int


class FailedPermanently(StepNamed):
    """No further attempt follows, though there may be some left."""

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
