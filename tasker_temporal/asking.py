"""What can be asked of one task: a method for each request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NotRequired, TypedDict, TypeVar, Unpack, overload

from pydantic import ValidationError
from temporalio.client import Client

from tasker_temporal.converter import converter_of
from tasker_temporal.core.requests import event_request
from tasker_temporal.declare import DeclaredApproval, DeclaredStep
from tasker_temporal.door import Door, Planned
from tasker_temporal.errors import RequestRefused
from tasker_temporal.expression import DeclaredEvent, event_name
from tasker_temporal.given import said
from tasker_temporal.signature import adapter

T = TypeVar("T")

AnyStep = DeclaredStep[..., Any, Any] | str


class Asked(TypedDict):
    """What every request carries: who asks, and why. The same `request_id` twice has one effect and one answer."""

    actor: str
    reason: str
    request_id: NotRequired[str]


class Told(TypedDict):
    """Who tells of an event, and why: `outside` and `it happened` unless said."""

    actor: NotRequired[str]
    reason: NotRequired[str]


class Requests:
    """The requests to one task. Each says who asks and why, and is applied whole or refused whole.

    A task whose run has failed is reopened for any request that is legal for a task in `error`. Each returns what it
    did: `first` and `last`, the sort_keys of the rows that followed, and the first hundred `rows`.

    Raises:
        RequestRefused: a rule, what is legal now; nothing has changed.
        RequestUnanswered: nobody answered in time; the request may still be applied.
        UnknownTask: there is none of this id.
    """

    client: Client
    _door: Door

    async def cancel(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Stop the task: what does not run at once, what runs within its `cancel_grace`."""
        return await self._door.ask("cancel", asked)

    async def pause(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Start nothing new until `resume`. Running steps end, and deadlines run on."""
        return await self._door.ask("pause", asked)

    async def resume(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Go on with a paused task."""
        return await self._door.ask("resume", asked)

    async def retry(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Go on with a task that is in `error`. Failed steps get all their attempts anew; done steps are not redone."""
        return await self._door.ask("retry", asked)

    async def resolve(self, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Close a task that is in `error` as dealt with by hand."""
        return await self._door.ask("resolve", asked)

    async def skip(self, step: AnyStep, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Go on without a pending or failed step. What requires its result is skipped too."""
        return await self._door.ask("skip", {"step": _name(step), **asked})

    async def retry_step(self, step: AnyStep, *, fresh: bool = False, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Try a failed step now. `fresh` gives it all its attempts anew."""
        return await self._door.ask("retry_step", {"step": _name(step), "fresh": fresh, **asked})

    async def retry_from(self, step: AnyStep, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Do a step that is over once more, and all that depends on it."""
        return await self._door.ask("retry_from", {"step": _name(step), **asked})

    async def resolve_step(self, step: AnyStep, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Take a pending or failed step as dealt with by hand, without a result."""
        return await self._door.ask("resolve_step", {"step": _name(step), **asked})

    @overload
    async def complete_step(
        self, step: DeclaredStep[..., Any, T], result: T, **asked: Unpack[Asked]
    ) -> dict[str, Any]: ...
    @overload
    async def complete_step(self, step: str, result: Any, **asked: Unpack[Asked]) -> dict[str, Any]: ...
    async def complete_step(self, step: Any, result: Any, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Take a step as done with this result, which must be of its handler's return type."""
        plain = json.loads(converter_of(self.client).to_payload(result).data or b"null")
        return await self._door.ask("complete_step", {"step": _name(step), "result": plain, **asked})

    async def change_step(
        self,
        step: AnyStep,
        *,
        attempts: int | None = None,
        timeout: timedelta | None = None,
        task_queue: str | None = None,
        config: Mapping[str, Any] | None = None,
        **asked: Unpack[Asked],
    ) -> dict[str, Any]:
        """Run a step that does not run otherwise than its template says, in this task only."""
        seconds = None if timeout is None else timeout.total_seconds()
        changes = {"attempts": attempts, "timeout": seconds, "task_queue": task_queue, "config": config}
        return await self._door.ask("change_step", {"step": _name(step), **changes, **asked})

    # Deciding. A vote may come before the approval opens. `approval` is its id, as `fraud_review#1`: with it the vote
    # is refused if another round counts by now. Without a step it is about the task's own approval.

    @overload
    async def approve(
        self, step: DeclaredApproval[T], form: T, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]: ...
    @overload
    async def approve(
        self,
        step: DeclaredApproval[None] | str | None = None,
        form: Any = None,
        *,
        approval: str | None = None,
        **asked: Unpack[Asked],
    ) -> dict[str, Any]: ...
    async def approve(
        self, step: Any = None, form: Any = None, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]:
        """Vote for it. The form of the vote that makes the quorum full is the step's result."""
        if isinstance(step, DeclaredApproval):
            form = _checked(step, form)
        plain = json.loads(converter_of(self.client).to_payload(form).data or b"null")
        return await self._door.ask("approve", {**_about(step, approval), "form": plain, **asked})

    async def reject(
        self, step: AnyStep | None = None, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]:
        """Vote against it, which decides at once."""
        return await self._door.ask("reject", {**_about(step, approval), **asked})

    async def withdraw(
        self, step: AnyStep | None = None, *, approval: str | None = None, **asked: Unpack[Asked]
    ) -> dict[str, Any]:
        """Take back the vote of this `actor`, while nothing is decided."""
        return await self._door.ask("withdraw", {**_about(step, approval), **asked})

    async def move(self, to: str, **asked: Unpack[Asked]) -> dict[str, Any]:
        """Move a task along a row of its type that is taken because somebody asks for it."""
        return await self._door.ask("move", {"to": to, **asked})

    @overload
    async def send_event(
        self, event: DeclaredEvent[T], payload: T, *, id: str | None = None, **told: Unpack[Told]
    ) -> dict[str, Any]: ...
    @overload
    async def send_event(
        self, event: str, payload: Any = None, *, id: str | None = None, **told: Unpack[Told]
    ) -> dict[str, Any]: ...
    async def send_event(
        self, event: Any, payload: Any = None, *, id: str | None = None, **told: Unpack[Told]
    ) -> dict[str, Any]:
        """Tell the task of something that happened outside, by the declared event or by its name.

        Args:
            payload: What its model can validate; any JSON if the event has none.
            id: The same event told again under this id has no effect, and the same answer.
        """
        checked = payload if isinstance(event, str) else _valid(event, payload)
        plain = json.loads(converter_of(self.client).to_payload(checked).data or b"null")
        name = event_name(event)
        request_id = {} if id is None else {"id": id, "request_id": event_request(name, id)}
        return await self._door.ask("send_event", {"name": name, "payload": plain, **request_id, **told})

    async def plan(self, request: Mapping[str, Any]) -> Planned:
        """The rows that a request would write now, as `{"request": "skip", "step": ..., "actor": ..., "reason": ...}`.

        A result, a form or a payload is checked by the template that the client's plugin has. Without one, the rows'
        `unchecked` names it: nobody has looked at its type.

        Raises:
            RequestRefused: it would be refused.
        """
        return await self._door.plan(request)


def _about(step: AnyStep | None, approval: str | None) -> dict[str, Any]:
    said = {"step": None if step is None else _name(step), "approval": approval}
    return {key: value for key, value in said.items() if value is not None}


def _checked(step: DeclaredApproval[Any], form: Any) -> Any:
    """What a worker would refuse is refused before it is sent."""
    try:
        return adapter(step.form).validate_python(form)
    except ValidationError as error:
        raise RequestRefused(f"the form of {step.name!r} is not valid: {said(error)}") from error


def _valid(event: DeclaredEvent[Any], payload: Any) -> Any:
    try:
        return adapter(event.model).validate_python(payload)
    except ValidationError as error:
        message = f"the payload of event {event.name!r} is not valid: {said(error)}"
        raise RequestRefused(message) from error


def _name(step: AnyStep) -> str:
    return step if isinstance(step, str) else step.name
