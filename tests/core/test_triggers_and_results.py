"""Triggers beside `after` and results: what has to be there, and what is handed over."""

from __future__ import annotations

import pytest

from tasker_temporal.core.arguments import argument_of
from tasker_temporal.core.messages import Content
from tasker_temporal.core.requests import (
    ChangeStep,
)
from tasker_temporal.core.template import Argument, StepTemplate
from tests.core.driving import dump, started, step
from tests.core.expecting import PAID, expecting, tell


def test_after_and_on_are_both_waited_for() -> None:
    drive = started(step("a"), step("b"), step("c", after=["a"], on={"completed": "b"}))
    drive.succeed("b")
    assert drive.states["c"] == "pending"
    drive.succeed("a")
    assert drive.states["c"] == "in_progress"


def test_never_of_one_of_them_is_never_at_once() -> None:
    drive = started(step("a"), step("b"), step("c", after=["a"], on={"failed": "b"}))
    drive.succeed("b")
    assert drive.states == {"a": "in_progress", "b": "complete", "c": "skipped"}


def test_a_result_of_a_named_step_is_taken_as_it_is() -> None:
    drive = started(
        step("a"), step("b"), step("c", "a?", "b?", on={"any_of": [{"completed": "a"}, {"completed": "b"}]})
    )
    drive.succeed("b", data=b'"from b"')
    assert drive.states == {"a": "in_progress", "b": "complete", "c": "in_progress"}
    assert drive.task.steps["c"].size == Content(b'"from b"').size


def test_a_required_result_that_is_not_there_when_the_trigger_fires_is_named() -> None:
    drive = started(step("a"), step("b"), step("c", "a", on={"any_of": [{"completed": "a"}, {"completed": "b"}]}))
    drive.succeed("b")
    assert drive.states["c"] == "skipped"
    assert "'a', which it requires, is not there" in drive.row("step.skipped", "c").reason


def test_what_a_named_step_returns_counts_for_the_window() -> None:
    drive = started(step("a"), step("c", "a", on={"completed": "a"}))
    drive.succeed("a", data=b"x" * 100)
    assert drive.task.bytes_in_flight == drive.task.steps["c"].size == Content(b"x" * 100).size
    drive.succeed("c")
    assert drive.task.bytes_in_flight == 0


def test_changing_a_step_that_waits_for_a_trigger_keeps_the_trigger() -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}))
    drive.ask(ChangeStep, step="b", attempts=7)
    drive.fail("a", retryable=False)
    assert drive.states["b"] == "in_progress"
    assert dump(drive.task)["handled"] == 1


def test_what_a_trigger_names_is_handed_over_as_it_is_when_the_step_runs() -> None:
    takes = (
        Argument(name="context"),
        Argument(name="why", step="a", part="failure"),
        Argument(name="paid", event="paid"),
        Argument(name="noted", event="other", optional=True),
        Argument(name="of_b", step="b", optional=True),
    )
    on = {"all_of": [{"ended": "a"}, {"ended": "b"}, {"any_of": [PAID, {"received": "other"}]}]}
    drive = expecting(step("a"), step("b"), StepTemplate.model_validate({"name": "t", "on": on, "arguments": takes}))
    drive.fail("a", retryable=False, type="Declined")
    drive.succeed("b", data=b"3")
    tell(drive)
    given = [argument_of(drive.task, drive.task.steps["t"], one) for one in takes]
    why = b'{"step":"a","type":"Declined","message":"it broke","attempts":1}'
    said = [b'{"order": 7}', why, b'{"order":7}', None, b"3"]
    assert [None if content is None else content.data for content in given] == said
    assert drive.task.steps["t"].size == sum(content.size for content in given if content is not None)


@pytest.mark.parametrize(
    ("takes", "missed"),
    [
        (Argument(name="paid", event="paid"), "the event 'paid', which it takes"),
        (Argument(name="why", step="a", part="failure"), "the failure of 'a', which it requires"),
    ],
)
def test_what_is_required_and_not_there_when_the_trigger_fires_is_named(takes: Argument, missed: str) -> None:
    on = {"all_of": [{"ended": "a"}, {"any_of": [PAID, {"elapsed": 9}]}]}
    drive = expecting(step("a"), StepTemplate.model_validate({"name": "t", "on": on, "arguments": (takes,)}))
    drive.succeed("a")
    drive.wait(9)
    assert drive.row("step.skipped", "t").reason.startswith(missed)


def test_a_join_that_never_comes_true_does_not_wait_for_its_trigger() -> None:
    drive = expecting(step("gate"), step("a", after=["gate"]), step("t", after=["a"], on=PAID))
    drive.skip("a")
    assert drive.states["t"] == "skipped"
    assert drive.row("step.skipped", "t").reason == "nothing it waits for is complete: a was skipped"
