"""A paused task: what goes on, what does not, and what follows when it is resumed."""

from __future__ import annotations

from tasker_temporal.core.messages import (
    StartTimer,
    StopStep,
    StopTimer,
)
from tasker_temporal.core.requests import (
    PauseTask,
    ResumeTask,
)
from tasker_temporal.core.waiting import waiting
from tests.core.doors import failed_step
from tests.core.driving import ONCE, STEADY, limits, seconds, started, step


def test_a_paused_task_starts_nothing_and_records_what_ends() -> None:
    drive = started(step("a"), step("b", "a"), step("c"), step("d"), limits=limits(in_flight=1))
    drive.ask(PauseTask)
    assert drive.succeed("a") == []
    assert drive.states == {"a": "complete", "b": "pending", "c": "pending", "d": "pending"}
    drive.ask(ResumeTask)
    assert drive.ran() == ["a", "c"]
    drive.finish()
    assert drive.path() == ["pending", "in_progress", "paused", "in_progress", "complete"]


def test_a_paused_task_is_not_over_before_it_is_resumed() -> None:
    for end in ("complete", "error"):
        drive = started(step("a", retry=ONCE))
        drive.ask(PauseTask)
        drive.succeed("a") if end == "complete" else drive.fail("a")
        assert (drive.state, drive.closed) == ("paused", None)
        assert waiting(drive.task)[0].could == ("cancel", "resume")
        drive.ask(ResumeTask)
        assert drive.closed == end


def test_what_came_due_while_the_task_was_paused_takes_effect_at_resume_in_due_order() -> None:
    drive = started(
        step("late", retry=STEADY),
        step("early", retry=STEADY),
        step("slow", deadline=seconds(6)),
        step("far", deadline=seconds(60)),
    )
    drive.fail("late", after=9)
    drive.fail("early", after=3)
    drive.ask(PauseTask)
    drive.wait(20)
    assert list(drive.overdue) == ["backoff:early:1", "deadline:slow", "backoff:late:1"]
    assert drive.states == {"late": "error", "early": "error", "slow": "in_progress", "far": "in_progress"}
    commands = drive.ask(ResumeTask)
    due = [command.timer.id for command in commands if isinstance(command, StartTimer)]
    assert due == ["backoff:early:1", "deadline:slow", "backoff:late:1"]
    drive.wait(0)
    assert [row.step for row in drive.rows[-7:] if row.to_state in ("pending", "error")] == ["early", "slow", "late"]
    assert drive.row("step.failed", "slow").metadata["error"]["type"] == "StepDeadlineExceeded"
    assert drive.states["far"] == "in_progress"


def test_a_timer_that_did_not_come_due_during_the_pause_is_left_alone() -> None:
    drive = failed_step()
    drive.ask(PauseTask)
    drive.wait(1)
    assert drive.ask(ResumeTask) == []
    drive.wait(3)
    assert drive.states["a"] == "in_progress"


def test_a_paused_task_can_be_cancelled() -> None:
    drive = started(step("a"), step("b", retry=STEADY), step("c", "a"))
    drive.fail("b")
    drive.ask(PauseTask)
    drive.wait(10)
    commands = drive.cancel()
    assert StopStep("a", 1) in commands
    assert StopTimer("backoff:b:1") in commands
    assert drive.state == "paused"
    drive.wait(30)
    assert (drive.closed, drive.states) == ("cancelled", {"a": "cancelled", "b": "cancelled", "c": "cancelled"})
    assert drive.path()[-2:] == ["paused", "cancelled"]


def test_a_paused_task_continues_as_new_and_stays_paused() -> None:
    drive = started(step("a"), step("b", retry=STEADY), step("c", "a"))
    drive.fail("b")
    drive.ask(PauseTask)
    drive.drain()
    drive.succeed("a")
    drive.wait(10)
    later = drive.continued()
    assert (later.state, later.ran()) == ("paused", [])
    later.wait(0)
    assert later.ran() == []
    later.ask(ResumeTask)
    later.finish()
    assert (later.closed, later.ran()) == ("complete", ["c", "b"])


def test_a_handler_that_is_awaited_is_not_run_before_resume() -> None:
    drive = started(step("a"))
    drive.miss("a")
    drive.ask(PauseTask)
    drive.wait(5)
    assert drive.ran() == ["a"]
    drive.ask(ResumeTask)
    drive.wait(0)
    assert drive.ran() == ["a", "a"]


def test_what_a_paused_task_waits_for_is_the_pause() -> None:
    drive = started(step("gate"), step("a", "gate"), step("b", "a"))
    drive.ask(PauseTask)
    drive.skip("a")
    drive.succeed("gate")
    lines = {line.step: (line.kind, line.what) for line in waiting(drive.task)}
    assert lines == {None: ("pause", "somebody to resume it"), "b": ("pause", "the task to go on")}
    drive.ask(ResumeTask)
    assert (drive.states["b"], drive.closed) == ("skipped", "complete")
