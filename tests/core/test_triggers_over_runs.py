"""What triggers, conditions and events remember stays over the runs of a task."""

from __future__ import annotations

from tasker_temporal.core.messages import Content
from tests.core.driving import ONCE, Drive, essence, restored, started, step, template
from tests.core.expecting import PAID, expecting, tell


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


def test_what_a_step_takes_of_its_trigger_weighs_as_much_in_the_next_run() -> None:
    drive = started(step("a"), step("t", "a", on={"completed": "a"}))
    drive.succeed("a", data=b"x" * 100)
    again = restored(drive.task)
    assert again.steps["t"].taken == Content(b"x" * 100).size
    assert again.bytes_in_flight == drive.task.bytes_in_flight == again.steps["t"].size
