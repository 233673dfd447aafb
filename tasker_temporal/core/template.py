"""The compiled template: a task as a graph of steps, in plain data.

It travels in the workflow's input, so a running task never sees a later edit of its own graph. Fields that have their
default are left out on the wire: a released default is therefore never changed, only superseded by a new field.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

PAYLOAD_LIMIT = 2 * 1024 * 1024 - 32 * 1024
"""Bytes that one step may send or receive: the server's 2 MiB a payload, less room for a codec's own bytes."""

TEMPLATE_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
STEP_NAME = re.compile(r"[A-Za-z_][\w-]*")
NAME_LIMIT = 100


class Frozen(BaseModel):
    """A value: built once, compared by content, and refused if it has a field that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_timedelta="float", allow_inf_nan=False)


class Retry(Frozen):
    """How often, and how late, a failed step is tried again."""

    attempts: int = Field(default=3, ge=1)
    """All attempts, the first included."""
    base_delay: timedelta = Field(default=timedelta(seconds=1), ge=timedelta(0))
    max_delay: timedelta = Field(default=timedelta(seconds=30), ge=timedelta(0))
    multiplier: float = Field(default=2.0, ge=1)
    jitter: Literal["full", "none"] = "full"
    max_retry_after: timedelta = Field(default=timedelta(seconds=300), ge=timedelta(0))
    """The most that a handler's own `retry_after` can ask for."""

    def delay(self, attempt: int, seed: str) -> timedelta:
        """How long to wait after failed attempt number `attempt` (the first is 1).

        The design document's formula: `min(base_delay * multiplier ** max(attempt, 2), max_delay) * jitter`. With full
        jitter the last factor lies in [0, 1) and is drawn from `seed` alone, so that a replay waits the same time.
        """
        try:
            growth = self.multiplier ** max(attempt, 2)
        except OverflowError:
            growth = sys.float_info.max
        seconds = min(self.base_delay.total_seconds() * growth, self.max_delay.total_seconds())
        return timedelta(seconds=seconds * (_fraction(seed) if self.jitter == "full" else 1.0))


def _fraction(seed: str) -> float:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:7], "big") / 2**56


class Argument(Frozen):
    """One parameter of a handler that the library fills in."""

    name: str
    step: str | None = None
    """The step whose result it takes; None for the task's context."""
    optional: bool = False
    """It accepts None, so a step that was skipped or resolved without a result may stand behind it."""


class StepTemplate(Frozen):
    """One node of the graph: what it waits for, what its handler asks for, and how long it is tried."""

    name: str
    description: str = ""
    awaits: Literal["handler", "approval", "event"] = "handler"
    """What it waits for once it is in progress: its handler's end, people, or something from outside."""
    arguments: tuple[Argument, ...] = ()
    after: tuple[str, ...] = ()
    retry: Retry = Retry()
    retryable: bool = True
    timeout: timedelta = Field(default=timedelta(minutes=10), gt=timedelta(0))
    """One attempt."""
    deadline: timedelta | None = Field(default=None, gt=timedelta(0))
    """The whole step, from its first attempt on, waits between attempts included."""
    heartbeat_timeout: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))
    """A worker that says nothing for so long counts as lost."""
    task_queue: str | None = None
    formerly: tuple[str, ...] = ()
    config: dict[str, Any] = {}
    result: str = "Any"
    """The name of the handler's return type, for people."""

    @cached_property
    def runs(self) -> bool:
        """It has a handler. A step without one takes no place among those that run at once."""
        return self.awaits == "handler"

    @cached_property
    def dependencies(self) -> tuple[str, ...]:
        """The steps that must be over first: `after` and the results it takes, each once."""
        return tuple(dict.fromkeys([*self.after, *(a.step for a in self.arguments if a.step is not None)]))

    @cached_property
    def required(self) -> frozenset[str]:
        """The steps without whose result this one can never run."""
        return frozenset(a.step for a in self.arguments if a.step is not None and not a.optional)

    @cached_property
    def takes(self) -> dict[str | None, int]:
        """How many of its parameters take each result, and, under None, the context."""
        taken = [argument.step for argument in self.arguments]
        return {step: taken.count(step) for step in taken}

    @cached_property
    def max_attempts(self) -> int:
        return self.retry.attempts if self.retryable else 1


class Limits(Frozen):
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
    def _by_name(self) -> dict[str, StepTemplate]:
        return {step.name: step for step in self.steps}

    def step(self, name: str) -> StepTemplate:
        """The step of that name."""
        return self._by_name[name]

    def activity_type(self, step: str) -> str:
        """The activity type of a step's handler."""
        return f"{self.name}.{step}"


def changed(step: StepTemplate, changes: Mapping[str, Any]) -> StepTemplate:
    """The step with `attempts`, `timeout` (seconds), `task_queue` and `config` as somebody changed them."""
    values: dict[str, Any] = {name: changes[name] for name in ("task_queue", "config") if name in changes}
    if "timeout" in changes:
        values["timeout"] = timedelta(seconds=changes["timeout"])
    if "attempts" in changes:
        values["retry"] = step.retry.model_copy(update={"attempts": changes["attempts"]})
    # A copy would take over what was computed of the old values.
    return StepTemplate(**{name: getattr(step, name) for name in StepTemplate.model_fields} | values)


def mistakes(template: Template) -> list[str]:
    """Everything that keeps the template from being a sound graph, each in a sentence that names its step."""
    return [*_name_mistakes(template), *_graph_mistakes(template)]


def _name_mistakes(template: Template) -> list[str]:
    found = []
    if not TEMPLATE_NAME.fullmatch(template.name) or len(template.name) > NAME_LIMIT:
        found.append(f"its name {template.name!r}: expected dotted identifiers, at most {NAME_LIMIT} characters")
    if template.name.split(".")[0] == "tasker":
        found.append(f"its name {template.name!r}: the namespace 'tasker' is the library's own")
    names: set[str] = set()
    for step in template.steps:
        if not STEP_NAME.fullmatch(step.name) or len(step.name) > NAME_LIMIT:
            found.append(f"step {step.name!r}: expected an identifier of at most {NAME_LIMIT} characters as its name")
        if step.name in names:
            found.append(f"step {step.name!r} is declared twice: expected one step of each name")
        names.add(step.name)
    return found


def _graph_mistakes(template: Template) -> list[str]:
    names = {step.name for step in template.steps}
    found = [
        f"step {step.name!r} waits for {unknown!r}, which is no step of this template: expected one of {sorted(names)}"
        for step in template.steps
        for unknown in step.dependencies
        if unknown not in names
    ]
    try:
        TopologicalSorter({step.name: step.dependencies for step in template.steps}).prepare()
    except CycleError as error:
        found.append(f"step {error.args[1][0]!r} waits for itself: {' -> '.join(reversed(error.args[1]))}")
    return found
