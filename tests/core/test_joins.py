"""The join rule, worked out by hand: yes, never or not yet."""

from __future__ import annotations

import pytest

from tasker_temporal.core.joins import answer
from tests.core.driving import ONCE, STEADY, Drive, limits, step, template

COMPLETE, SKIPPED, FAILED, BACKING_OFF, RUNNING = "complete", "skipped", "failed", "backing off", "running"
YES, NEVER, NOT_YET = "in_progress", "skipped", "pending"

REQUIRED = ("a", "b")
OPTIONAL = ("a?", "b?")
MIXED = ("a", "b?")


def ended(drive: Drive, name: str, how: str) -> None:
    match how:
        case "complete":
            drive.succeed(name)
        case "skipped":
            drive.skip(name)
        case "failed":
            drive.fail(name, retryable=False)
        case "backing off":
            drive.fail(name)


@pytest.mark.parametrize(
    ("takes", "after", "a", "b", "expected"),
    [
        # Order alone: over is enough, but not if everything was skipped.
        ((), ("a", "b"), COMPLETE, COMPLETE, YES),
        ((), ("a", "b"), COMPLETE, SKIPPED, YES),
        ((), ("a", "b"), SKIPPED, SKIPPED, NEVER),
        ((), ("a", "b"), COMPLETE, RUNNING, NOT_YET),
        ((), ("a", "b"), COMPLETE, FAILED, NOT_YET),
        ((), ("a", "b"), SKIPPED, FAILED, NOT_YET),
        ((), ("a", "b"), COMPLETE, BACKING_OFF, NOT_YET),
        ((), ("a", "b"), FAILED, FAILED, NOT_YET),
        # Required results: both must come.
        (REQUIRED, (), COMPLETE, COMPLETE, YES),
        (REQUIRED, (), COMPLETE, SKIPPED, NEVER),
        (REQUIRED, (), SKIPPED, COMPLETE, NEVER),
        (REQUIRED, (), SKIPPED, SKIPPED, NEVER),
        (REQUIRED, (), SKIPPED, RUNNING, NOT_YET),
        (REQUIRED, (), SKIPPED, FAILED, NOT_YET),
        (REQUIRED, (), COMPLETE, FAILED, NOT_YET),
        (REQUIRED, (), RUNNING, BACKING_OFF, NOT_YET),
        # Optional results: one is enough.
        (OPTIONAL, (), COMPLETE, COMPLETE, YES),
        (OPTIONAL, (), COMPLETE, SKIPPED, YES),
        (OPTIONAL, (), SKIPPED, COMPLETE, YES),
        (OPTIONAL, (), SKIPPED, SKIPPED, NEVER),
        (OPTIONAL, (), SKIPPED, RUNNING, NOT_YET),
        (OPTIONAL, (), SKIPPED, FAILED, NOT_YET),
        # One of each.
        (MIXED, (), COMPLETE, SKIPPED, YES),
        (MIXED, (), SKIPPED, COMPLETE, NEVER),
        (MIXED, (), SKIPPED, SKIPPED, NEVER),
        (MIXED, (), SKIPPED, BACKING_OFF, NOT_YET),
        (MIXED, (), COMPLETE, FAILED, NOT_YET),
        # A required result and an order; a result both required and waited for.
        (("a",), ("b",), COMPLETE, SKIPPED, YES),
        (("a",), ("b",), SKIPPED, COMPLETE, NEVER),
        (("a", "b?"), ("a", "b"), COMPLETE, COMPLETE, YES),
        (("a?",), ("a", "b"), SKIPPED, COMPLETE, YES),
    ],
)
@pytest.mark.parametrize("order", ["ab", "ba"])
def test_the_join_rule(
    takes: tuple[str, ...], after: tuple[str, ...], a: str, b: str, expected: str, order: str
) -> None:
    fates = {"a": a, "b": b}
    steps = [step(name, after=["gate"], retry=STEADY if fates[name] == BACKING_OFF else ONCE) for name in "ab"]
    drive = Drive(template(step("gate"), *steps, step("c", *takes, after=after)))
    drive.start()
    skipped = [name for name in order if fates[name] == SKIPPED]
    for name in skipped:
        drive.skip(name)
    drive.succeed("gate")
    for name in order:
        if name not in skipped:
            ended(drive, name, fates[name])
    assert drive.states["c"] == expected


def test_a_step_without_dependencies_may_run_at_once() -> None:
    drive = Drive(template(step("a")))
    drive.start()
    assert drive.ran() == ["a"]


def test_never_goes_through_the_graph_and_gives_its_reasons() -> None:
    """`b` lacks a result, so nothing is left that `c` waits for; `d` waits for `x` too, and runs."""
    late = {"after": ["gate"]}
    steps = [step("a", **late), step("x", **late), step("b", "a"), step("c", after=["b"]), step("d", after=["c", "x"])]
    drive = Drive(template(step("gate"), *steps))
    drive.start()
    drive.skip("a")
    assert [drive.states[name] for name in "abcd"] == ["skipped", "skipped", "skipped", "pending"]
    skipped = [drive.row("step.skipped", name) for name in "abc"]
    assert [row.actor for row in skipped] == ["ann", "tasker", "tasker"]
    assert [row.reason for row in skipped] == [
        "not needed",
        "a required result will not come: a was skipped",
        "nothing it waits for is complete: b was skipped",
    ]
    assert [row.cause for row in skipped] == [None, skipped[0].sort_key, skipped[1].sort_key]
    drive.succeed("gate", "x", "d")
    assert drive.closed == "complete"


def test_a_task_of_which_everything_was_skipped_is_complete() -> None:
    drive = Drive(template(step("a"), step("b", "a"), step("c", after=["b"])))
    drive.start()
    drive.fail("a")
    drive.skip("a")
    assert set(drive.states.values()) == {"skipped"}
    assert drive.closed == "complete"


def test_the_answer_is_known_before_the_step_moves() -> None:
    drive = Drive(template(step("a"), step("b", "a")))
    b = drive.task.steps["b"]
    assert answer(b) == "not yet"
    b.waiting, b.lacking = 0, 1
    assert answer(b) == "never"
    b.lacking, b.skipped = 0, 1
    assert answer(b) == "never"
    b.skipped = 0
    assert answer(b) == "yes"


def test_two_thousand_steps_in_a_row_can_become_impossible_at_once() -> None:
    """The consequences of a message are as deep as the graph, and must not need Python's stack."""
    names = [f"s{index}" for index in range(2000)]
    chain = [step(name, *names[max(index - 1, 0) : index]) for index, name in enumerate(names)]
    drive = Drive(template(step("gate"), *chain, limits=limits(in_flight=1)))
    drive.start()
    drive.skip("s0")
    assert drive.states["s1999"] == "skipped"
    drive.succeed("gate")
    assert drive.closed == "complete"
