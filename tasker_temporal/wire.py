"""The shapes that cross a process border, and so stand in workflow histories for years.

Rule 1: fields are added with defaults, and never renamed or removed.
Rule 2: what only the library reads is packed: JSON, zlib, base64. What a person may want to see is readable beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final

from pydantic import ConfigDict, Field
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tasker_temporal.core.announcements import Entry, entry_of
from tasker_temporal.core.arguments import argument_of
from tasker_temporal.core.messages import AUTOMATIC, Notify
from tasker_temporal.core.outbox import Outbox
from tasker_temporal.core.routes import Course
from tasker_temporal.core.task import INTERPRETER, Task
from tasker_temporal.core.template import Frozen, Sink, StepTemplate, Template, read_template
from tasker_temporal.errors import NewerRelease
from tasker_temporal.payloads import pack, payload_of, raw, unpack

BACKSTOP = timedelta(seconds=10)
"""How much longer than a handler's own timeout Temporal waits for its activity."""


@lru_cache(maxsize=256)
def unpacked_template(packed: str) -> Template:
    return read_template(unpack(packed))


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


FORMAT: Final = 1
"""Of a `StartInput`. Who adds a field gives a start that has it the next number: older releases pass over nothing."""


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
    reopened: tuple[str, ...] = ()
    """The runs, oldest first, after which the task was reopened: nobody may go on from them once more."""
    listed: bool = False
    """A new task tells search attributes. In a later run, the snapshot says so."""
    course: Course | None = None
    """How whoever starts the task wants it to be processed."""
    trace: Mapping[str, str] = Field(default_factory=dict)
    """The trace in which the task was started, for a run that somebody else's call began."""

    @classmethod
    def first(
        cls,
        template: Template,
        key: bytes,
        actor: str,
        reason: str = "",
        course: Course | None = None,
        *,
        listed: bool = False,
    ) -> StartInput:
        """How a task begins."""
        return cls(
            template_name=template.name,
            version=template.version,
            digest=template.digest,
            actor=actor,
            reason=reason,
            key=key.hex(),
            listed=listed,
            template=pack(template.plain),
            course=course,
        )

    @classmethod
    def later(
        cls,
        template: Template,
        plain: Mapping[str, Any],
        previous_run: str,
        *,
        reopened: Sequence[str] = (),
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
            reopened=tuple(reopened),
            request=request,
            trace=trace or {},
        )

    @classmethod
    def read(cls, plain: Any) -> StartInput:
        """A start as JSON has it.

        Raises:
            NewerRelease: a newer release has written it.
            ValidationError: it is none.
        """
        known = {"format": FORMAT, "interpreter": INTERPRETER}
        said = {name: plain.get(name) for name in known} if isinstance(plain, Mapping) else {}
        for name, number in said.items():
            if isinstance(number, int) and number > known[name]:
                raise NewerRelease("the task's start", f"its {name} is {number}, and {known[name]} is the last known")
        return cls.model_validate(plain)

    @property
    def untold(self) -> tuple[str, ...]:
        """Those of `reopened` which the server does not know yet that this run comes after."""
        return self.reopened if self.request is None else self.reopened[:-1]

    def raw(self) -> RawValue:
        return raw(self.model_dump(exclude_defaults=True) | {"format": self.format, "interpreter": self.interpreter})


def successor(run_id: str) -> str:
    """The request id of the start that reopens a task after its run `run_id`: the server takes it once."""
    return f"reopen {run_id}"


class Prepared(Frozen):
    """What `tasker.prepare` found for a task that was started without a `StartInput`."""

    start: StartInput
    context_digest: str
    """Salted, of the context as the workflow holds it: it may have been decoded and encoded on its way."""
    problems: tuple[dict[str, Any], ...] = ()

    @classmethod
    def read(cls, plain: Mapping[str, Any]) -> Prepared:
        """It may come from another worker, in a replay.

        Raises:
            NewerRelease: a newer release has written it.
        """
        StartInput.read(plain["start"])
        return cls.model_validate(plain)


class StepCall(Frozen):
    """The first argument of every step's activity; the values of `arguments` follow it, in their order.

    It says what Temporal does not tell an activity anyway, and leaves out what is as by default. What a newer release
    says besides is passed over: a step must not fail because its handler's worker is upgraded last.
    """

    model_config = ConfigDict(extra="ignore")

    arguments: tuple[str, ...] = ()
    attempt: int = 1
    attempts: int = 3
    round: int = 1
    config: Mapping[str, Any] = Field(default_factory=dict)

    @classmethod
    def read(cls, sent: Any) -> StepCall:
        """The call as it was sent. The SDK decodes it if another number of arguments comes than the activity has."""
        return cls.model_validate_json(sent.payload.data) if isinstance(sent, RawValue) else cls.model_validate(sent)


_SAID: Final = ("attempt", "attempts", "round", "config")
_CALL_DEFAULTS: Final = StepCall().model_dump()
_AS_BY_DEFAULT: Final = tuple(_CALL_DEFAULTS[name] for name in _SAID)


def step_call(task: Task, template: StepTemplate, attempt: int) -> list[RawValue]:
    """The arguments of the activity that runs the step's handler."""
    call: dict[str, Any] = {"arguments": [argument.name for argument in template.arguments]}
    step = task.steps[template.name]
    said = (attempt, template.max_attempts, step.round, template.config)
    if said != _AS_BY_DEFAULT:
        call |= {name: value for name, value in zip(_SAID, said, strict=True) if value != _CALL_DEFAULTS[name]}
    contents = (argument_of(task, step, argument) for argument in template.arguments)
    return [raw(call), *(RawValue(payload_of(content)) for content in contents)]


def activity_id(step: str, execution: int) -> str:
    """By its id an activity knows which execution of which step it is."""
    return f"{step}:{execution}"


def execution_of(activity_id: str) -> tuple[str, int]:
    """The inverse of `activity_id`."""
    step, _, execution = activity_id.rpartition(":")
    return step, int(execution)


Told = tuple[Entry, str | None]
"""A row or an announcement. With a row, what it says as JSON if it is an event of the template's own."""


class Batch(Frozen):
    """Rows that a sink is to get: those numbered from `number` on.

    Without `rows`, packed, they are read from the task's written records.
    """

    task_id: str
    template: str
    version: str
    template_digest: str
    context_digest: str
    sink: str
    events: tuple[str, ...]
    contents: bool = True
    number: int
    count: int
    rows: str = ""
    ended: Mapping[str, Any] | None = None
    """How the run was ended from outside, which no row tells: `type`, `time`, `reason`, `actor`, `run_id`."""
    run_id: str = ""
    """The run with which the task was over; the latest of its id unless said."""

    @classmethod
    def of(cls, task: Task, context_digest: str, box: Outbox, number: int, rows: int | Sequence[Entry]) -> Batch:
        """These rows, or so many that are in the written records."""
        return cls(
            task_id=task.id,
            template=task.template.name,
            version=task.template.version,
            template_digest=task.template.digest,
            context_digest=context_digest,
            sink=box.sink.name,
            events=box.sink.events,
            contents=box.sink.contents,
            number=number,
            count=rows if isinstance(rows, int) else len(rows),
            rows="" if isinstance(rows, int) else pack([[*row, box.content(row)] for row in rows]),
        )

    def unpacked(self) -> list[Told]:
        return [(entry_of(entry), content) for *entry, content in unpack(self.rows)]

    def raw(self) -> RawValue:
        return raw(self.model_dump(mode="json", exclude_defaults=True))


class Remainder(Frozen):
    """What a task leaves to a workflow of its own: batches for one sink, in order."""

    sink: Sink
    batches: tuple[Batch, ...]

    def raw(self) -> RawValue:
        return raw(self.model_dump(mode="json", exclude_defaults=True))


def notice(task: Task, command: Notify) -> dict[str, Any]:
    """What an approval's notifier is told, as JSON."""
    said = {"task_id": task.id, "template": task.template.name, **command._asdict()}
    return {key: value for key, value in said.items() if value is not None or key == "step"}
