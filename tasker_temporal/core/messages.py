"""What crosses the border of the core, and what is said inside it.

In come requests, which may be refused, and facts, which may not. Inside, a subscriber yields a wish (`TransitionTo`,
`Note`), says a fact (`Announce`), or gives an order to the shell (a command). Commands go out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from tasker_temporal.core.machine import State
from tasker_temporal.core.routes import Course

AUTOMATIC = "tasker"
"""The actor of what nobody asked for."""

TimerKind = Literal["backoff", "deadline", "handler", "grace", "hold", "approval", "elapsed"]

JSON: tuple[tuple[str, bytes], ...] = (("encoding", b"json/plain"),)


class Content(NamedTuple):
    """A context or a result as the bytes that cross the wire. The core measures and hashes it, and never reads it."""

    data: bytes
    metadata: tuple[tuple[str, bytes], ...] = JSON

    @property
    def size(self) -> int:
        """Bytes on the wire, its metadata included."""
        size = len(self.data)
        for key, value in self.metadata:
            size += len(key) + len(value) + 8
        return size


DROPPED = Content(b"", (("encoding", b"tasker/dropped"),))
"""Stands for a result that no open step asked for: it came, and it is in the history of the run that it came in."""


class Failure(NamedTuple):
    """Why an attempt failed. `retry_after` is in seconds and wins over the template's backoff."""

    type: str
    message: str
    retryable: bool = True
    retry_after: float | None = None


class Kept(NamedTuple):
    """A vote or an external event that came early: its id, the row that noted it, and what it brought."""

    id: str
    row: int
    content: Content


class Vote(NamedTuple):
    """One person's. `form` is what was filled in, as JSON; `row` the sort_key of the row that noted it."""

    actor: str
    approves: bool
    reason: str
    form: Content
    row: int = 0


class Ballot(NamedTuple):
    """An approval that is open: of a step, or of the task itself if `step` is None. The oldest vote comes first."""

    step: str | None
    votes: tuple[Vote, ...] = ()
    escalated: bool = False


# Requests are in `requests`: somebody asks, and gets an answer.


class Answer(NamedTuple):
    """What a request did: the sort_keys of the first and the last row that followed from it.

    `request` names the request, and `digest` is that of its content, salted. A run of an interpreter before 3 has them
    not.
    """

    first: int
    last: int
    request: str = ""
    digest: str = ""


class Published(NamedTuple):
    """An event of the template's own that a handler published: its name, and what it says as JSON."""

    name: str
    content: str


# Facts: it happened, and the core takes note of it.


class Start(NamedTuple):
    """The task begins. `problems` are the context's validation errors; with any, the task ends in `error`.

    `cancelled_by` has the actor and the reason if somebody cancelled the task before it began: then no step starts.
    """

    actor: str = AUTOMATIC
    reason: str = ""
    problems: tuple[Mapping[str, Any], ...] = ()
    cancelled_by: tuple[str, str] | None = None
    course: Course | None = None
    """How whoever starts the task wants it to be processed."""


class StepSucceeded(NamedTuple):
    """The execution's handler returned."""

    step: str
    execution: int
    result: Content
    published: tuple[Published, ...] = ()


class StepFailed(NamedTuple):
    """The execution's handler raised, timed out, or was lost."""

    step: str
    execution: int
    failure: Failure
    published: tuple[Published, ...] = ()


class StepStopped(NamedTuple):
    """The execution acknowledged its cancellation."""

    step: str
    execution: int


class HandlerMissing(NamedTuple):
    """No worker that took the execution has its handler."""

    step: str
    execution: int
    handler: str


class TimerFired(NamedTuple):
    """A timer that the core had asked for."""

    timer: str


class NotifierFailed(NamedTuple):
    """An approval's notifier failed for good."""

    step: str | None
    approval: str
    kind: str
    failure: Failure


class Drain(NamedTuple):
    """The run's history is long: start nothing new, so that the run can continue as new."""

    events: int
    size: int


class RunContinued(NamedTuple):
    """This run goes on where the run `run_id` left off."""

    run_id: str


class RunReopened(NamedTuple):
    """This run goes on with a task that had ended in `error` in the run `run_id`, because somebody asked something."""

    run_id: str


class Refused(NamedTuple):
    """A request came by signal, where nobody can be answered, and was refused; or it could not even be read."""

    rule: str
    actor: str = AUTOMATIC
    reason: str = ""
    entity: str = "task"
    name: str = ""


Outcome = StepSucceeded | StepFailed | StepStopped | HandlerMissing
"""What can come of an execution."""

Fact = Start | Outcome | TimerFired | NotifierFailed | Drain | RunContinued | RunReopened | Refused


# Inside.


class TransitionTo(NamedTuple):
    """Move the task (`step` is None) or a step. What is left out is taken from what led to it."""

    step: str | None
    state: State | str
    metadata: Mapping[str, Any] = {}
    actor: str | None = None
    reason: str = ""
    result: Content | None = None
    failure: Failure | None = None
    cause: int | None = None
    fresh: bool = False
    """A step that goes back to pending gets all its attempts anew."""


class Note(NamedTuple):
    """Write a row that is no transition, and publish its event."""

    event: str
    step: str | None = None
    metadata: Mapping[str, Any] = {}
    actor: str = AUTOMATIC
    reason: str = ""
    refused: bool = False
    cause: int | None = None
    change: Mapping[str, Any] = {}
    """What follows from it and no row holds: changed fields of a step, a vote, an event's payload, a course."""
    content: str | None = None
    """For an event of the template's own: what it says, as JSON. Rows hold its size and its salted digest."""


class Announce(NamedTuple):
    """Publish an event that is no row."""

    event: str
    fields: Mapping[str, Any] = {}


# Commands.


class Timer(NamedTuple):
    """Something to happen at `due`. `cause` is the sort_key of the row that asked for it."""

    id: str
    kind: TimerKind
    step: str | None
    due: datetime
    cause: int


class RunStep(NamedTuple):
    """Run the step's handler once, as the activity `<step>:<execution>`."""

    step: str
    execution: int
    attempt: int


class StopStep(NamedTuple):
    """Tell the execution to stop. Its outcome must follow as a fact: `StepStopped` if it does not run any more."""

    step: str
    execution: int


class StartTimer(NamedTuple):
    timer: Timer


class StopTimer(NamedTuple):
    timer: str


class Notify(NamedTuple):
    """Tell the approval's notifier, once, as the activity `notify:<approval>:<kind>`. Nothing waits for it.

    `until` is ISO 8601 in UTC, None without a deadline. Of one that was decided, `decision` is `approved`, `rejected`
    or `overdue`, and `voters` are those whose votes decided.
    """

    step: str | None
    approval: str
    kind: Literal["opened", "escalated", "decided"]
    approvers: tuple[str, ...]
    quorum: int
    until: str | None = None
    decision: str | None = None
    voters: tuple[str, ...] = ()


class CloseTask(NamedTuple):
    """The task is over: end the run in this state."""

    state: State


Command = RunStep | StopStep | StartTimer | StopTimer | Notify | CloseTask
Message = TransitionTo | Note | Announce | Command


def seconds_until(due: datetime, now: datetime) -> float:
    """Never negative: what is overdue is due at once."""
    return max((due - now) / timedelta(seconds=1), 0.0)
