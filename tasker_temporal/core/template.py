"""The compiled template: a task as a graph of steps, in plain data.

It travels in the workflow's input, so a running task never sees a later edit of its own graph. Fields that have their
default are left out on the wire: a released default is therefore never changed, only superseded by a new field.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import to_json

from tasker_temporal.core import wording
from tasker_temporal.core.approval import Approval
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.routes import Mode, Route
from tasker_temporal.core.task_types import DEFAULT, TaskType
from tasker_temporal.core.triggers import EventTemplate, Trigger, events_of, steps_of
from tasker_temporal.core.values import TIME_LIMIT, Declaration
from tasker_temporal.core.values import Frozen as Frozen
from tasker_temporal.errors import NewerRelease

PAYLOAD_LIMIT = 2 * 1024 * 1024 - 32 * 1024
"""Bytes that one step may send or receive: the server's 2 MiB a payload, less room for a codec's own bytes."""


class Argument(Frozen):
    """One parameter of a handler that the library fills in."""

    name: str
    step: str | None = None
    """The step whose result, or failure, it takes; None for the task's context or an event's payload."""
    part: Literal["result", "failure"] = "result"
    """What it takes of the step."""
    event: str | None = None
    """The external event whose payload it takes."""
    optional: bool = False
    """It accepts None, so a step that was skipped or resolved without a result may stand behind it."""


class StepTemplate(Frozen):
    """One node of the graph: what it waits for, what its handler asks for, and how long it is tried."""

    name: str
    description: str = ""
    awaits: Literal["handler", "approval", "event"] = "handler"
    """What it waits for once it is in progress: its handler's end, people, or something from outside."""
    approval: Approval | None = None
    """Whose votes decide it, if it awaits an approval."""
    arguments: tuple[Argument, ...] = ()
    after: tuple[str, ...] = ()
    on: Trigger | None = None
    """When it runs, beside `after`. Of a step that awaits an event: what ends the wait."""
    when: str = ""
    """A condition in CEL, evaluated once, as soon as everything else is there. If it is false, the step is skipped."""
    branches: tuple[str, ...] = ()
    """What its handler chooses among: it is a decision."""
    on_deadline: Literal["fail", "skip"] = "fail"
    """What becomes of a wait for an event that does not come in time."""
    retry: Retry = Retry()
    retryable: bool = True
    timeout: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0), lt=TIME_LIMIT)
    """One attempt."""
    deadline: timedelta | None = Field(default=None, gt=timedelta(0))
    """The whole step, from its first attempt on, waits between attempts included."""
    heartbeat_timeout: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))
    """A worker that says nothing for so long counts as lost."""
    task_queue: str | None = None
    formerly: tuple[str, ...] = ()
    config: dict[str, Any] = Field(default={})
    result: str = "Any"
    """The name of the handler's return type, for people."""

    @cached_property
    def runs(self) -> bool:
        """It has a handler. A step without one takes no place among those that run at once."""
        return self.awaits == "handler"

    @cached_property
    def config_size(self) -> int:
        """Bytes of its config, as JSON."""
        return len(to_json(self.config)) if self.config else 0

    @cached_property
    def trigger(self) -> Trigger | None:
        """What beside its dependencies says when it runs. That of a wait says when it is over."""
        return self.on if self.awaits != "event" else None

    @cached_property
    def named(self) -> tuple[str, ...]:
        """The steps that its trigger names, each once."""
        return steps_of(self.trigger)

    @cached_property
    def dependencies(self) -> tuple[str, ...]:
        """The steps that must be over first: `after` and the results it takes, each once.

        Of a step that its trigger names it takes what is there when it runs, and waits for nothing more.
        """
        taken = (a.step for a in self.arguments if a.step is not None and a.step not in self.named)
        return tuple(dict.fromkeys([*self.after, *taken]))

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The steps that decide whether it runs: its dependencies, and those that its trigger names."""
        return tuple(dict.fromkeys([*self.dependencies, *self.named]))

    @cached_property
    def required(self) -> frozenset[str]:
        """The steps without whose result this one can never run."""
        return frozenset(a.step for a in self._results if a.step is not None and not a.optional)

    @cached_property
    def takes(self) -> dict[str | None, int]:
        """How many of its parameters take each result, and, under None, the context."""
        taken: dict[str | None, int] = {}
        for argument in self._results:
            taken[argument.step] = taken.get(argument.step, 0) + 1
        return taken

    @cached_property
    def _results(self) -> tuple[Argument, ...]:
        return tuple(a for a in self.arguments if a.part == "result" and a.event is None)

    @cached_property
    def max_attempts(self) -> int:
        return self.retry.attempts if self.retryable else 1


class Sink(Declaration):
    """Somebody outside who is told what happens to the task: in order, numbered, at least once."""

    name: str
    """What the plugin of the workers calls it."""
    events: tuple[str, ...] = ("*",)
    """Which rows it gets, by the names of their events: `step.failed`, `task.*`, `*`. An event that is no row, as
    `step.max_retries_reached`, it gets if it names it in full: a `*` stands for rows alone."""
    batch: int = Field(default=200, ge=1, le=5_000)
    """So many rows are sent as soon as they are there."""
    within: timedelta | None = Field(default=timedelta(minutes=1), gt=timedelta(0))
    """So late, at most, a row is sent while its task goes on. None: with a full batch, or when the task is over."""
    grace: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0))
    """So long a task that is over waits for the sink. What is left then is sent by a workflow of its own."""
    timeout: timedelta = Field(default=timedelta(minutes=1), gt=timedelta(0))
    """One attempt to send a batch."""
    task_queue: str | None = None
    """Where the workers are that reach it; the task's own queue unless said."""
    contents: bool = True
    """It gets what a template's own events say, which is in no row. Not so an archive in which nothing personal is."""


class Limits(Declaration):
    """How much of one task may be under way at a time."""

    in_flight: int = Field(default=64, ge=1)
    """Steps that run at once."""
    bytes_in_flight: int = Field(default=2_000_000, ge=1)
    """Input bytes of the steps that run at once; one step may always run, whatever its size."""
    drain_events: int = Field(default=10_240, ge=10)
    """From so many history events on nothing new starts until the run can continue as new."""
    drain_bytes: int = Field(default=10_000_000, ge=10_000)


class Template(Frozen):
    """The whole graph, as `mistakes` found it to be sound."""

    name: str
    version: str = "1.0.0"
    description: str = ""
    context: str = "Any"
    """The name of the context's type, for people."""
    steps: tuple[StepTemplate, ...] = ()
    task_queue: str | None = None
    on_failure: Literal["continue", "stop"] = "continue"
    on_error: Literal["fail", "hold"] = "fail"
    """A task in error closes its run as failed, or holds it open for somebody to step in."""
    hold_for: timedelta = Field(default=timedelta(days=30), gt=timedelta(0))
    cancel_grace: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(0))
    handler_grace: timedelta = Field(default=timedelta(minutes=10), ge=timedelta(0))
    limits: Limits = Limits()
    type: TaskType = DEFAULT
    approval: Approval | None = None
    """The task's own, if its type has one."""
    events: tuple[EventTemplate, ...] = ()
    """What may come from outside."""
    mode: Mode = "concurrent"
    max_concurrency: int | None = Field(default=None, ge=1)
    """Steps that run at once, if fewer than `limits` allow."""
    routes: tuple[Route, ...] = ()
    """The first whose condition holds when a task begins says how that task is processed."""
    sinks: tuple[Sink, ...] = ()

    @cached_property
    def plain(self) -> Mapping[str, Any]:
        """The template as JSON, without what is as by default."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the template's canonical JSON, as 64 hexadecimal digits: equal graphs, equal digests."""
        return hashlib.sha256(json.dumps(self.plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def dependents(self) -> dict[str, tuple[str, ...]]:
        """For each step, the steps that wait for it, in declared order."""
        found: dict[str, list[str]] = {step.name: [] for step in self.steps}
        for step in self.steps:
            for dependency in step.dependencies:
                found[dependency].append(step.name)
        return {name: tuple(waiting) for name, waiting in found.items()}

    @cached_property
    def listeners(self) -> dict[str, tuple[str, ...]]:
        """For each step that triggers name, the steps that have those triggers, in declared order."""
        found: dict[str, list[str]] = {}
        for step in self.steps:
            for named in step.named:
                found.setdefault(named, []).append(step.name)
        return {name: tuple(listening) for name, listening in found.items()}

    @cached_property
    def receivers(self) -> dict[str, tuple[str, ...]]:
        """For each event that triggers name, the steps that have those triggers, in declared order."""
        found: dict[str, list[str]] = {}
        for step in self.steps:
            for event in events_of(step.on):
                found.setdefault(event, []).append(step.name)
        return {name: tuple(receiving) for name, receiving in found.items()}

    @cached_property
    def _followers(self) -> dict[str, tuple[str, ...]]:
        listeners = self.listeners
        return {
            step: tuple(dict.fromkeys((*waiting, *listeners.get(step, ()))))
            for step, waiting in self.dependents.items()
        }

    def followers(self, step: str) -> tuple[str, ...]:
        """The steps that this one decides about, in whatever way, each once."""
        return self._followers[step]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {step.name: place for place, step in enumerate(self.steps)}

    def place(self, step: str) -> int:
        """Where the step stands in declared order."""
        return self._places[step]

    @cached_property
    def _by_name(self) -> dict[str, StepTemplate]:
        return {step.name: step for step in self.steps}

    def step(self, name: str) -> StepTemplate:
        """The step of that name."""
        return self._by_name[name]

    def activity_type(self, step: str) -> str:
        """The activity type of a step's handler."""
        return f"{self.name}.{step}"

    def notifier_type(self, step: str | None) -> str:
        """The activity type of the notifier of a step's approval, or of the task's own. No step's has a colon."""
        return f"{self.name}:notify" if step is None else f"{self.name}.{step}:notify"


def read_template(plain: Mapping[str, Any]) -> Template:
    """The template that stands in a history, where only the library has written it.

    Raises:
        NewerRelease: it says what this release does not know.
    """
    try:
        return Template.model_validate(plain)
    except ValidationError as error:
        raise NewerRelease("the task's template", "; ".join(wording.told(error, Template, {}))) from None


def changed(step: StepTemplate, changes: Mapping[str, Any]) -> StepTemplate:
    """The step with `attempts`, `timeout` (seconds), `task_queue` and `config` as somebody changed them."""
    values: dict[str, Any] = {name: changes[name] for name in ("task_queue", "config") if name in changes}
    if "timeout" in changes:
        values["timeout"] = timedelta(seconds=changes["timeout"])
    if "attempts" in changes:
        values["retry"] = step.retry.model_copy(update={"attempts": changes["attempts"]})
    # A copy would take over what was computed of the old values.
    return StepTemplate(**{name: getattr(step, name) for name in StepTemplate.model_fields} | values)
