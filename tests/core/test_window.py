"""How much may be under way at a time."""

from __future__ import annotations

from tasker_temporal.core.joins import startable
from tasker_temporal.core.messages import JSON, Content, RunStep, StepSucceeded
from tasker_temporal.core.requests import ChangeStep
from tasker_temporal.core.template import PAYLOAD_LIMIT
from tests.core.driving import Drive, limits, started, step, template

OVERHEAD = 26
"""Bytes of a content's metadata: `encoding`, `json/plain`, and 8."""


def test_a_content_counts_its_data_and_its_metadata() -> None:
    assert Content(b"12345").size == 5 + OVERHEAD
    assert Content(b"12345", ()).size == 5
    assert Content(b"", (*JSON, ("k", b"vv"))).size == OVERHEAD + 1 + 2 + 8


def test_no_more_steps_run_at_once_than_the_window_holds() -> None:
    drive = started(*(step(name) for name in "abcd"), limits=limits(in_flight=2))
    assert drive.ran() == ["a", "b"]
    drive.succeed("b")
    assert drive.ran() == ["a", "b", "c"]
    drive.succeed("a", "c")
    assert drive.ran() == ["a", "b", "c", "d"]
    assert (drive.task.in_flight, drive.task.bytes_in_flight) == (1, 0)


def test_the_longest_viable_starts_first() -> None:
    drive = started(step("a"), step("b"), step("c", "a"), step("d"), limits=limits(in_flight=1))
    drive.succeed("a", "b")
    assert drive.ran() == ["a", "b", "d"]


def test_no_more_bytes_are_under_way_than_the_window_holds() -> None:
    each = len(b'"context"') + OVERHEAD
    flow = template(*(step(name, "*") for name in "abc"), limits=limits(bytes_in_flight=2 * each))
    drive = Drive(flow, context=b'"context"')
    drive.start()
    assert drive.ran() == ["a", "b"]
    assert drive.task.bytes_in_flight == 2 * each
    drive.succeed("a")
    assert drive.ran() == ["a", "b", "c"]


def test_one_step_may_always_run_whatever_its_size() -> None:
    drive = Drive(template(step("a", "*"), step("b", "*"), limits=limits(bytes_in_flight=10)), context=b"x" * 100)
    drive.start()
    assert drive.ran() == ["a"]
    drive.succeed("a")
    assert drive.ran() == ["a", "b"]


def test_a_step_that_is_too_large_for_now_is_not_overtaken() -> None:
    """Else a large step could wait for ever."""
    flow = template(step("a", "*"), step("b", "*", "*"), step("c"), limits=limits(bytes_in_flight=100))
    drive = Drive(flow, context=b"x" * 50)
    drive.start()
    assert drive.ran() == ["a"]
    drive.succeed("a")
    assert drive.ran() == ["a", "b"]


def test_a_step_for_which_there_is_no_room_waits_for_what_runs() -> None:
    flow = template(step("a", "*"), step("b"), step("c", "*", after=["b"]), limits=limits(bytes_in_flight=100))
    drive = Drive(flow, context=b"x" * 50)
    drive.start()
    drive.succeed("b")
    assert drive.ran() == ["a", "b"]
    drive.succeed("a")
    assert drive.ran() == ["a", "b", "c"]


def test_a_step_is_as_large_as_what_its_handler_asks_for() -> None:
    drive = Drive(
        template(step("a"), step("b"), step("c", "a", "a", "b?", "*", after=["b"]), step("d", after=["a"])),
        context=b"123",
    )
    drive.start()
    drive.fail("b")
    drive.skip("b")
    drive.succeed("a", data=b"12345")
    assert drive.task.steps["c"].size == 2 * (5 + OVERHEAD) + (3 + OVERHEAD)
    assert drive.task.steps["d"].size == 0


def test_what_the_server_would_refuse_fails_its_step_before_it_is_sent() -> None:
    drive = started(step("a"), step("b", "a"), step("c", "a"))
    commands = drive.succeed("a", data=b"x" * (PAYLOAD_LIMIT - OVERHEAD))
    assert commands == [RunStep("b", 1, 1)]
    drive.succeed("b")
    assert drive.ran() == ["a", "b", "c"]


def test_an_input_that_is_too_large_is_no_reason_to_try_again() -> None:
    drive = started(step("a"), step("b", "a"), step("c", after=["a"]))
    commands = drive.succeed("a", data=b"x" * (PAYLOAD_LIMIT - OVERHEAD + 1))
    assert RunStep("c", 1, 1) in commands
    failure = drive.task.steps["b"].failure
    assert failure is not None
    assert (failure.type, failure.retryable) == ("StepInputTooLarge", False)
    assert (
        failure.message
        == f"its handler asks for {PAYLOAD_LIMIT + 1} bytes of context and results: at most {PAYLOAD_LIMIT} can be sent"
    )
    assert drive.ran() == ["a", "c"]
    assert drive.task.bytes_in_flight == 0
    drive.succeed("c")
    assert drive.closed == "error"


def test_what_is_too_large_makes_room_for_its_siblings_which_start_once() -> None:
    flow = template(step("a"), step("b", "a"), step("c", after=["a"]), limits=limits(bytes_in_flight=10_000_000))
    drive = Drive(flow)
    drive.start()
    drive.succeed("a", data=b"x" * PAYLOAD_LIMIT)
    assert drive.states == {"a": "complete", "b": "error", "c": "in_progress"}
    assert drive.ran() == ["a", "c"]


def test_with_on_failure_stop_what_is_too_large_keeps_its_siblings_from_starting() -> None:
    wide = limits(bytes_in_flight=10_000_000)
    drive = Drive(template(step("a"), step("b", "a"), step("c", after=["a"]), limits=wide, on_failure="stop"))
    drive.start()
    drive.succeed("a", data=b"x" * PAYLOAD_LIMIT)
    assert drive.states == {"a": "complete", "b": "error", "c": "pending"}
    assert drive.closed == "error"


def test_a_step_that_is_named_twice_in_the_queue_starts_once() -> None:
    drive = started(step("a"), step("b"), limits=limits(in_flight=1))
    drive.task.viable.append("b")
    drive.task.in_flight = -5
    assert startable(drive.task) == ("b",)


def test_a_config_is_among_the_bytes_that_a_step_is_handed() -> None:
    config = {"a": "x" * 100}
    size = len('{"a":""}') + 100
    drive = started(step("a", config=config), step("b", config=config), step("c"), limits=limits(bytes_in_flight=size))
    assert drive.ran() == ["a"]
    assert drive.task.bytes_in_flight == size
    drive.succeed("a")
    assert drive.ran() == ["a", "b", "c"]
    drive.succeed("b", "c")
    assert (drive.closed, drive.task.bytes_in_flight) == ("complete", 0)


def test_a_config_that_somebody_gave_and_that_cannot_be_sent_beside_the_rest_fails_its_step() -> None:
    drive = Drive(template(step("a"), step("b", "a"), step("c", "a")), context=b'"' + b"x" * 10 + b'"')
    drive.start()
    for name in ("b", "c"):
        drive.ask(ChangeStep, step=name, config={"a": "x" * 1_000_000})
    result = Content(b'"' + b"x" * (PAYLOAD_LIMIT - 1_000_000) + b'"')
    drive.tell(StepSucceeded("a", 1, result))
    assert drive.states == {"a": "complete", "b": "error", "c": "error"}
    failure = drive.task.steps["b"].failure
    assert failure is not None
    assert failure.type == "StepInputTooLarge"
    assert "bytes of context, results and config: at most" in failure.message


def test_in_a_run_of_an_earlier_interpreter_a_config_weighs_nothing() -> None:
    drive = Drive(template(step("a", config={"a": 1}), step("b"), limits=limits(bytes_in_flight=1)))
    drive.task.interpreter = 2
    drive.start()
    assert drive.ran() == ["a", "b"]
