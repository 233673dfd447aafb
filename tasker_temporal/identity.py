"""Who is who: an identity that a client puts into a header, and that wins over what a request says of its actor.

The library cannot know who somebody is. The process that runs the client says so, and whoever may write to the
namespace could say the same. With a key that only such processes and the workers have, a claim is signed for one task,
one request and one content: it can be neither forged nor used again elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Annotated, Any, Final, TypedDict

from pydantic import Field
from pydantic_core import to_json
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.common import RawValue
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from temporalio.worker import Interceptor as WorkerInterceptor

from tasker_temporal.core.requests import Identity
from tasker_temporal.options import check_options

HEADER: Final = "tasker-identity"

START: Final = "start"
"""What a claim is made for that comes with a start; with a request it is the name of its update or signal."""


class Claim(Identity):
    """An identity as it travels. `signature` is 64 hexadecimal digits, or empty if there is no key."""

    signature: str = ""

    @property
    def identity(self) -> Identity:
        return Identity(actor=self.actor, groups=self.groups)

    @classmethod
    def of(cls, headers: Mapping[str, Payload]) -> Claim | None:
        """The claim in the headers.

        Raises:
            ValueError: there is something that is none.
        """
        payload = headers.get(HEADER)
        return None if payload is None else cls.model_validate_json(payload.data)


def sign(identity: Identity, key: bytes | None, task_id: str, purpose: str, digest: str) -> Claim:
    """The identity, signed for one use if there is a key."""
    signature = _signature(identity, key, task_id, purpose, digest) if key else ""
    return Claim(actor=identity.actor, groups=identity.groups, signature=signature)


def is_signed(claim: Claim, key: bytes, task_id: str, purpose: str, digest: str) -> bool:
    """Whoever made the claim has the key, and made it for this use."""
    return hmac.compare_digest(claim.signature, _signature(claim.identity, key, task_id, purpose, digest))


def _signature(identity: Identity, key: bytes, task_id: str, purpose: str, digest: str) -> str:
    message = json.dumps(["tasker/1", identity.actor, list(identity.groups), task_id, purpose, digest])
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def digest_of(*contents: Any) -> str:
    """SHA-256 of what is sent. JSON is put into one form first, because it is decoded on its way."""
    return hashlib.sha256(b"\n".join(_canonical(content) for content in contents)).hexdigest()


def _canonical(content: Any) -> bytes:
    data = content.payload.data if isinstance(content, RawValue) else to_json(content)
    try:
        return json.dumps(json.loads(data or b"null"), sort_keys=True, separators=(",", ":")).encode()
    except ValueError:
        return data


class InterceptorOptions(TypedDict, total=False):
    """What `IdentityInterceptor` takes."""

    who: Callable[[], Identity | None]
    key: Annotated[bytes, Field(min_length=1, repr=False)]


class IdentityInterceptor(Interceptor):
    """Says with each start and each request of a client who is behind it: `interceptors=[IdentityInterceptor(who)]`.

    Args:
        who: Gives the identity of whoever the process acts for at the moment; None for nobody.
        key: Signs it. Give the workers the same: `TaskerPlugin(..., identity_key=key)`.

    Raises:
        OptionError: an option has a value that it cannot have.
    """

    def __init__(self, who: Callable[[], Identity | None], *, key: bytes | None = None) -> None:
        check_options("IdentityInterceptor", InterceptorOptions, {"who": who, "key": key})
        self.who, self._key = who, key

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Outbound(next, self)

    def headers(
        self, known: Mapping[str, Payload], task_id: str, purpose: str, args: Sequence[Any]
    ) -> Mapping[str, Payload]:
        """The headers with the claim of whoever it is."""
        identity = self.who()
        if identity is None:
            return known
        claim = sign(identity, self._key, task_id, purpose, digest_of(*args))
        metadata = {"encoding": b"json/plain"}
        return {**known, HEADER: Payload(metadata=metadata, data=claim.model_dump_json().encode())}


def claimed(client: Client) -> Identity | None:
    """Whose this client's requests will say that they are; None if nobody's. The innermost interceptor wins."""
    known = client.config(active_config=True)["interceptors"]
    found = (one.who() for one in reversed(known) if isinstance(one, IdentityInterceptor))
    return next((identity for identity in found if identity is not None), None)


class _Outbound(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, interceptor: IdentityInterceptor) -> None:
        super().__init__(next)
        self._interceptor = interceptor

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.headers = self._interceptor.headers(input.headers, input.id, START, input.args)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:
        input.headers = self._interceptor.headers(input.headers, input.id, input.signal, input.args)
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:
        input.headers = self._interceptor.headers(input.headers, input.id, input.update, input.args)
        return await super().start_workflow_update(input)


HEADERS: Final[ContextVar[Mapping[str, Payload]]] = ContextVar("HEADERS")
"""Those of the update or signal that is being handled."""


class Headers(WorkerInterceptor):
    """Lets a task see the headers of what it is asked."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return _HeadersInbound


class _HeadersInbound(WorkflowInboundInterceptor):
    def handle_update_validator(self, input: HandleUpdateInput) -> None:
        HEADERS.set(input.headers)
        super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        HEADERS.set(input.headers)
        return await super().handle_update_handler(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:
        HEADERS.set(input.headers)
        await super().handle_signal(input)
