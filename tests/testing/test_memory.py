"""The driver by itself: asked for the next step, and answered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tasker_temporal import RequestRefused, State
from tasker_temporal.core.messages import Content, Failure, RunStep, Start, StepFailed
from tasker_temporal.core.messages import StepSucceeded as Succeeded
from tasker_temporal.core.requests import CancelTask, SkipStep
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.errors import ScriptError
from tasker_temporal.testing import Fed, MemoryDriver, feed_again
from tasker_temporal.testing.run import BEGIN

RETRY = Retry(base_delay=timedelta(seconds=2), jitter="none")
TEMPLATE = Template(
    name="pair", steps=(StepTemplate(name="a", retry=RETRY), StepTemplate(name="b", after=("a",), retry=RETRY))
)
NULL = Content(b"null")
SECOND = timedelta(seconds=1)


def task() -> Task:
    return Task("task", TEMPLATE, NULL, bytes(32))


def driver() -> MemoryDriver:
    return MemoryDriver(task(), BEGIN)


def complete(driver: MemoryDriver, after: timedelta = timedelta(0)) -> None:
    """Answer every step that is still to run."""
    while (command := driver.next_step()) is not None:
        driver.answer(command, Succeeded(command.step, command.execution, NULL), after=after)


def test_steps_come_one_after_the_other_as_they_become_viable() -> None:
    it = driver()
    assert it.next_step() == RunStep("a", 1, 1)
    it.answer(RunStep("a", 1, 1), Succeeded("a", 1, NULL))
    assert it.next_step() == RunStep("b", 1, 1)
    assert it.closed is None
    it.answer(RunStep("b", 1, 1), Succeeded("b", 1, NULL))
    assert it.next_step() is None
    assert it.closed is State.COMPLETE


def test_time_passes_only_from_one_due_moment_to_the_next() -> None:
    it = driver()
    complete(it, after=3 * SECOND)
    assert it.now == BEGIN + 6 * SECOND
    assert [now - BEGIN for _, now in it.fed] == [0 * SECOND, 3 * SECOND, 6 * SECOND]


def test_a_failed_step_comes_again_when_its_backoff_is_over() -> None:
    it = driver()
    assert it.next_step() == RunStep("a", 1, 1)
    it.answer(RunStep("a", 1, 1), StepFailed("a", 1, Failure("Busy", "busy")), after=SECOND)
    assert it.next_step() == RunStep("a", 2, 2)
    assert it.now == BEGIN + 9 * SECOND


def test_a_timer_that_was_stopped_never_fires() -> None:
    apart = Template(name="apart", steps=(StepTemplate(name="a", retry=RETRY), StepTemplate(name="b")))
    it = MemoryDriver(Task("task", apart, NULL, bytes(32)), BEGIN)
    it.next_step()
    it.answer(RunStep("a", 1, 1), StepFailed("a", 1, Failure("Busy", "busy")))
    it.ask(SkipStep(step="a", actor="ann", reason="not needed"), after=SECOND)
    complete(it, after=60 * SECOND)
    assert [type(message) for message, _ in it.fed] == [Start, StepFailed, SkipStep, Succeeded]


@pytest.mark.parametrize(("heeds", "ended"), [(True, 1), (False, 9)])
def test_a_stop_ends_what_heeds_it(heeds: bool, ended: int) -> None:
    it = driver()
    it.next_step()
    it.answer(RunStep("a", 1, 1), Succeeded("a", 1, NULL), after=9 * SECOND, heeds_stop=heeds)
    it.ask(CancelTask(actor="ann", reason="enough"), after=SECOND)
    assert it.next_step() is None
    assert it.closed is State.CANCELLED
    assert it.now == BEGIN + ended * SECOND
    assert it.engine.task.steps["a"].state == ("cancelled" if heeds else "complete")


def test_a_step_that_nobody_answers_is_no_silence() -> None:
    it = driver()
    assert it.next_step() == RunStep("a", 1, 1)
    with pytest.raises(ScriptError, match="task 'task' is open, but nothing is due"):
        it.next_step()


def test_a_refused_request_is_raised_and_changes_nothing() -> None:
    it = driver()
    it.ask(SkipStep(step="c", actor="ann", reason="not needed"))
    it.next_step()
    it.answer(RunStep("a", 1, 1), Succeeded("a", 1, NULL), after=SECOND)
    with pytest.raises(RequestRefused, match="there is no step 'c'"):
        it.next_step()
    complete(it)
    assert it.closed is State.COMPLETE
    assert it.engine.task.rows == feed_again(task(), [fed for fed in it.fed if not isinstance(fed.message, SkipStep)])
    assert it.engine.task.rows == feed_again(task(), it.fed)


def test_a_request_after_the_end_is_refused() -> None:
    it = driver()
    it.ask(CancelTask(actor="ann", reason="enough"), after=SECOND)
    with pytest.raises(RequestRefused, match="the task is complete"):
        complete(it)
    assert it.next_step() is None


def test_of_what_is_due_at_one_moment_the_first_said_comes_first() -> None:
    it = driver()
    it.ask(CancelTask(actor="ann", reason="enough"), after=SECOND)
    it.next_step()
    it.answer(RunStep("a", 1, 1), Succeeded("a", 1, NULL), after=SECOND)
    it.next_step()
    assert [type(message) for message, _ in it.fed] == [Start, CancelTask, Succeeded]


def test_the_first_message_may_be_another() -> None:
    first = Start("ann", "again", ({"loc": ["lines"], "type": "missing", "msg": "Field required"},))
    it = MemoryDriver(task(), BEGIN, first)
    assert it.next_step() is None
    assert it.closed is State.ERROR
    assert it.fed == [Fed(first, BEGIN)]
