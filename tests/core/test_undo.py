"""What is refused, planned or broken off leaves no trace."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tasker_temporal.core.events import Event
from tasker_temporal.core.journal import Journal
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Announce, Command, Fact, Message, Note, Refused, TransitionTo
from tasker_temporal.core.requests import Ask
from tasker_temporal.core.subscribers import SUBSCRIPTIONS, Subscriber
from tasker_temporal.core.task import Task
from tasker_temporal.errors import EventError
from tests.core.driving import Drive, dump, step, template
from tests.core.scenes import SCENES, Scene


class BrokenOff(Exception):
    """Raised by a subscriber in the middle of a message."""


class Breaking(Drive):
    """Applies each message again and again, broken off one moment later each time, until it is applied whole."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self.left = 0
        broken = {
            event: [self._breaking(known) for known in subscribers] for event, subscribers in SUBSCRIPTIONS.items()
        }
        super().__init__(*given, **options | {"subscriptions": broken})

    def _breaking(self, subscriber: Subscriber) -> Subscriber:
        def breaking(event: Event[Any], task: Task) -> Iterator[Message]:
            self._pass()
            for said in subscriber(event, task):
                yield said
                self._pass()

        return breaking

    def _pass(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise BrokenOff

    def apply(self, message: Ask | Fact) -> list[Command]:
        before, told = dump(self.task), len(self.events)
        for self.left in count(1):
            try:
                return super().apply(message)
            except BrokenOff:
                assert dump(self.task) == before
                assert len(self.events) == told
        raise AssertionError


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_message_that_is_broken_off_at_any_moment_leaves_no_trace(scene: Scene) -> None:
    drive = Breaking(scene.template, context=scene.context)
    scene.play(drive)
    assert [(run.rows, run.replies, run.events) for run in drive.runs] == [
        (run.rows, run.replies, run.events) for run in scene.driven().runs
    ]


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (Announce("workflow.nonsense"), "event 'workflow.nonsense' is not registered"),
        (Announce("workflow.no_viable_steps", {"step": "a"}), "Extra inputs are not permitted"),
        (Note("workflow.viable_steps_discovered"), "Extra inputs are not permitted"),
        (Note("step.outcome_noted"), "should be a valid string"),
    ],
)
def test_a_wrong_event_leaves_no_trace_of_what_was_before_it(said: Message, complaint: str) -> None:
    flow = template(step("a"), step("b", "a"))
    wishes = [TransitionTo("b", State.SKIPPED), said]
    drive = Drive(flow, subscriptions={**SUBSCRIPTIONS, "workflow.request_refused": [lambda event, task: iter(wishes)]})
    drive.start()
    before = dump(drive.task)
    with pytest.raises(EventError, match=complaint):
        drive.tell(Refused("go"))
    assert dump(drive.task) == before
    drive.succeed("a", "b")
    assert drive.closed == "complete"


class Thing:
    """Something with attributes."""

    def __init__(self) -> None:
        self.number, self.name = 1, "one"


def test_a_journal_takes_everything_back_newest_first() -> None:
    journal, thing = Journal(), Thing()
    table, queue, rows = {"a": 1, "b": 2}, deque([1, 2]), ["x"]
    journal.keep(thing)
    journal.keep_length(rows)
    thing.number = 2
    journal.keep(thing)
    thing.name = "two"
    journal.put(table, "a", 9)
    journal.put(table, "c", 3)
    journal.drop(table, "b")
    journal.drop(table, "c")
    journal.append(queue, 3)
    journal.popleft(queue)
    journal.popleft(queue)
    rows += ["y", "z"]
    journal.rollback()
    assert (thing.number, thing.name) == (1, "one")
    assert (table, list(queue), rows) == ({"a": 1, "b": 2}, [1, 2], ["x"])


def test_what_a_journal_committed_stays() -> None:
    journal, thing, table = Journal(), Thing(), {"a": 1}
    journal.keep(thing)
    thing.number = 2
    journal.put(table, "a", 2)
    journal.commit()
    journal.rollback()
    assert (thing.number, table) == (2, {"a": 2})
    journal.keep(thing)
    thing.number = 3
    journal.rollback()
    assert thing.number == 2
