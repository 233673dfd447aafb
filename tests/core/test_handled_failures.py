"""What becomes of a task when a step handles the failure of another."""

from __future__ import annotations

from typing import Any

import pytest

from tasker_temporal.core.requests import (
    PauseTask,
    ResolveStep,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
)
from tasker_temporal.errors import RequestRefused
from tests.core.driving import ONCE, STEADY, started, step


def test_a_handled_failure_is_final_and_the_task_completes() -> None:
    drive = started(
        step("a"),
        step("b", on={"failed": "a"}),
        step("c", "a"),
        step("d", on={"completed": "a"}),
        step("e", after=["a", "b"]),
    )
    drive.fail("a", retryable=False)
    assert drive.states == {"a": "error", "b": "in_progress", "c": "skipped", "d": "skipped", "e": "pending"}
    assert drive.row("step.failure_handled", "a").metadata == {"by": "b"}
    assert drive.row("step.skipped", "c").reason == "a required result will not come: the failure of a is handled by b"
    assert drive.row("step.skipped", "d").reason == "completed(a) will never be: the failure of a is handled by b"
    drive.succeed("b", "e")
    assert drive.closed == "complete"
    assert (drive.task.handled, drive.task.exhausted) == (1, 0)


def test_all_skipped_or_handled_is_never() -> None:
    drive = started(step("a"), step("x"), step("h", on={"failed": "a"}), step("j", after=["a", "x"]))
    drive.fail("a", retryable=False)
    drive.fail("x", retryable=False)
    drive.skip("x")
    assert drive.states["j"] == "skipped"


def test_an_optional_result_of_a_handled_failure_is_none() -> None:
    drive = started(step("a"), step("h", on={"failed": "a"}), step("j", "a?", after=["h"]))
    drive.fail("a", retryable=False)
    drive.succeed("h")
    assert drive.states["j"] == "in_progress"


def test_a_failed_handler_leaves_the_task_in_error_because_of_itself() -> None:
    drive = started(step("a"), step("b", retry=ONCE, on={"failed": "a"}))
    drive.fail("a", retryable=False)
    drive.fail("b")
    assert drive.closed == "error"
    assert drive.row("task.failed").metadata == {"failed_steps": ["b"]}


def test_a_handler_that_is_skipped_handles_nothing() -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}, when="false"))
    drive.fail("a", retryable=False)
    assert drive.states == {"a": "error", "b": "skipped"}
    assert drive.closed == "error"
    assert drive.row("task.failed").metadata == {"failed_steps": ["a"]}


def test_an_end_that_is_only_waited_for_forgives_nothing() -> None:
    drive = started(step("a"), step("b", on={"ended": "a"}))
    drive.fail("a", retryable=False)
    drive.succeed("b")
    assert drive.closed == "error"


def test_one_failure_is_handled_by_the_first_of_two() -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}), step("c", on={"failed": "a"}))
    drive.fail("a", retryable=False)
    assert drive.states == {"a": "error", "b": "in_progress", "c": "in_progress"}
    assert [row.metadata["by"] for row in drive.rows if row.event == "step.failure_handled"] == ["b"]


def test_a_handler_starts_though_a_failure_stops_all_else() -> None:
    drive = started(step("a"), step("b"), step("c", after=["b"]), step("h", on={"failed": "a"}), on_failure="stop")
    drive.fail("a", retryable=False)
    assert drive.states["h"] == "in_progress"
    drive.succeed("b")
    assert drive.states["c"] == "in_progress"
    drive.finish()
    assert drive.closed == "complete"


def test_another_failure_keeps_a_stopped_task_from_all_that_does_not_handle_it() -> None:
    drive = started(
        step("a"),
        step("b", retry=ONCE),
        step("h", on={"all_of": [{"failed": "a"}, {"elapsed": 9}]}),
        step("c", after=["b"]),
        on_failure="stop",
    )
    drive.fail("a", retryable=False)
    assert drive.closed is None
    drive.succeed("b")
    assert drive.states["c"] == "pending"
    drive.wait(9)
    assert drive.states["c"] == drive.states["h"] == "in_progress"


@pytest.mark.parametrize("kind", [RetryStep, ResolveStep])
def test_a_handled_failure_can_only_be_done_once_more_with_all_that_followed(kind: Any) -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}), step("c", after=["a"]), step("d", after=["b"]), step("z"))
    drive.fail("a", retryable=False)
    drive.succeed("b", "d")
    with pytest.raises(RequestRefused, match="the failure of step 'a' is handled by 'b'") as refused:
        drive.ask(kind, step="a")
    assert refused.value.legal == ("retry_from", "change_step")
    drive.ask(RetryFrom, step="a")
    assert drive.states == {"a": "in_progress", "b": "pending", "c": "pending", "d": "pending", "z": "in_progress"}
    assert drive.task.handled == 0
    drive.succeed("a")
    assert drive.states == {"a": "complete", "b": "skipped", "c": "in_progress", "d": "skipped", "z": "in_progress"}
    drive.finish()
    assert drive.closed == "complete"


def test_a_retried_task_does_not_retry_what_was_handled() -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}, retry=ONCE), on_error="hold")
    drive.fail("a", retryable=False)
    drive.fail("b")
    drive.ask(RetryTask)
    assert drive.states == {"a": "error", "b": "in_progress"}
    drive.succeed("b")
    assert drive.closed == "complete"


def test_a_skipped_handler_that_failed_lets_the_held_task_go_on() -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}, retry=ONCE), on_error="hold")
    drive.fail("a", retryable=False)
    drive.fail("b")
    drive.skip("b")
    assert drive.closed == "complete"


def test_a_cancelled_task_leaves_a_handled_failure_as_it_is() -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}), step("c", after=["b"]))
    drive.fail("a", retryable=False)
    drive.cancel()
    drive.stop("b")
    assert drive.states == {"a": "error", "b": "cancelled", "c": "cancelled"}
    assert drive.closed == "cancelled"


def test_what_fired_does_not_ask_again_between_its_attempts() -> None:
    """The failure that it ran after is retried by hand while it waits for its own second attempt."""
    drive = started(step("a"), step("b", on={"ended": "a"}, retry=STEADY))
    drive.fail("a", retryable=False)
    drive.fail("b")
    drive.ask(RetryStep, step="a")
    drive.wait(4)
    assert drive.states == {"a": "in_progress", "b": "in_progress"}


def test_what_has_not_started_asks_again() -> None:
    drive = started(step("a"), step("b", on={"ended": "a"}))
    drive.ask(PauseTask)
    drive.fail("a", retryable=False)
    assert drive.task.steps["b"].viable
    drive.ask(RetryStep, step="a")
    drive.ask(ResumeTask)
    assert drive.states == {"a": "in_progress", "b": "pending"}
