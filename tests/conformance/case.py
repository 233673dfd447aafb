"""One behaviour, said once, and looked at twice: in memory and on a server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tasker_temporal import Retry, Row, State, TaskReport, TaskTemplate
from tasker_temporal.core.requests import Ask
from tasker_temporal.testing import Ok, Outcome, assert_transitions

FAST = Retry(base_delay=timedelta(milliseconds=10), jitter="none")
"""Three attempts, 40 and 80 ms apart."""

Script = Mapping[str, Sequence[Outcome]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request, or without one only a moment that is waited for."""

    after: float
    """In memory: seconds after the task's beginning."""
    when: tuple[str, State]
    """On the server: as soon as this step is in this state."""
    request: Ask | None = None
    refused: str = ""
    """It is refused, and the refusal says so."""
    natively: bool = False
    """On the server: by Temporal's own cancellation, whose author is the client's identity."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One run of a case."""

    report: TaskReport
    audit: Sequence[Row]
    results: Mapping[str, Any]
    begin: datetime
    on_server: bool
    runs: int = 1

    def at(self, step: str, state: State, nth: int = 0) -> datetime:
        """When the step entered the state for the n-th time, counted from 0."""
        rows = [row for row in self.audit if row.step == step and row.to_state == state]
        return datetime.fromisoformat(rows[nth].at)


def paths(audit: Iterable[Row]) -> dict[str, list[tuple[Any, ...]]]:
    """For each entity, its transitions and the attempts in which they were made."""
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in audit:
        if row.kind == "transition":
            found[row.entity].append((row.from_state, row.to_state, row.event, row.metadata.get("attempt")))
    return dict(found)


Law = Callable[[Seen], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A task, what happens to it, and what must come of it.

    Attributes:
        actor: Who starts it; on the server the client, unless said.
        outcomes: How executions end, given the moment at which the task begins. A step that is not in it returns None.
        real: Steps whose real handler runs in memory too.
        asked: What is asked of it. On the server, whatever takes a second or longer is over when all was asked.
        state: How the task ends.
        steps: How the steps end that are not `complete`.
        paths: States in order, of a step or of the `task`.
        errors: The type of a step's last failure.
        results: What `result_of` gives.
        law: What else must hold.
        scene: What happens on the server beside the run, instead of `asked`.
    """

    name: str
    template: TaskTemplate[Any]
    context: Any = None
    actor: str | None = None
    outcomes: Script | Callable[[datetime], Script] = field(default_factory=dict)
    real: frozenset[str] = frozenset()
    asked: Sequence[Asked] = ()
    state: State = State.COMPLETE
    steps: Mapping[str, State] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    law: Law | None = None
    scene: Callable[[Any], Awaitable[None]] | None = None

    def script(self, begin: datetime) -> dict[str, Sequence[Outcome]]:
        """The outcomes of every step that is not real."""
        said = self.outcomes(begin) if callable(self.outcomes) else self.outcomes
        return {name: said.get(name, [Ok()]) for name in self.played}

    @property
    def played(self) -> list[str]:
        """The steps that play their script."""
        declared = self.template.handlers.items()
        return [name for name, step in declared if step.awaits == "handler" and name not in self.real]

    def check(self, seen: Seen) -> None:
        """What was seen is what had to come of it."""
        assert seen.report.state is self.state
        states = {name: step.state for name, step in seen.report.steps.items()}
        assert states == {**dict.fromkeys((step.name for step in self.template.declared), State.COMPLETE), **self.steps}
        for name, path in self.paths.items():
            _assert_path(seen, name, path)
        for step, error in self.errors.items():
            last = seen.report.steps[step].last_error
            assert last is not None
            assert last.type == error
        assert seen.results == self.results
        assert [row.sort_key for row in seen.audit] == list(range(1, len(seen.audit) + 1))
        if self.law is not None:
            self.law(seen)


def _assert_path(seen: Seen, name: str, path: str) -> None:
    entity = "task" if name == "task" else f"step:{name}"
    states = path.split()
    expected = [(entity, old, new) for old, new in zip([None, *states], states, strict=False)]
    assert_transitions(seen.audit, expected, only=entity)
