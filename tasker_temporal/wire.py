"""The shapes that cross a process border, and so stand in workflow histories for years.

Rule 1: fields are added with defaults, and never renamed or removed.
Rule 2: contexts and results pass through the workflow as the payloads they are, never decoded.
Rule 3: what only the library reads is packed: JSON, zlib, base64. What a person may want to see is readable beside it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pydantic import Field
from pydantic_core import to_json
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tasker_temporal.core.messages import AUTOMATIC, JSON, Content
from tasker_temporal.core.task import INTERPRETER, Task
from tasker_temporal.core.template import Frozen, StepTemplate, Template

NOTHING = Content(b"", (("encoding", b"binary/null"),))
"""How None crosses the wire."""

BACKSTOP = timedelta(seconds=10)
"""How much longer than a handler's own timeout Temporal waits for its activity."""


def content_of(payload: Payload) -> Content:
    """The payload as the core keeps it."""
    return Content(payload.data, tuple(sorted(payload.metadata.items())))


def payload_of(content: Content | None) -> Payload:
    """The inverse of `content_of`; None is sent as null."""
    data, metadata = NOTHING if content is None else content
    return _payload(data, metadata)


def _payload(data: bytes, metadata: Sequence[tuple[str, bytes]]) -> Payload:
    """Its metadata is set item by item, because the constructor takes three times as long for a dict."""
    payload = Payload(data=data)
    for key, value in metadata:
        payload.metadata[key] = value
    return payload


def raw(value: Any) -> RawValue:
    """JSON of the library's own, whatever converter the user has."""
    return RawValue(_payload(to_json(value), JSON))


def read_raw(value: RawValue) -> Any:
    """The inverse of `raw`; null and no data at all are None."""
    return json.loads(value.payload.data) if value.payload.data else None


def pack(plain: Any) -> str:
    """In a window of 4 KiB, which is as good for rows, and spares the allocation of 256 KiB."""
    packer = zlib.compressobj(6, zlib.DEFLATED, wbits=12, memLevel=5)
    return base64.b64encode(packer.compress(to_json(plain)) + packer.flush()).decode()


def unpack(packed: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(packed)))


@lru_cache(maxsize=256)
def unpacked_template(packed: str) -> Template:
    return Template.model_validate(unpack(packed))


TRACE_HEADER = "_tracer-data"
"""The header in which Temporal's SDKs send a trace: JSON, as `{"traceparent": ...}`."""


def carried(header: Payload | None) -> dict[str, str]:
    """What the header says; nothing if it is missing or cannot be read."""
    try:
        plain = json.loads(header.data) if header is not None else {}
        return {str(key): str(value) for key, value in plain.items()}
    except (ValueError, AttributeError):
        return {}


MEMO_ACTOR, MEMO_REASON = "tasker.actor", "tasker.reason"
"""Where the memo of a task that was started without a `StartInput` says who started it, and why."""


class StartInput(Frozen):
    """The workflow's second argument. A first run has `template` and `key`, a later one `snapshot`, both packed."""

    format: int = 1
    interpreter: int = INTERPRETER
    template_name: str
    version: str
    digest: str
    actor: str = AUTOMATIC
    reason: str = ""
    key: str = ""
    """64 hexadecimal digits, drawn anew for each task: the salt of every digest in its audit."""
    template: str = ""
    snapshot: str = ""
    previous_run: str = ""
    request: Mapping[str, Any] | None = None
    """A task that had ended in `error` goes on because of this request."""
    trace: Mapping[str, str] = Field(default_factory=dict)
    """The trace in which the task was started, for a run that somebody else's call began."""

    @classmethod
    def first(cls, template: Template, key: bytes, actor: str, reason: str = "") -> StartInput:
        """How a task begins."""
        return cls(
            template_name=template.name,
            version=template.version,
            digest=template.digest,
            actor=actor,
            reason=reason,
            key=key.hex(),
            template=pack(template.model_dump(mode="json", exclude_defaults=True)),
        )

    @classmethod
    def later(
        cls,
        template: Template,
        plain: Mapping[str, Any],
        previous_run: str,
        request: Mapping[str, Any] | None = None,
        trace: Mapping[str, str] | None = None,
    ) -> StartInput:
        """How a task goes on in a new run, from its snapshot `plain`."""
        return cls(
            template_name=template.name,
            version=template.version,
            digest=template.digest,
            snapshot=pack(plain),
            previous_run=previous_run,
            request=request,
            trace=trace or {},
        )

    def raw(self) -> RawValue:
        return raw(self.model_dump(exclude_defaults=True) | {"format": self.format, "interpreter": self.interpreter})


class Prepared(Frozen):
    """What `tasker.prepare` found for a task that was started without a `StartInput`."""

    start: StartInput
    context_digest: str
    """Salted, of the context as the workflow holds it: it may have been decoded and encoded on its way."""
    problems: tuple[dict[str, Any], ...] = ()


class StepCall(Frozen):
    """The first argument of every step's activity; the values of `arguments` follow it, in their order."""

    task_id: str
    step: str
    attempt: int
    attempts: int
    execution: int
    round: int = 1
    timeout: float
    """Seconds."""
    heartbeat_timeout: float
    """Seconds."""
    arguments: tuple[str, ...] = ()
    config: Mapping[str, Any] = Field(default_factory=dict)

    @classmethod
    def read(cls, sent: Any) -> StepCall:
        """The call as it was sent. The SDK decodes it if another number of arguments comes than the activity has."""
        return cls.model_validate_json(sent.payload.data) if isinstance(sent, RawValue) else cls.model_validate(sent)


def step_call(task: Task, template: StepTemplate, attempt: int, execution: int) -> list[RawValue]:
    """The arguments of the activity that runs the step's handler."""
    call: dict[str, Any] = {
        "task_id": task.id,
        "step": template.name,
        "attempt": attempt,
        "attempts": template.max_attempts,
        "execution": execution,
        "timeout": template.timeout.total_seconds(),
        "heartbeat_timeout": template.heartbeat_timeout.total_seconds(),
        "arguments": [argument.name for argument in template.arguments],
    }
    if template.config:
        call["config"] = template.config
    if (turn := task.steps[template.name].round) != 1:
        call["round"] = turn
    contents = (task.context if a.step is None else task.steps[a.step].result for a in template.arguments)
    return [raw(call), *(RawValue(payload_of(content)) for content in contents)]


def chunks(text: str, size: int) -> Sequence[str]:
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]
