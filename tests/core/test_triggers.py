"""What each form of trigger says, worked out by hand for every way in which the named step can end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from tasker_temporal.core.answers import argument_of
from tasker_temporal.core.messages import Content
from tasker_temporal.core.requests import (
    ChangeStep,
    CompleteStep,
    PauseTask,
    ResolveStep,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
    SendEvent,
)
from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.template import Argument, StepTemplate
from tasker_temporal.core.triggers import WORDS, steps_of
from tasker_temporal.core.waiting import waiting
from tasker_temporal.errors import RequestRefused
from tests.core.driving import ONCE, STEADY, Drive, dump, essence, restored, seconds, started, step, template

YES, NEVER, NOT_YET = "yes", "never", "not yet"

TABLE: dict[str, dict[str, str]] = {
    "completed": {
        "complete": YES,
        "by hand": YES,
        "resolved": YES,
        "skipped": NEVER,
        "failed": NOT_YET,
        "handled": NEVER,
        "cancelled": NEVER,
        "running": NOT_YET,
        "backing off": NOT_YET,
    },
    "failed": {
        "complete": NEVER,
        "by hand": NEVER,
        "resolved": NEVER,
        "skipped": NEVER,
        "failed": YES,
        "handled": YES,
        "cancelled": NEVER,
        "running": NOT_YET,
        "backing off": NOT_YET,
    },
    "ended": {
        "complete": YES,
        "by hand": YES,
        "resolved": YES,
        "skipped": YES,
        "failed": YES,
        "handled": YES,
        "cancelled": YES,
        "running": NOT_YET,
        "backing off": NOT_YET,
    },
    "skipped": {
        "complete": NEVER,
        "by hand": NEVER,
        "resolved": NEVER,
        "skipped": YES,
        "failed": NOT_YET,
        "handled": NEVER,
        "cancelled": NEVER,
        "running": NOT_YET,
        "backing off": NOT_YET,
    },
    "chosen": {
        "complete": YES,
        "by hand": YES,
        "resolved": NEVER,
        "skipped": NEVER,
        "failed": NOT_YET,
        "handled": NEVER,
        "cancelled": NEVER,
        "running": NOT_YET,
        "backing off": NOT_YET,
    },
}
"""For each word about a step, what it says once the step has come to that."""

WHAT_FOLLOWS = {YES: "in_progress", NEVER: "skipped", NOT_YET: "pending"}


def asking(word: str) -> dict[str, Any]:
    return {word: "x", "branch": "left"} if word == "chosen" else {word: "x"}


def brought(drive: Drive, way: str) -> None:
    """Bring step x there."""
    match way:
        case "complete":
            drive.succeed("x", data=b'"left"')
        case "by hand":
            drive.ask(CompleteStep, step="x", result="left")
        case "resolved":
            drive.fail("x", retryable=False)
            drive.ask(ResolveStep, step="x")
        case "skipped":
            drive.fail("x", retryable=False)
            drive.skip("x")
        case "failed" | "handled":
            drive.fail("x", retryable=False)
        case "cancelled":
            drive.cancel()
            drive.stop("x")
        case "backing off":
            drive.fail("x")


def about(word: str, way: str) -> Drive:
    """A task whose step t asks that word about x. It was paused while x was brought there: nothing else began."""
    handler = [step("h", on={"failed": "x"})] if way == "handled" else []
    others = [step("x", branches=("left", "right")), step("open")]
    drive = Drive(template(*others, *handler, step("t", on=asking(word)), on_error="hold"))
    drive.start()
    drive.ask(PauseTask)
    brought(drive, way)
    if way != "cancelled":
        drive.ask(ResumeTask)
    return drive


def test_the_table_has_every_word_about_steps() -> None:
    assert TABLE.keys() == WORDS.keys() - {"received", "elapsed", "all_of", "any_of", "at_least"}
    assert len({frozenset(row) for row in TABLE.values()}) == 1


@pytest.mark.parametrize(("word", "way"), [(word, way) for word, row in TABLE.items() for way in row])
def test_what_a_trigger_says_of_each_end(word: str, way: str) -> None:
    drive = about(word, way)
    asked, says = drive.task.steps["t"], TABLE[word][way]
    assert asked.told == says
    assert asked.state == ("cancelled" if way == "cancelled" else WHAT_FOLLOWS[says])


def test_a_branch_that_was_not_chosen_never_runs() -> None:
    branches = [step(name, on={"chosen": "x", "branch": name}) for name in ("left", "middle", "right")]
    drive = started(
        step("x", branches=("left", "middle", "right")), *branches, step("j", after=["left", "middle", "right"])
    )
    drive.succeed("x", data=b'["left", "right"]')
    assert drive.states == {
        "x": "complete",
        "left": "in_progress",
        "middle": "skipped",
        "right": "in_progress",
        "j": "pending",
    }
    assert drive.row("step.skipped", "middle").reason == "chosen(x, 'middle') will never be: x did not choose 'middle'"
    drive.finish()
    assert drive.states["j"] == "complete"


@pytest.mark.parametrize("data", [b'"up"', b'["left", "up"]', b"7", b"null", b"{}", b"not json", b"[1]"])
def test_a_decision_that_returns_anything_else_has_failed(data: bytes) -> None:
    drive = started(step("x", branches=("left", "right")), step("t", on={"chosen": "x", "branch": "left"}))
    drive.succeed("x", data=data)
    failure = drive.task.steps["x"].failure
    assert failure is not None
    assert failure.type == "BranchUnknown"
    assert failure.message == "step 'x' is a decision: expected one of its branches 'left', 'right', or a list of them"
    assert drive.closed == "error"


def test_a_decision_may_choose_nothing() -> None:
    drive = started(step("x", branches=("left", "right")), step("t", on={"chosen": "x", "branch": "left"}))
    drive.succeed("x", data=b"[]")
    assert drive.states == {"x": "complete", "t": "skipped"}


def test_a_branch_is_given_by_hand_only_if_there_is_one() -> None:
    drive = started(step("x", branches=("left", "right")), step("t", on={"chosen": "x", "branch": "left"}))
    with pytest.raises(RequestRefused, match="expected one of its branches 'left', 'right'"):
        drive.ask(CompleteStep, step="x", result="up")
    drive.ask(CompleteStep, step="x", result=["left"])
    assert drive.states["t"] == "in_progress"


# Groups, of three steps each of which is complete (yes), skipped (never), or runs (not yet).

GROUPS: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "all_of": {
        (YES, YES, YES): YES,
        (YES, YES, NOT_YET): NOT_YET,
        (YES, NOT_YET, NOT_YET): NOT_YET,
        (NOT_YET, NOT_YET, NOT_YET): NOT_YET,
        (YES, YES, NEVER): NEVER,
        (YES, NOT_YET, NEVER): NEVER,
        (NOT_YET, NOT_YET, NEVER): NEVER,
        (NOT_YET, NEVER, NEVER): NEVER,
        (YES, NEVER, NEVER): NEVER,
        (NEVER, NEVER, NEVER): NEVER,
    },
    "any_of": {
        (YES, YES, YES): YES,
        (YES, YES, NOT_YET): YES,
        (YES, NOT_YET, NOT_YET): YES,
        (NOT_YET, NOT_YET, NOT_YET): NOT_YET,
        (YES, YES, NEVER): YES,
        (YES, NOT_YET, NEVER): YES,
        (NOT_YET, NOT_YET, NEVER): NOT_YET,
        (NOT_YET, NEVER, NEVER): NOT_YET,
        (YES, NEVER, NEVER): YES,
        (NEVER, NEVER, NEVER): NEVER,
    },
    "at_least": {
        (YES, YES, YES): YES,
        (YES, YES, NOT_YET): YES,
        (YES, NOT_YET, NOT_YET): NOT_YET,
        (NOT_YET, NOT_YET, NOT_YET): NOT_YET,
        (YES, YES, NEVER): YES,
        (YES, NOT_YET, NEVER): NOT_YET,
        (NOT_YET, NOT_YET, NEVER): NOT_YET,
        (NOT_YET, NEVER, NEVER): NEVER,
        (YES, NEVER, NEVER): NEVER,
        (NEVER, NEVER, NEVER): NEVER,
    },
}


@pytest.mark.parametrize("word", GROUPS)
@pytest.mark.parametrize("ways", list(product([YES, NEVER, NOT_YET], repeat=3)))
def test_what_a_group_says(word: str, ways: tuple[str, ...]) -> None:
    parts = [{"completed": name} for name in "abc"]
    on: dict[str, Any] = {"at_least": 2, "of": parts} if word == "at_least" else {word: parts}
    drive = started(step("gate"), *(step(name, after=["gate"]) for name in "abc"), step("t", on=on))
    for name, way in zip("abc", ways, strict=True):
        if way == NEVER:
            drive.skip(name)
    drive.succeed("gate")
    for name, way in zip("abc", ways, strict=True):
        if way == YES:
            drive.succeed(name)
    order = [YES, NOT_YET, NEVER]
    assert drive.states["t"] == WHAT_FOLLOWS[GROUPS[word][tuple(sorted(ways, key=order.index))]]


# A failure that is handled.


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


# Beside `after` and results.


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


# Time.


def test_time_counts_from_when_all_else_holds() -> None:
    drive = started(step("a"), step("b"), step("t", after=["b"], on={"all_of": [{"completed": "a"}, {"elapsed": 60}]}))
    drive.wait(100)
    drive.succeed("a")
    drive.wait(100)
    drive.succeed("b")
    drive.wait(59)
    assert drive.states["t"] == "pending"
    drive.wait(1)
    assert drive.states["t"] == "in_progress"


def test_time_alone_counts_from_the_beginning() -> None:
    drive = started(step("a"), step("t", on={"elapsed": 60}))
    assert [timer.id for timer in drive.timers.values()] == ["elapsed:t:0"]
    drive.wait(60)
    assert drive.states == {"a": "in_progress", "t": "in_progress"}
    assert drive.row("step.time_elapsed", "t").metadata == {"trigger": 0}


def test_time_in_one_of_several_ways_counts_with_its_own_conditions() -> None:
    on = {"any_of": [{"completed": "b"}, {"all_of": [{"completed": "a"}, {"elapsed": 60}]}]}
    drive = started(step("a"), step("b"), step("t", on=on))
    drive.wait(100)
    drive.succeed("a")
    drive.wait(60)
    assert drive.states["t"] == "in_progress"


def test_two_times_beside_each_other_count_together() -> None:
    on = {
        "all_of": [{"any_of": [{"completed": "a"}, {"elapsed": 60}]}, {"any_of": [{"completed": "a"}, {"elapsed": 30}]}]
    }
    drive = started(step("a"), step("t", on=on))
    drive.wait(60)
    assert drive.states["t"] == "in_progress"


def test_a_time_that_is_not_needed_any_more_is_stopped() -> None:
    drive = started(step("a"), step("b"), step("t", on={"any_of": [{"completed": "a"}, {"elapsed": 60}]}))
    drive.succeed("a")
    assert drive.states["t"] == "in_progress"
    assert drive.timers == {}


def test_a_time_whose_condition_ceases_begins_anew() -> None:
    drive = started(step("a"), step("z"), step("t", on={"all_of": [{"ended": "a"}, {"elapsed": 60}]}))
    drive.fail("a", retryable=False)
    drive.wait(50)
    drive.ask(RetryStep, step="a")
    assert drive.timers == {}
    drive.wait(50)
    drive.fail("a", retryable=False)
    drive.wait(59)
    assert drive.states["t"] == "pending"
    drive.wait(1)
    assert drive.states["t"] == "in_progress"


def test_a_time_that_passes_during_a_pause_takes_effect_at_resume() -> None:
    drive = started(step("a"), step("z"), step("t", on={"all_of": [{"completed": "a"}, {"elapsed": 60}]}))
    drive.ask(PauseTask)
    drive.succeed("a")
    drive.wait(70)
    assert drive.states["t"] == "pending"
    drive.ask(ResumeTask)
    drive.wait(0)
    assert drive.states["t"] == "in_progress"


def test_a_step_that_is_done_again_does_not_wait_again_for_a_time_that_is_over() -> None:
    drive = started(step("z"), step("t", on={"elapsed": 60}))
    drive.wait(60)
    drive.succeed("t")
    drive.ask(RetryFrom, step="t")
    assert drive.states["t"] == "in_progress"


def test_a_step_that_is_done_again_waits_for_the_rest_of_a_time() -> None:
    drive = started(step("z"), step("a"), step("t", on={"any_of": [{"completed": "a"}, {"elapsed": 60}]}))
    drive.succeed("a", "t")
    drive.wait(30)
    drive.ask(RetryFrom, step="a")
    drive.wait(30)
    assert drive.states["t"] == "in_progress"


def test_a_task_waits_for_time_and_says_so() -> None:
    drive = started(step("t", on={"elapsed": 60}))
    (wait,) = waiting(drive.task)
    assert (wait.kind, wait.what) == ("time", "elapsed(0:01:00)")
    assert wait.until == drive.now + seconds(60)
    assert drive.closed is None


# Conditions.


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


# Events from outside.

PAID = {"received": "paid", "match": "event.order == context.order"}
EVENTS = [{"name": "paid"}, {"name": "other"}]


def expecting(*steps: Any, context: bytes = b'{"order": 7}', **options: Any) -> Drive:
    drive = Drive(template(*steps, events=EVENTS, **options), context=context)
    drive.start()
    return drive


def tell(drive: Drive, order: int = 7, **given: Any) -> None:
    drive.ask(SendEvent, name="paid", payload={"order": order}, **given)


def test_an_event_ends_a_wait_and_its_payload_is_the_result() -> None:
    drive = expecting(step("w", awaits="event", on=PAID), step("t", "w"))
    (wait, _) = waiting(drive.task)
    assert (wait.kind, wait.what) == ("event", "received('paid', match='event.order == context.order')")
    tell(drive)
    assert drive.states == {"w": "complete", "t": "in_progress"}
    result = drive.task.steps["w"].result
    assert result is not None
    assert result.data == b'{"order":7}'
    row = drive.row("external.received")
    assert row.metadata["taken_by"] == ["w"]
    assert row.metadata["payload"]["size"] == 11
    assert b"order" not in json.dumps(dict(row.metadata)).encode()


def test_one_event_serves_every_step_that_waits_for_it_begun_or_not() -> None:
    drive = expecting(
        step("a"),
        step("v", awaits="event", on=PAID),
        step("w", awaits="event", on=PAID, after=["a"]),
        step("t", on=PAID),
    )
    tell(drive)
    assert drive.states == {"a": "in_progress", "v": "complete", "w": "pending", "t": "in_progress"}
    drive.succeed("a")
    assert drive.states["w"] == "complete"


def test_each_step_keeps_the_first_event_that_matches() -> None:
    drive = expecting(step("a"), step("w", awaits="event", on={"received": "paid"}, after=["a"]))
    tell(drive, 1)
    tell(drive, 2)
    assert [row.metadata["taken_by"] for row in drive.rows if row.event == "external.received"] == [["w"], []]
    drive.succeed("a")
    assert drive.task.steps["w"].result == Content(b'{"order":1}')


def test_an_event_that_does_not_match_or_that_nobody_waits_for_is_noted_and_not_kept() -> None:
    drive = expecting(step("w", awaits="event", on=PAID), step("z"))
    tell(drive, 8)
    assert drive.states["w"] == "in_progress"
    tell(drive)
    tell(drive)
    assert [row.metadata["taken_by"] for row in drive.rows if row.event == "external.received"] == [[], ["w"], []]
    assert sum(len(kept) for kept in drive.task.inbox.values()) == 1


def test_a_match_that_cannot_be_evaluated_does_not_match_and_the_row_says_of_whom() -> None:
    drive = expecting(step("w", awaits="event", on={"received": "paid", "match": "event.nothing > 1"}))
    tell(drive)
    assert drive.states["w"] == "in_progress"
    assert drive.row("external.received").metadata["unclear"] == ["w"]


def test_the_same_id_twice_is_one_event() -> None:
    drive = expecting(step("w", awaits="event", on={"received": "paid"}), step("z"))
    tell(drive, 8, id="p-1")
    tell(drive, 7, id="p-1")
    assert drive.task.steps["w"].result == Content(b'{"order":8}')
    assert len([row for row in drive.rows if row.event == "external.received"]) == 1
    drive.ask(SendEvent, name="other", id="p-1")
    assert len([row for row in drive.rows if row.event == "external.received"]) == 2


def test_an_undeclared_event_is_refused() -> None:
    drive = expecting(step("z"))
    with pytest.raises(RequestRefused, match="no event 'gone' is declared: expected one of paid, other"):
        drive.ask(SendEvent, name="gone")
    with pytest.raises(RequestRefused, match="the task's template declares no events"):
        started(step("z")).ask(SendEvent, name="gone")


def test_a_payload_for_which_there_is_no_room_is_refused_until_others_are_over() -> None:
    on = {"received": "paid", "match": "event.n == 1"}, {"received": "paid", "match": "event.n == 2"}
    drive = expecting(step("a"), step("v", awaits="event", on=on[0], after=["a"]), step("w", awaits="event", on=on[1]))
    drive.ask(SendEvent, name="paid", payload={"n": 1, "text": "x" * 200_000})
    large = {"n": 2, "text": "x" * 100_000}
    with pytest.raises(RequestRefused, match="what came early would be more than 262144 bytes"):
        drive.ask(SendEvent, name="paid", payload=large)
    drive.succeed("a")
    drive.ask(SendEvent, name="paid", payload=large)
    assert drive.closed == "complete"


def test_a_wait_that_is_done_again_takes_the_event_that_it_had() -> None:
    drive = expecting(step("a"), step("w", awaits="event", on={"received": "paid"}, after=["a"]), step("z"))
    tell(drive)
    drive.succeed("a")
    drive.ask(RetryFrom, step="a")
    assert drive.states["w"] == "pending"
    drive.succeed("a")
    assert drive.states["w"] == "complete"


def test_a_wait_that_is_done_again_waits_anew_if_its_event_is_not_kept_any_more() -> None:
    drive = expecting(
        step("w", awaits="event", on={"received": "paid"}),
        step("v", awaits="event", on={"received": "other"}),
        step("z"),
    )
    drive.ask(SendEvent, name="paid", payload="x" * 200_000)
    drive.ask(SendEvent, name="other", payload="x" * 200_000)
    drive.ask(RetryFrom, step="w")
    assert drive.states == {"w": "in_progress", "v": "complete", "z": "in_progress"}
    tell(drive)
    assert drive.states["w"] == "complete"


def test_a_wait_that_is_too_long_fails_or_is_skipped_as_it_says() -> None:
    waits = [step(how, awaits="event", on=PAID, deadline=seconds(60), on_deadline=how) for how in ("fail", "skip")]
    drive = expecting(*waits, step("t", on={"skipped": "skip"}))
    drive.wait(60)
    assert drive.states == {"fail": "error", "skip": "skipped", "t": "in_progress"}
    failure = drive.task.steps["fail"].failure
    assert failure is not None
    assert failure.type == "StepDeadlineExceeded"


def test_a_step_takes_the_payload_of_the_event_that_it_ran_after() -> None:
    on = {"all_of": [PAID, {"received": "other"}]}
    drive = expecting(step("t", on=on, when="context.order == 7"))
    drive.ask(SendEvent, name="other", payload="first")
    (wait,) = waiting(drive.task)
    assert (wait.kind, wait.step) == ("event", "t")
    tell(drive)
    assert drive.states["t"] == "in_progress"


def test_an_event_or_a_time_whichever_is_first() -> None:
    for early in (True, False):
        drive = expecting(step("t", on={"any_of": [PAID, {"elapsed": 60}]}))
        tell(drive) if early else drive.wait(60)
        assert drive.states["t"] == "in_progress"
        assert drive.timers == {}


def test_events_come_to_paused_and_held_tasks_too() -> None:
    drive = expecting(step("a", retry=ONCE), step("t", on=PAID), on_error="hold")
    drive.ask(PauseTask)
    tell(drive)
    assert drive.states["t"] == "pending"
    drive.ask(ResumeTask)
    assert drive.states["t"] == "in_progress"
    held = expecting(step("a", retry=ONCE), step("t", on={"all_of": [{"completed": "a"}, PAID]}), on_error="hold")
    held.fail("a")
    tell(held)
    held.ask(RetryTask)
    held.succeed("a")
    assert held.states["t"] == "in_progress"


# Across runs.


def test_a_snapshot_keeps_what_triggers_remember() -> None:
    drive = expecting(
        step("a", retry=ONCE),
        step("h", on={"failed": "a"}),
        step("j", after=["a", "h"]),
        step("t", on={"all_of": [{"failed": "a"}, {"elapsed": 60}, {"elapsed": 90}]}),
        step("u", on={"all_of": [{"completed": "h"}, PAID]}),
        step("w", awaits="event", on=PAID, after=["h"]),
        step("v", when="result.h == 1", after=["h"]),
    )
    drive.fail("a")
    drive.wait(61)
    tell(drive)
    again = restored(drive.task)
    assert essence(again) == essence(drive.task)
    later = drive.continued()
    later.succeed("h", data=b"1")
    assert later.states == {
        "a": "error",
        "h": "complete",
        "j": "in_progress",
        "t": "pending",
        "u": "in_progress",
        "w": "complete",
        "v": "in_progress",
    }
    later.wait(29)
    assert later.states["t"] == "in_progress"
    later.finish()
    assert later.closed == "complete"


def test_a_condition_that_was_not_evaluated_is_evaluated_in_the_next_run() -> None:
    drive = Drive(template(step("z"), step("t", after=["z"], when="context.n == 1")), context=b'{"n": 1}')
    drive.start()
    drive.drain()
    drive.succeed("z")
    assert drive.states["t"] == "pending"
    later = drive.continued()
    assert later.states["t"] == "in_progress"


def test_a_result_that_a_condition_reads_is_kept_for_the_next_run() -> None:
    drive = started(
        step("a"),
        step("z"),
        step("d", branches=("x",)),
        step("t", after=["a", "z"], when="result.a == 1"),
        step("u", after=["z"], on={"chosen": "d", "branch": "x"}),
    )
    drive.succeed("a", data=b"1")
    drive.succeed("d", data=b'"x"')
    later = drive.continued()
    later.succeed("z")
    assert later.states["t"] == later.states["u"] == "in_progress"


# Modes and routes.


def test_no_more_than_max_concurrency_run() -> None:
    drive = started(*(step(name) for name in "abc"), max_concurrency=2)
    assert list(drive.running) == ["a", "b"]


def test_a_start_wins_over_a_route_and_a_route_over_the_template() -> None:
    from tasker_temporal.core.routes import Course

    routes = [{"when": "context.total > 10", "max_concurrency": 2, "priority": 2, "name": "large"}]
    flow = template(*(step(name) for name in "abc"), mode="sequential_only", routes=routes)
    drive = Drive(flow, context=b'{"total": 11}')
    drive.start(course=Course(mode="concurrent"))
    assert drive.row("task.routed").metadata == {
        "rule": "large",
        "mode": "concurrent",
        "max_concurrency": 2,
        "priority": 2,
    }
    assert list(drive.running) == ["a", "b"]
    assert restored(drive.task).course == drive.task.course


def test_a_task_without_a_fitting_route_has_no_row_about_it() -> None:
    drive = Drive(
        template(step("a"), routes=[{"when": "context.total > 10", "mode": "high_priority"}]), context=b'{"total": 1}'
    )
    drive.start()
    assert "task.routed" not in drive.said


def test_the_steps_that_a_trigger_names_are_those_that_it_listens_to() -> None:
    known = template(
        step("a"), step("b", on={"failed": "a"}), step("c", on={"any_of": [{"ended": "a"}, {"ended": "b"}]})
    )
    assert known.listeners == {"a": ("b", "c"), "b": ("c",)}
    assert known.followers("a") == ("b", "c")
    assert steps_of(known.step("c").on) == ("a", "b")


def test_changing_a_step_that_waits_for_a_trigger_keeps_the_trigger() -> None:
    drive = started(step("a"), step("b", on={"failed": "a"}))
    drive.ask(ChangeStep, step="b", attempts=7)
    drive.fail("a", retryable=False)
    assert drive.states["b"] == "in_progress"
    assert dump(drive.task)["handled"] == 1


def test_a_time_that_began_to_count_in_a_pause_counts_on_in_the_next_run() -> None:
    drive = started(step("a"), step("z"), step("t", on={"all_of": [{"completed": "a"}, {"elapsed": 60}]}))
    drive.ask(PauseTask)
    drive.succeed("a")
    later = drive.continued()
    later.wait(20)
    later.ask(ResumeTask)
    later.wait(39)
    assert later.states["t"] == "pending"
    later.wait(1)
    assert later.states["t"] == "in_progress"


def test_a_time_goes_on_when_a_task_in_error_is_retried() -> None:
    drive = started(
        step("a", retry=ONCE),
        step("b"),
        step("t", on={"all_of": [{"at_least": 1, "of": [{"completed": "a"}, {"completed": "b"}]}, {"elapsed": 60}]}),
        step("z", after=["t"]),
        on_failure="stop",
        on_error="hold",
    )
    drive.succeed("b")
    drive.wait(30)
    drive.fail("a")
    assert drive.task.is_held
    assert [timer.kind for timer in drive.timers.values()] == ["hold"]
    drive.ask(RetryTask)
    assert "elapsed:t:2" in drive.timers
    drive.wait(30)
    assert drive.states["t"] == "in_progress"


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


def test_a_wait_decides_nothing_and_only_a_wait_can_be_skipped_when_it_is_too_long() -> None:
    found = unsound(
        template(
            step("w", awaits="event", on=PAID, branches=("x",)),
            step("a", deadline=seconds(1), on_deadline="skip"),
            events=EVENTS,
        )
    )
    assert found == [
        "step 'w': it has branches, but no handler that could choose among them",
        "step 'a': its on_deadline='skip': only a wait for an event can be skipped when its deadline passes",
    ]


def test_a_join_that_never_comes_true_does_not_wait_for_its_trigger() -> None:
    drive = expecting(step("gate"), step("a", after=["gate"]), step("t", after=["a"], on=PAID))
    drive.skip("a")
    assert drive.states["t"] == "skipped"
    assert drive.row("step.skipped", "t").reason == "nothing it waits for is complete: a was skipped"


def test_a_time_goes_on_when_the_last_failure_of_a_held_task_is_skipped() -> None:
    on = {"any_of": [{"completed": "x"}, {"elapsed": 30}]}
    drive = started(
        step("a", retry=ONCE), step("x"), step("t", on=on), on_failure="stop", on_error="hold", max_concurrency=1
    )
    drive.fail("a")
    assert drive.task.is_held
    drive.skip("a")
    assert "elapsed:t:1" in drive.timers
