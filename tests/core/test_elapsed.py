"""Time as a trigger: from when it counts, and what stops it."""

from __future__ import annotations

from tasker_temporal.core.requests import (
    PauseTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
)
from tasker_temporal.core.waiting import waiting
from tests.core.driving import ONCE, seconds, started, step


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


def test_a_time_goes_on_when_the_last_failure_of_a_held_task_is_skipped() -> None:
    on = {"any_of": [{"completed": "x"}, {"elapsed": 30}]}
    drive = started(
        step("a", retry=ONCE), step("x"), step("t", on=on), on_failure="stop", on_error="hold", max_concurrency=1
    )
    drive.fail("a")
    assert drive.task.is_held
    drive.skip("a")
    assert "elapsed:t:1" in drive.timers
