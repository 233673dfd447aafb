"""Conditions of steps: when they are evaluated, and what follows from each answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasker_temporal.core.requests import (
    PauseTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
)
from tests.core.driving import Drive, started, step, template


def judged(when: str, context: Any = None, **options: Any) -> Drive:
    drive = Drive(template(step("a", **options), step("t", "a?", when=when)), context=json.dumps(context).encode())
    drive.start()
    return drive


def test_a_condition_is_evaluated_once_when_everything_else_is_there() -> None:
    drive = judged("context.total > 10 && result.a.ok", {"total": 11})
    assert "step.condition_met" not in drive.said
    drive.succeed("a", data=b'{"ok": true}')
    assert drive.states["t"] == "in_progress"
    assert drive.row("step.condition_met", "t").metadata == {"when": "context.total > 10 && result.a.ok"}
    drive.fail("t")
    drive.wait(60)
    assert drive.said.count("step.condition_met") == 1


def test_a_condition_that_is_false_skips_the_step_and_the_row_has_its_text() -> None:
    drive = judged("context.total > 10", {"total": 10})
    drive.succeed("a")
    assert drive.states["t"] == "skipped"
    assert drive.row("step.skipped", "t").reason == "its condition is false: context.total > 10"


@pytest.mark.parametrize(
    ("when", "context", "problem"),
    [
        ("context.missing > 10", {}, "Key not found"),
        ("context.total > 10", {"total": "ten"}, "No matching overload"),
        ("context.total", {"total": 10}, "it is int: expected true or false"),
        ("result.a.ok", {}, "result.a is not JSON"),
        ("context.items.all(i, i > 0)", {"items": list(range(1, 10_002))}, "Iteration budget exceeded"),
        ("context.text == ''", {"text": "x" * 300_000}, "it reads 300012 bytes: at most 262144 are evaluated"),
    ],
)
def test_what_cannot_be_evaluated_is_a_failure_of_the_step_that_nobody_retries(
    when: str, context: Any, problem: str
) -> None:
    drive = judged(when, context)
    drive.succeed("a", data=b"no json")
    assert drive.states["t"] == "error"
    failure = drive.task.steps["t"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("ConditionError", False)
    assert problem in failure.message
    assert drive.closed == "error"


def test_a_result_that_did_not_come_is_null() -> None:
    drive = Drive(
        template(
            step("gate"),
            step("a", after=["gate"]),
            step("b"),
            step("t", after=["a", "b"], when="result.a == null && result.b == 1"),
        )
    )
    drive.start()
    drive.skip("a")
    drive.succeed("b", data=b"1")
    drive.succeed("gate")
    assert drive.states["t"] == "in_progress"


def test_a_failed_condition_is_evaluated_again_when_the_step_is_retried() -> None:
    drive = Drive(template(step("t", when="context.missing"), on_error="hold"))
    drive.start()
    drive.ask(RetryStep, step="t")
    assert drive.path("t") == ["pending", "error", "pending", "error"]


def test_a_condition_is_evaluated_again_when_what_it_reads_is_done_again() -> None:
    drive = judged("result.a == 1")
    drive.succeed("a", data=b"1")
    drive.ask(PauseTask)
    drive.succeed("t")
    drive.ask(RetryFrom, step="a")
    drive.ask(ResumeTask)
    drive.succeed("a", data=b"2")
    assert drive.states["t"] == "skipped"


def test_a_condition_that_was_met_before_the_step_could_start_is_forgotten_with_its_ground() -> None:
    drive = Drive(template(step("a"), step("b"), step("t", "a", when="result.a == 1"), limits={"in_flight": 1}))
    drive.start()
    drive.succeed("a", data=b"1")
    assert drive.states == {"a": "complete", "b": "in_progress", "t": "pending"}
    drive.ask(RetryFrom, step="a")
    drive.succeed("b")
    drive.succeed("a", data=b"2")
    assert drive.states["t"] == "skipped"


def test_a_condition_reads_how_a_step_failed() -> None:
    drive = started(
        step("a"), step("h", on={"failed": "a"}, when="failure.a.type == 'Declined' && failure.a.attempts == 1")
    )
    drive.fail("a", retryable=False, type="Declined")
    assert drive.states["h"] == "in_progress"
