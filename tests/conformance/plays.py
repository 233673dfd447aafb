"""Handlers that do on a server what a script says: return, raise, or hang."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from tasker_temporal import PermanentError, RetryableError, StepContext, TaskTemplate
from tasker_temporal.testing import Fail, Hang, Ok, Outcome
from tasker_temporal.testing.script import duration, outcome_of

Edges = Mapping[str, Iterable[str]]
"""For each step, what it waits for."""

STEADY = timedelta(seconds=1)
"""What takes so long in virtual time is over on the server when everything was asked."""


class Play:
    """What the handlers of one task look at."""

    def __init__(self, script: Mapping[str, Sequence[Outcome]]) -> None:
        self._script = script
        self._released, self._released_threads = asyncio.Event(), threading.Event()
        self.over = threading.Event()

    def outcome(self, step: StepContext) -> Outcome:
        return outcome_of(self._script, step.step, step.execution)

    def release(self) -> None:
        """Everything was asked."""
        self._released.set()
        self._released_threads.set()

    def end(self) -> None:
        """The task is over: no handler holds a thread any longer."""
        self.release()
        self.over.set()

    async def passes(self, delay: timedelta) -> None:
        await (self._released.wait() if delay >= STEADY else asyncio.sleep(delay.total_seconds()))

    def passes_in_thread(self, delay: timedelta) -> None:
        if delay >= STEADY:
            self._released_threads.wait()
        else:
            self.over.wait(delay.total_seconds())


PLAYS: dict[str, Play] = {}
"""By task id."""


async def play(step: StepContext) -> Any:
    """As the script says, on the event loop."""
    played = PLAYS[step.task_id]
    outcome = played.outcome(step)
    if isinstance(outcome, Ok | Fail):
        await played.passes(duration(outcome.takes))
        return _end(outcome)
    await asyncio.Event().wait()


def play_in_thread(step: StepContext) -> Any:
    """As the script says, in a thread. A hanging handler that is not deaf hears of a stop when it heartbeats."""
    played = PLAYS[step.task_id]
    outcome = played.outcome(step)
    if isinstance(outcome, Ok | Fail):
        played.passes_in_thread(duration(outcome.takes))
        return _end(outcome)
    while not played.over.wait(0.05):
        if outcome == Hang():
            step.heartbeat()


def _end(outcome: Ok | Fail) -> object:
    if isinstance(outcome, Ok):
        return outcome.value
    base = PermanentError if outcome.permanent else RetryableError
    kind = base if outcome.kind == base.__name__ else type(outcome.kind, (base,), {})
    raise kind(outcome.message) if outcome.permanent else kind(outcome.message, retry_after=outcome.retry_after)


def graph(name: str, edges: Edges, handler: Any = play, **options: Any) -> TaskTemplate[Any]:
    """A template whose steps play their script. What is no template option is an option of every step."""
    mine = ("version", "on_failure", "on_error", "cancel_grace", "handler_grace", "limits")
    template = TaskTemplate[Any](name, **{key: value for key, value in options.items() if key in mine})
    steps = {key: value for key, value in options.items() if key not in mine}
    for step, after in edges.items():
        template.add_step(step, handler, after=[template.handlers[one] for one in after], **steps)
    return template
