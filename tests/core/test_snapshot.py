"""Draining, continuing, and a task at rest as plain data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import DROPPED, Content, RunContinued, RunStep, StartTimer, StepSucceeded
from tasker_temporal.core.requests import CancelTask
from tasker_temporal.core.rows import verify
from tasker_temporal.core.snapshot import FULL_BYTES, SPARE_BYTES, restore, snapshot
from tasker_temporal.core.task import INTERPRETER, Task
from tasker_temporal.errors import RequestRefused
from tests.core.driving import (
    BEGIN,
    KEY,
    ONCE,
    STEADY,
    Drive,
    chain_start,
    essence,
    limits,
    restored,
    seconds,
    started,
    step,
)
from tests.core.driving import template as flow


def stored(drive: Drive) -> Any:
    return json.loads(json.dumps(snapshot(drive.task)))


# Draining.


def test_a_draining_task_starts_nothing_new() -> None:
    drive = started(step("a"), step("b", "a"))
    assert drive.drain() == []
    drive.succeed("a")
    assert drive.states == {"a": "complete", "b": "pending"}
    assert drive.state == "in_progress"
    assert drive.row("workflow.drain_requested").metadata == {"events": 10_240, "size": 5_000_000}


def test_a_draining_task_that_has_nothing_more_to_do_completes() -> None:
    drive = started(step("a"))
    drive.drain()
    drive.succeed("a")
    assert drive.closed == "complete"


def test_a_draining_task_still_waits_for_its_backoffs() -> None:
    drive = started(step("a", retry=STEADY))
    drive.drain()
    drive.fail("a")
    drive.wait(4)
    assert drive.states == {"a": "pending"}
    assert drive.state == "in_progress"


def test_a_draining_task_that_is_blocked_by_a_failure_ends_only_after_it_continued() -> None:
    drive = started(step("a", retry=ONCE), step("b"), step("c", "b"))
    drive.drain()
    drive.fail("a")
    drive.succeed("b")
    assert drive.state == "in_progress"
    later = drive.continued()
    later.succeed("c")
    assert later.closed == "error"


# Continuing.


def test_a_continued_run_starts_what_waited_and_its_timers_for_the_same_moments() -> None:
    drive = started(step("a", retry=STEADY, deadline=seconds(60)), step("b"), step("c", "b"))
    drive.fail("a")
    drive.drain()
    drive.succeed("b")
    later = drive.continued()
    timers = [command.timer for command in later.commands if isinstance(command, StartTimer)]
    assert [(timer.id, timer.due) for timer in timers] == [
        ("backoff:a:1", BEGIN + seconds(4)),
        ("deadline:a", BEGIN + seconds(60)),
    ]
    assert later.commands[-1] == RunStep("c", 1, 1)
    later.succeed("c")
    later.wait(4)
    later.succeed("a")
    assert later.closed == "complete"


def test_a_continued_run_chains_its_rows_to_those_before() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.drain()
    drive.succeed("a")
    later = drive.continued()
    later.succeed("b")
    assert later.task.before == (drive.task.sort_key, drive.task.head)
    assert later.rows[0].sort_key == drive.rows[-1].sort_key + 1
    assert later.rows[0].event == "workflow.run_continued"
    assert later.rows[0].metadata == {"run_id": "run-1"}
    assert verify(later.rows, verify(drive.rows, chain_start(drive.task))) == later.task.head


def test_a_run_that_wrote_nothing_yet_stands_where_it_began() -> None:
    task = restored(started(step("a")).task)
    assert (task.sort_key, task.head) == task.before
    assert task.rows == []


def test_executions_are_counted_over_runs() -> None:
    drive = started(step("a", retry=STEADY))
    drive.fail("a")
    drive.drain()
    later = drive.continued()
    later.wait(4)
    assert later.commands[-1] == RunStep("a", execution=2, attempt=2)


def test_a_cancellation_goes_on_after_a_continuation() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.cancel("bob")
    later = drive.continued()
    assert later.task.cancelled_by == ("bob", "wrong order")
    later.stop("a")
    assert later.closed == "cancelled"
    assert later.row("task.cancelled").actor == "bob"


def test_answers_are_remembered_over_runs() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.skip("b", request_id="one")
    later = drive.continued()
    assert later.task.answers == drive.task.answers
    assert later.skip("b", request_id="one") == []
    with pytest.raises(RequestRefused, match="already used for skip of step 'b'"):
        later.cancel(request_id="one")


def test_an_answer_of_a_snapshot_that_names_no_request_is_that_of_every_request_of_its_id() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.skip("b", request_id="one")
    plain = stored(drive)
    assert plain["answers"]["one"][:3] == [6, 6, "skip of step 'b'"]
    plain["answers"]["one"] = [6, 6]
    engine = Engine(restore(plain, drive.context))
    assert engine.apply(CancelTask(actor="ann", reason="r", request_id="one"), drive.now) == []
    assert snapshot(engine.task)["answers"] == {"one": [6, 6]}


# The snapshot itself.


def test_a_snapshot_of_a_task_before_its_start_is_nothing_but_its_template() -> None:
    task = Task("task-1", flow(step("a")), Content(b"{}"), KEY)
    again = restored(task)
    assert (again.state, again.steps["a"].state, again.before) == (None, None, task.before)
    assert essence(again) == essence(task)


def test_a_snapshot_leaves_out_defaults_and_names_its_interpreter() -> None:
    drive = started(step("a"), step("b", "a"))
    template = {
        "name": "tests.flow",
        "steps": [{"name": "a"}, {"name": "b", "arguments": [{"name": "of_a", "step": "a"}]}],
    }
    assert stored(drive) == {
        "interpreter": INTERPRETER,
        "id": "task-1",
        "key": KEY.hex(),
        "template": template,
        "state": "in_progress",
        "before": [5, drive.task.head],
        "started_at": "2026-01-01T00:00:00+00:00",
        "steps": {
            "a": {
                "row": 5,
                "attempt": 1,
                "execution": 1,
                "state": "in_progress",
                "started_at": "2026-01-01T00:00:00+00:00",
            },
            "b": {"row": 3},
        },
    }


def test_the_problems_of_a_context_survive() -> None:
    drive = Drive(flow(step("a")))
    drive.start(problems=({"loc": ("a", 0), "type": "missing", "msg": "Field required"},))
    assert restored(drive.task).problems == ({"loc": ["a", 0], "type": "missing", "msg": "Field required"},)


def test_failures_and_why_they_are_final_survive() -> None:
    drive = started(step("a", retry=ONCE), step("b"), step("c"))
    drive.fail("a")
    drive.fail("b", after=9)
    task = restored(drive.task)
    assert task.steps["a"].failure == drive.task.steps["a"].failure
    assert [task.steps[name].final for name in "abc"] == ["attempts", None, None]
    assert (task.exhausted, task.backing_off, task.in_flight) == (1, 1, 1)


def test_a_wait_for_a_handler_survives() -> None:
    drive = started(step("a"))
    drive.miss("a")
    assert restored(drive.task).steps["a"].missing_since == BEGIN


def test_results_that_nobody_needs_any_more_are_dropped() -> None:
    drive = started(step("a"), step("b", "a"), step("c", after=["a", "b"]), step("d", "a?", "c"))
    drive.succeed("a", data=b'"a"')
    drive.succeed("b", data=b'"b"')
    plain = stored(drive)
    assert plain["steps"]["a"]["result"] == '"a"'
    assert plain["steps"]["b"]["result"] is None
    task = restored(drive.task)
    assert (task.steps["a"].result, task.steps["b"].result) == (Content(b'"a"'), DROPPED)
    drive.succeed("c", "d")
    assert [stored(drive)["steps"][name]["result"] for name in "abcd"] == [None] * 4


def kept(drive: Drive) -> list[str]:
    return [name for name, plain in stored(drive)["steps"].items() if plain.get("result") is not None]


def test_of_the_results_that_no_open_step_asks_for_the_smallest_are_kept() -> None:
    sizes = {"a": SPARE_BYTES // 2, "b": 10, "c": SPARE_BYTES // 2, "d": 10, "e": 9}
    drive = started(*map(step, sizes), step("z", *sizes), step("keeper"))
    for name, size in sizes.items():
        drive.succeed(name, data=b"x" * size)
    assert kept(drive) == list(sizes)
    drive.succeed("z")
    assert kept(drive) == ["a", "b", "d", "e"]


def test_no_spare_result_is_kept_beside_large_ones_that_are_needed() -> None:
    drive = started(step("a"), step("b", "a"), step("large"), step("y", "large", after=["keeper"]), step("keeper"))
    drive.succeed("a", "b")
    assert kept(drive) == ["a"]
    drive.succeed("large", data=b"x" * FULL_BYTES)
    assert kept(drive) == ["large"]


@pytest.mark.parametrize("end", ["complete", "cancelled", "error"])
def test_spare_results_are_kept_only_while_the_task_may_go_on(end: str) -> None:
    drive = started(step("a"), step("b", "a"), step("c", after=["b"], retry=ONCE))
    drive.succeed("a", "b")
    if end == "cancelled":
        drive.cancel()
        drive.stop("c")
    else:
        drive.succeed("c") if end == "complete" else drive.fail("c")
    assert drive.closed == end
    assert kept(drive) == (["a"] if end == "error" else [])


def test_a_dropped_result_is_still_one_that_came() -> None:
    """The first run's `b` has taken it, and the second run still lets `c` know that it was there."""
    drive = started(step("a"), step("b", "a"), step("c", after=["a", "b"]))
    drive.drain()
    drive.succeed("a", data=b"x" * SPARE_BYTES)
    later = drive.continued()
    later.drain()
    later.succeed("b")
    last = later.continued()
    assert last.task.steps["a"].result == DROPPED
    last.succeed("c")
    assert last.closed == "complete"


@pytest.mark.parametrize(
    "content",
    [
        Content('"grün"'.encode()),
        Content(b"\xff\xfe"),
        Content(b"\x00\x01", (("encoding", b"binary/plain"), ("more", b"\xff"))),
        Content(b'"json"', (("encoding", b"json/plain"), ("encoding-key", b"k"))),
        Content(b""),
    ],
    ids=["json", "no text", "binary", "more metadata", "empty"],
)
def test_a_result_that_is_needed_survives_byte_by_byte(content: Content) -> None:
    drive = started(step("a"), step("b", "a"), limits=limits(in_flight=1))
    drive.tell(StepSucceeded("a", drive.running.pop("a"), content))
    task = restored(drive.task)
    assert task.steps["a"].result == content
    assert task.bytes_in_flight == drive.task.bytes_in_flight == content.size


def test_the_order_of_those_that_wait_for_a_place_survives() -> None:
    drive = started(step("a", retry=STEADY), step("b"), step("c"), step("d"), limits=limits(in_flight=1))
    drive.fail("a", after=0)
    drive.fire("backoff:a:1")
    drive.skip("c")
    assert stored(drive)["viable"] == ["d", "a"]
    later = drive.continued()
    later.finish()
    assert later.ran() == ["d", "a"]


def test_a_step_that_became_impossible_elsewhere_is_skipped_by_the_next_run() -> None:
    """A snapshot that was not written by this library, as an import is."""
    drive = started(step("gate"), step("a", after=["gate"]), step("b", "a"), step("c", after=["gate"]))
    plain = stored(drive)
    plain["steps"]["a"]["state"] = "skipped"
    task = restore(plain, drive.task.context)
    assert list(task.never) == ["b"]
    later = Drive(task.template, task=task)
    later.tell(RunContinued("import"))
    assert later.states["b"] == "skipped"


def test_the_template_travels_with_the_task() -> None:
    drive = started(step("a", "*", deadline=seconds(9), retry=STEADY), limits=limits(in_flight=3), on_failure="stop")
    task = restored(drive.task)
    assert task.template == drive.task.template
    assert task.template.digest == drive.task.template.digest
