"""What can be asked of a task. A request is applied whole or refused whole, and each says who asks, and why."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from tasker_temporal.core.values import EVENT_NAME_LIMIT, TIME_LIMIT, Declaration, Frozen, QueueName

ACTOR_LIMIT, REASON_LIMIT, ID_LIMIT = 200, 2000, 200
"""Characters."""

LINES = "\n\r\t"
"""The control characters that a reason may have."""


def _legible(text: str, also: str = "") -> str:
    """Audits are printed on terminals and written to databases, which other characters would disturb."""
    if not text.strip():
        raise ValueError("it is blank")
    odd = next((c for c in text if _is_control(c) and c not in also), None)
    if odd is not None:
        raise ValueError(f"it has the control character {odd!r}")
    return text


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff"


def clipped(text: str, limit: int) -> str:
    """A text that nobody can be asked to mend, as a request may have it."""
    legible = "".join("?" if _is_control(c) and c not in LINES else c for c in text)
    return legible if len(legible) <= limit else f"{legible[: limit - 3]}..."


Actor = Annotated[str, Field(min_length=1, max_length=ACTOR_LIMIT), AfterValidator(_legible)]
Reason = Annotated[str, Field(min_length=1, max_length=REASON_LIMIT), AfterValidator(lambda t: _legible(t, LINES))]

StartReason = Annotated[str, Field(max_length=REASON_LIMIT), AfterValidator(lambda t: t and _legible(t, LINES))]
"""Why a task is started need not be said."""


class Identity(Declaration):
    """Who somebody is, as whoever vouches for it says."""

    actor: Actor
    groups: tuple[str, ...] = ()


class Ask(Frozen):
    """What every request carries."""

    actor: Actor
    """Who asks."""
    reason: Reason
    """Why."""
    request_id: str | None = Field(default=None, min_length=1, max_length=ID_LIMIT)
    """The same id twice has one effect and one answer; for another request it is refused."""
    beside: ClassVar[frozenset[str]] = frozenset({"actor", "reason", "request_id"})
    """The fields that do not make it another request: a colleague may ask for the same in words of his own."""
    _identity: Identity | None = PrivateAttr(default=None)
    _content: bytes | None = PrivateAttr(default=None)

    @property
    def identity(self) -> Identity | None:
        """Who asks, if that was verified. No JSON can say so."""
        return self._identity

    def verified(self, identity: Identity) -> Self:
        """The same request, of somebody whose identity was verified: it wins over `actor`."""
        copy = self.model_copy(update={"actor": identity.actor})
        copy._identity = identity
        return copy

    @property
    def kind(self) -> str:
        """Its name, as it is sent."""
        return str(type(self).model_fields["request"].default)

    @property
    def content(self) -> bytes:
        """What it asks for, as JSON in one form: the same for the same request."""
        if self._content is not None:
            return self._content
        plain = self.model_dump(mode="json", exclude=set(self.beside), exclude_defaults=True)
        return json.dumps({**plain, "request": self.kind}, sort_keys=True, separators=(",", ":")).encode()

    def holding(self, **checked: Any) -> Self:
        """The same request, handing over what a worker has made of what it handed over."""
        copy = self.model_copy(update=checked)
        copy._content = self.content
        return copy


class CancelTask(Ask):
    """Stop the task: pending and failed steps at once, running ones after they were told and have ended."""

    request: Literal["cancel"] = "cancel"


class PauseTask(Ask):
    """Start nothing new. Running steps end and are recorded; deadlines run on, and take effect at resume."""

    request: Literal["pause"] = "pause"


class ResumeTask(Ask):
    """Go on with a paused task."""

    request: Literal["resume"] = "resume"


class RetryTask(Ask):
    """Go on with a task that is in error: its failed steps get all their attempts anew, done steps are not redone."""

    request: Literal["retry"] = "retry"


class ResolveTask(Ask):
    """Close a task that is in error as dealt with by hand."""

    request: Literal["resolve"] = "resolve"


class MoveTask(Ask):
    """Take a row of the task's type that is taken because somebody asks for it."""

    request: Literal["move"] = "move"
    to: str


class VoteAsk(Ask):
    """What every request about an approval carries."""

    step: str | None = None
    """None for the task's own approval."""
    approval: str | None = None
    """Its id, as `fraud_review#1`: the request is refused if another one counts by now."""
    beside: ClassVar[frozenset[str]] = Ask.beside - {"actor"}
    """The vote of another person is another one."""


class Approve(VoteAsk):
    """Vote for it. The form of the vote that decides is the step's result."""

    request: Literal["approve"] = "approve"
    form: Any = None


class Reject(VoteAsk):
    """Vote against it, which decides at once: the step, or the task, goes to `error`."""

    request: Literal["reject"] = "reject"


class Withdraw(VoteAsk):
    """Take back one's own vote, while nothing is decided."""

    request: Literal["withdraw"] = "withdraw"


class StepAsk(Ask):
    """What every request about one step carries."""

    step: str


class SkipStep(StepAsk):
    """Go on without this step. What requires its result is skipped too."""

    request: Literal["skip"] = "skip"


class RetryStep(StepAsk):
    """Try a failed step now. `fresh` gives it all its attempts anew; without it, it gets one if it had none left."""

    request: Literal["retry_step"] = "retry_step"
    fresh: bool = False


class RetryFrom(StepAsk):
    """Do a step that is over once more, and all that depend on it, in a new round."""

    request: Literal["retry_from"] = "retry_from"


class ResolveStep(StepAsk):
    """Take a step as dealt with by hand, without a result."""

    request: Literal["resolve_step"] = "resolve_step"


class CompleteStep(StepAsk):
    """Take a step as done, with this result. Its dependents get it as if the handler had returned it."""

    request: Literal["complete_step"] = "complete_step"
    result: Any = None


class ChangeStep(StepAsk):
    """Run a step otherwise than its template says, in this task only. What is None stays."""

    request: Literal["change_step"] = "change_step"
    attempts: int | None = Field(default=None, ge=1)
    timeout: timedelta | None = Field(default=None, gt=timedelta(0), lt=TIME_LIMIT)
    task_queue: QueueName | None = None
    config: dict[str, Any] | None = None


class SendEvent(Ask):
    """Tell the task of something that happened outside. The same `id` of the same event is taken once."""

    request: Literal["send_event"] = "send_event"
    actor: Actor = "outside"
    reason: Reason = "it happened"
    name: str = Field(min_length=1, max_length=EVENT_NAME_LIMIT)
    payload: Any = None
    id: str | None = Field(default=None, min_length=1, max_length=100)
    beside: ClassVar[frozenset[str]] = Ask.beside | {"payload"}
    """An event is what its name and id say: who delivers it once more may word it otherwise."""

    @model_validator(mode="before")
    @classmethod
    def _identify(cls, given: Any) -> Any:
        """An event is what its name and id say, whoever tells of it, and however often."""
        if isinstance(given, dict) and given.get("id"):
            return {**given, "request_id": event_request(given.get("name"), given["id"])}
        return given


def event_request(name: Any, id: Any) -> str:
    """The request id of an event that has an id of its own."""
    known = f"event:{name}:{id}"
    return known if len(known) <= ID_LIMIT else f"{known[: ID_LIMIT - 65]}:{hashlib.sha256(known.encode()).hexdigest()}"


Request = Annotated[
    CancelTask
    | PauseTask
    | ResumeTask
    | RetryTask
    | ResolveTask
    | SkipStep
    | RetryStep
    | RetryFrom
    | ResolveStep
    | CompleteStep
    | ChangeStep
    | MoveTask
    | Approve
    | Reject
    | Withdraw
    | SendEvent,
    Field(discriminator="request"),
]
