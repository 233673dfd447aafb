"""What each form of trigger says, worked out by hand for every way in which the named step can end."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from tasker_temporal.core.requests import (
    CompleteStep,
    PauseTask,
    ResolveStep,
    ResumeTask,
)
from tasker_temporal.core.triggers import WORDS, steps_of
from tasker_temporal.errors import RequestRefused
from tests.core.driving import Drive, started, step, template

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


def test_the_steps_that_a_trigger_names_are_those_that_it_listens_to() -> None:
    known = template(
        step("a"), step("b", on={"failed": "a"}), step("c", on={"any_of": [{"ended": "a"}, {"ended": "b"}]})
    )
    assert known.listeners == {"a": ("b", "c"), "b": ("c",)}
    assert known.followers("a") == ("b", "c")
    assert steps_of(known.step("c").on) == ("a", "b")
