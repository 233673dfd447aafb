"""Everything that can become of a task: each way in which its steps can end, in each order.

After each end the task is put back and goes on otherwise, so a beginning that many orders share is played once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Content, Fact, Failure, Start, StepFailed, StepSucceeded
from tasker_temporal.core.requests import Ask, SkipStep
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Template
from tests.core.driving import BEGIN, KEY

RESULT, FOR_GOOD = Content(b"1"), Failure("Boom", "it broke", retryable=False)


class Endings:
    """All ends of a task whose first step, `gate`, holds the others until steps are skipped by hand.

    Args:
        flow: The template. Its steps fail for good at once.
        results: What each step may return.
        skippable: The steps that may be skipped by hand before the gate opens.
    """

    def __init__(self, flow: Template, results: Callable[[str], Sequence[Content]], skippable: Sequence[str]) -> None:
        self.task = Task("task-1", flow, Content(b"{}"), KEY)
        self._engine = Engine(self.task)
        self._results, self._skippable = results, skippable

    def __iter__(self) -> Iterator[Task]:
        """The same task, at each of its ends."""
        self._tell(Start())
        return self._skipping(list(self._skippable))

    def _skipping(self, names: list[str]) -> Iterator[Task]:
        if not names:
            self._tell(StepSucceeded("gate", 1, RESULT))
            yield from self._running()
            return
        at = look(self.task)
        yield from self._skipping(names[1:])
        put_back(self.task, at)
        if self.task.steps[names[0]].state == "pending":
            self._tell(SkipStep(step=names[0], actor="ann", reason="r"))
            yield from self._skipping(names[1:])

    def _running(self) -> Iterator[Task]:
        running = [name for name, step in self.task.steps.items() if step.is_in_flight]
        if not running:
            yield self.task
            return
        at = look(self.task)
        for name in running:
            for end in self._ends(name):
                self._tell(end)
                yield from self._running()
                put_back(self.task, at)

    def _ends(self, name: str) -> Iterator[Fact]:
        for result in self._results(name):
            yield StepSucceeded(name, 1, result)
        yield StepFailed(name, 1, FOR_GOOD)

    def _tell(self, message: Ask | Fact) -> None:
        self._engine.apply(message, BEGIN)


Look = tuple[dict[str, Any], list[dict[str, Any]]]


def look(task: Task) -> Look:
    """The task as it is, to be put back. What the journal changes in place is copied."""
    return _copied(vars(task)), [vars(step).copy() for step in task.steps.values()]


def put_back(task: Task, at: Look) -> None:
    vars(task).update(_copied(at[0]))
    for known, kept in zip(task.steps.values(), at[1], strict=True):
        vars(known).update(kept)


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.copy() if type(value) in (dict, list, deque) and name != "steps" else value
        for name, value in attributes.items()
    }
