"""What people see: where a task stands, what they should do, and what it waits for."""

from __future__ import annotations

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import seconds_until
from tasker_temporal.core.report import ErrorReport, StepReport, report, waits_for
from tasker_temporal.core.requests import PauseTask
from tasker_temporal.core.waiting import Wait, waiting
from tests.core.driving import BEGIN, ONCE, STEADY, Drive, limits, seconds, started, step, template


def running() -> Drive:
    return started(step("a"), step("b", "a"))


def ready() -> Drive:
    return started(step("a"), step("b"), limits=limits(in_flight=1))


def complete() -> Drive:
    drive = started(step("a"))
    drive.succeed("a")
    return drive


def backing_off() -> Drive:
    drive = started(step("a", retry=STEADY), step("b", "a"))
    drive.fail("a")
    return drive


def failing_while_others_run() -> Drive:
    drive = started(step("a", retry=ONCE), step("b"))
    drive.fail("a")
    return drive


def blocked() -> Drive:
    drive = started(step("a", retry=ONCE), step("b", "a"))
    drive.fail("a")
    return drive


def not_valid() -> Drive:
    drive = Drive(template(step("a")))
    drive.start(problems=({"loc": ("x",), "type": "missing", "msg": "Field required"},))
    return drive


def cancelled() -> Drive:
    drive = started(step("a"))
    drive.cancel()
    drive.stop("a")
    return drive


def failing_with_more_to_do() -> Drive:
    drive = started(step("a", retry=ONCE), step("b"), step("c"), limits=limits(in_flight=1))
    drive.fail("a")
    return drive


@pytest.mark.parametrize(
    ("drive", "execution", "action", "health"),
    [
        (running(), "processing", "wait_for_completion", "healthy"),
        (ready(), "has_ready_steps", "execute_ready_steps", "healthy"),
        (complete(), "all_complete", "none", "healthy"),
        (backing_off(), "waiting_for_dependencies", "wait_for_dependencies", "recovering"),
        (failing_while_others_run(), "processing", "wait_for_completion", "blocked"),
        (failing_with_more_to_do(), "has_ready_steps", "execute_ready_steps", "recovering"),
        (blocked(), "blocked_by_failures", "handle_failures", "blocked"),
        (not_valid(), "blocked_by_failures", "handle_failures", "blocked"),
        (cancelled(), "waiting_for_dependencies", "none", "healthy"),
        (started(), "all_complete", "none", "healthy"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.state,
)
def test_status_action_and_health(drive: Drive, execution: str, action: str, health: str) -> None:
    told = report(drive.task)
    assert (told.execution_status, told.recommended_action, told.health_status) == (execution, action, health)


def test_a_report_before_the_start_says_pending() -> None:
    told = report(Drive(template(step("a"))).task)
    assert (told.state, told.steps["a"].state, told.counts) == (State.PENDING, State.PENDING, {"total": 1})


def test_a_report_names_the_task_its_template_and_its_times() -> None:
    drive = started(step("a"), version="2.1.0")
    drive.wait(5)
    drive.succeed("a")
    told = report(drive.task)
    assert (told.task_id, told.template, told.version, told.state) == ("task-1", "tests.flow", "2.1.0", "complete")
    assert (told.started_at, told.ended_at) == (BEGIN, BEGIN + seconds(5))
    assert told.steps["a"] == StepReport(
        state=State.COMPLETE, attempt=1, execution=1, started_at=BEGIN, ended_at=BEGIN + seconds(5)
    )


def test_counts_are_those_of_the_states_that_occur() -> None:
    drive = started(step("a"), step("b", "a"), step("c", "a"))
    assert report(drive.task).counts == {"total": 3, "pending": 2, "in_progress": 1}


@pytest.mark.parametrize(("done", "percent"), [([], 0), (["a"], 33.33), (["a", "b"], 66.67), (["a", "b", "c"], 100)])
def test_the_completion_is_a_percentage_of_what_is_done(done: list[str], percent: float) -> None:
    drive = started(step("a"), step("b"), step("c"))
    drive.succeed(*done)
    assert report(drive.task).completion_percentage == percent


def test_a_skipped_step_counts_as_done_and_no_steps_are_all_of_them() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.skip("b")
    assert report(drive.task).completion_percentage == 50
    assert report(started().task).completion_percentage == 100


def test_a_failed_step_tells_its_error_and_when_it_is_tried_again() -> None:
    told = report(backing_off().task).steps["a"]
    assert told.last_error == ErrorReport(type="Boom", message="it broke")
    assert told.next_attempt_at == BEGIN + seconds(4)


def test_a_pending_step_tells_what_it_waits_for() -> None:
    drive = started(step("a"), step("b"), step("c", "a", "b"))
    drive.succeed("a")
    assert waits_for(drive.task, drive.task.steps["c"]) == ("b",)
    assert report(drive.task).steps["c"].waits_for == ("b",)
    assert report(drive.task).steps["b"].waits_for == ()


def test_the_report_of_a_large_task_can_leave_its_steps_out() -> None:
    assert report(running().task, steps=False).steps == {}


def test_a_report_tells_what_is_wrong_with_the_context() -> None:
    assert report(not_valid().task).problems == ({"loc": ("x",), "type": "missing", "msg": "Field required"},)


def test_a_report_tells_that_a_cancellation_is_under_way() -> None:
    drive = running()
    drive.cancel()
    assert report(drive.task).cancelling is True
    assert report(cancelled().task).cancelling is False


# What a task waits for.


def line(drive: Drive, name: str | None) -> Wait:
    (found,) = (line for line in waiting(drive.task) if line.step == name)
    return found


def test_a_task_that_is_over_waits_for_nothing() -> None:
    assert waiting(complete().task) == ()
    assert waiting(Drive(template(step("a"))).task) == ()


PENDING = ("skip", "resolve_step", "complete_step", "change_step")


def test_a_running_step_is_waited_for_since_it_began() -> None:
    drive = running()
    assert waiting(drive.task) == (
        Wait(kind="execution", step="a", what="execution 1 of its handler", since=BEGIN, could=("complete_step",)),
        Wait(kind="dependency", step="b", what="these steps to be over: a", since=BEGIN, could=PENDING),
    )


def test_a_running_step_says_by_when_it_must_be_over_and_where_it_runs() -> None:
    drive = started(step("a", deadline=seconds(60), task_queue="gpu"))
    assert (line(drive, "a").until, line(drive, "a").task_queue) == (BEGIN + seconds(60), "gpu")


def test_a_second_attempt_runs_since_it_began_itself() -> None:
    drive = backing_off()
    drive.wait(4)
    assert line(drive, "a").since == BEGIN + seconds(4)
    assert line(drive, "b").since == BEGIN


def test_a_viable_step_waits_for_a_place() -> None:
    assert line(ready(), "b").what == "a place among the steps that run at once"
    assert line(ready(), "b").kind == "window"


def test_a_viable_step_waits_since_the_last_that_it_depends_on_was_over() -> None:
    drive = started(step("a"), step("x"), step("b", "a"), limits=limits(in_flight=1))
    drive.now += seconds(3)
    drive.succeed("a")
    drive.now += seconds(2)
    assert (line(drive, "b").kind, line(drive, "b").since) == ("window", BEGIN + seconds(3))


def test_what_waits_because_others_failed_names_them() -> None:
    drive = started(step("a", retry=ONCE), step("x"), step("b"), on_failure="stop", limits=limits(in_flight=2))
    drive.now += seconds(2)
    drive.fail("a")
    found = line(drive, "b")
    assert (found.kind, found.what) == ("failure", "nothing new to start, because these failed: a")
    assert found.since == BEGIN


def test_a_pause_lasts_since_it_was_asked_for() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.now += seconds(7)
    drive.ask(PauseTask)
    drive.now += seconds(7)
    assert line(drive, None).since == BEGIN + seconds(7)
    assert line(drive.continued(), None).since == BEGIN + seconds(7)


def test_a_backoff_says_which_attempt_comes_when_and_after_what() -> None:
    found = line(backing_off(), "a")
    assert (found.kind, found.since, found.until) == ("backoff", BEGIN, BEGIN + seconds(4))
    assert found.what == "attempt 2 of 3, after Boom: it broke"
    assert found.could == ("skip", "retry_step", "resolve_step", "complete_step", "change_step")


def test_a_failure_waits_for_somebody_to_act() -> None:
    found = line(failing_while_others_run(), "a")
    assert (found.kind, found.since, found.until) == ("failure", BEGIN, None)
    assert found.what == "somebody to act on its failure: Boom: it broke"


def test_a_missing_handler_is_named() -> None:
    drive = started(step("a"))
    drive.miss("a")
    found = line(drive, "a")
    assert (found.kind, found.since, found.until) == ("handler", BEGIN, BEGIN + seconds(600))
    assert found.what == "a worker that has the handler 'tests.flow.a'"


def test_a_cancellation_says_who_asked_and_until_when_it_waits() -> None:
    drive = running()
    drive.cancel("bob")
    found = line(drive, None)
    assert (found.kind, found.since, found.until) == ("cancellation", BEGIN, BEGIN + seconds(30))
    assert found.could == ()
    assert found.what == "'bob' cancelled it; 1 running steps are being stopped"


def test_a_draining_task_says_why_nothing_starts() -> None:
    drive = running()
    drive.drain()
    assert line(drive, None).kind == "drain"
    assert line(drive, None).what == "the run's history is long: nothing starts until it continues as new"
    assert line(drive, None).since == BEGIN


def test_what_a_draining_task_does_not_start_waits_for_that() -> None:
    drive = ready()
    drive.drain()
    assert (line(drive, "b").kind, line(drive, "b").what) == ("drain", "the run to continue as new")


def test_steps_that_only_wait_for_others_are_counted_from_so_many_lines_on() -> None:
    others = [step(name, "a") for name in "bcd"]
    drive = started(step("a"), *others, step("x"), limits=limits(in_flight=1))
    drive.now += seconds(3)
    kinds = [(line.kind, line.step) for line in waiting(drive.task, 2)]
    assert kinds == [("execution", "a"), ("dependency", "b"), ("window", "x"), ("dependency", None)]
    folded = waiting(drive.task, 2)[-1]
    assert (folded.what, folded.since) == ("2 more steps, of which each waits for others", BEGIN)
    assert len(waiting(drive.task)) == len(waiting(drive.task, 5)) == 5


def test_what_is_overdue_is_due_at_once() -> None:
    assert seconds_until(BEGIN + seconds(1.5), BEGIN) == 1.5
    assert seconds_until(BEGIN - seconds(1.5), BEGIN) == 0
