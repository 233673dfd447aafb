"""Every way in which a step comes never to run, with the sentence that its row has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tasker_temporal.core.requests import PauseTask, ResolveStep, ResumeTask
from tasker_temporal.core.task import INTERPRETER
from tasker_temporal.core.template import Argument, StepTemplate
from tests.core.driving import Drive, seconds, step, template
from tests.core.expecting import EVENTS, PAID

Play = Callable[[Drive], object]


def skip(*names: str) -> Play:
    return lambda drive: [drive.skip(name) for name in names]


def succeed(*names: str, data: bytes = b'"fine"') -> Play:
    return lambda drive: drive.succeed(*names, data=data)


def fail(*names: str) -> Play:
    return lambda drive: [drive.fail(name, retryable=False) for name in names]


def resolve(name: str) -> Play:
    def play(drive: Drive) -> None:
        drive.fail(name, retryable=False)
        drive.ask(ResolveStep, step=name)

    return play


def asks(on: Any, *takes: str, **options: Any) -> list[StepTemplate]:
    """The step `t` asks this of the steps before it, which wait for a gate."""
    return [*WORK, step("t", *takes, on=on, **options)]


def takes(argument: Argument, on: Any) -> list[StepTemplate]:
    return [*WORK, StepTemplate.model_validate({"name": "t", "on": on, "arguments": (argument,)})]


WORK = [
    step("gate"),
    *(step(name, after=["gate"]) for name in "abc"),
    step("d", after=["gate"], branches=("left", "right")),
]
HANDLED = step("h", on={"failed": "a"})
MANY = [step(f"s{number}", after=["gate"]) for number in range(7)]
ENDED_OR_PAID = {"any_of": [{"ended": "a"}, PAID]}

JOINS: dict[str, tuple[list[StepTemplate], list[Play], str]] = {
    "a required result was skipped": (
        [*WORK, step("t", "a", after=["b"])],
        [skip("a"), succeed("gate", "b")],
        "a required result will not come: a was skipped",
    ),
    "of several required results those are named that do not come": (
        [*WORK, HANDLED, step("t", "a", "b", "c")],
        [skip("b"), succeed("gate"), fail("a"), succeed("c", "h")],
        "a required result will not come: the failure of a is handled by h, b was skipped",
    ),
    "all was skipped": (
        [*WORK, step("t", after=["a", "b"])],
        [skip("b", "a")],
        "nothing it waits for is complete: a was skipped, b was skipped",
    ),
    "the only failure was handled": (
        [*WORK, HANDLED, step("t", after=["a"])],
        [succeed("gate"), fail("a")],
        "nothing it waits for is complete: the failure of a is handled by h",
    ),
    "one was skipped and the failure of another was handled": (
        [*WORK, HANDLED, step("t", after=["a", "b"])],
        [skip("b"), succeed("gate"), fail("a")],
        "nothing it waits for is complete: the failure of a is handled by h, b was skipped",
    ),
    "more than can be named": (
        [step("gate"), *MANY, step("t", after=[each.name for each in MANY])],
        [skip(*(each.name for each in MANY))],
        "nothing it waits for is complete: s0 was skipped, s1 was skipped, s2 was skipped, s3 was skipped, "
        "s4 was skipped, and 2 more",
    ),
}

TRIGGERS: dict[str, tuple[list[StepTemplate], list[Play], str]] = {
    "completed of what was skipped": (
        asks({"completed": "a"}),
        [skip("a")],
        "completed(a) will never be: a was skipped",
    ),
    "completed of a handled failure": (
        [*asks({"completed": "a"}), HANDLED],
        [succeed("gate"), fail("a")],
        "completed(a) will never be: the failure of a is handled by h",
    ),
    "failed of what is complete": (
        asks({"failed": "a"}),
        [succeed("gate", "a")],
        "failed(a) will never be: a is complete",
    ),
    "failed of what was resolved": (
        asks({"all_of": [{"failed": "a"}, {"failed": "b"}]}),
        [succeed("gate"), resolve("a")],
        "all_of(failed(a), failed(b)) will never be: a was resolved by hand",
    ),
    "skipped of what is complete": (
        asks({"skipped": "a"}),
        [succeed("gate", "a")],
        "skipped(a) will never be: a is complete",
    ),
    "a branch that was not chosen": (
        asks({"chosen": "d", "branch": "left"}),
        [succeed("gate"), succeed("d", data=b'"right"')],
        "chosen(d, 'left') will never be: d did not choose 'left'",
    ),
    "a decision that chose nothing": (
        asks({"chosen": "d", "branch": "left"}),
        [succeed("gate"), succeed("d", data=b"[]")],
        "chosen(d, 'left') will never be: d did not choose 'left'",
    ),
    "a branch of a decision that was skipped": (
        asks({"chosen": "d", "branch": "left"}),
        [skip("d")],
        "chosen(d, 'left') will never be: d was skipped",
    ),
    "any of several": (
        asks({"any_of": [{"completed": "a"}, {"failed": "b"}]}),
        [skip("a"), succeed("gate", "b")],
        "any_of(completed(a), failed(b)) will never be: a was skipped, b is complete",
    ),
    "fewer left than are asked for": (
        asks({"at_least": 2, "of": [{"completed": "a"}, {"completed": "b"}, {"completed": "c"}]}),
        [skip("a", "c")],
        "at_least(2, completed(a), completed(b), completed(c)) will never be: a was skipped, c was skipped",
    ),
    "a part that can still be does not count": (
        asks({"all_of": [{"any_of": [{"completed": "a"}, {"completed": "b"}]}, {"completed": "c"}, PAID]}),
        [skip("a", "c")],
        "all_of(any_of(completed(a), completed(b)), completed(c), received('paid', match='event.order == "
        "context.order')) will never be: c was skipped",
    ),
    "a step that is named twice": (
        asks({"any_of": [{"completed": "a"}, {"all_of": [{"completed": "a"}, {"elapsed": 9}]}]}),
        [skip("a")],
        "any_of(completed(a), all_of(completed(a), elapsed(0:00:09))) will never be: a was skipped",
    ),
    "more than can be told": (
        asks({"all_of": [{"completed": "a"} for _ in range(40)]}),
        [skip("a")],
        "all_of(" + "completed(a), " * 13 + "completed(… will never be: a was skipped",
    ),
}

TAKEN: dict[str, tuple[list[StepTemplate], list[Play], str]] = {
    "the result of what is not over": (
        asks({"any_of": [{"completed": "a"}, {"completed": "b"}]}, "a"),
        [succeed("gate", "b")],
        "the result of 'a', which it requires, is not there: a is not over",
    ),
    "the result of what has failed": (
        asks({"ended": "a"}, "a"),
        [succeed("gate"), fail("a")],
        "the result of 'a', which it requires, is not there: a has failed",
    ),
    "the result of a failure that it would handle": (
        asks({"failed": "a"}, "b", "a"),
        [succeed("gate", "b"), fail("a")],
        "the result of 'a', which it requires, is not there: a has failed",
    ),
    "the failure of what is complete": (
        takes(Argument(name="why", step="a", part="failure"), {"ended": "a"}),
        [succeed("gate", "a")],
        "the failure of 'a', which it requires, is not there: a is complete",
    ),
    "an event that did not come first": (
        takes(Argument(name="paid", event="paid"), ENDED_OR_PAID),
        [succeed("gate", "a")],
        "the event 'paid', which it takes, has not come",
    ),
}

OTHERS: dict[str, tuple[list[StepTemplate], list[Play], str]] = {
    "a condition that is false": (
        [step("gate"), step("t", after=["gate"], when="result.gate == 'good'")],
        [succeed("gate")],
        "its condition is false: result.gate == 'good'",
    ),
    "a wait that is over": (
        [step("gate"), step("t", awaits="event", on=PAID, deadline=seconds(60), on_deadline="skip")],
        [lambda drive: drive.wait(60)],
        "received('paid', match='event.order == context.order') did not come within 0:01:00",
    ),
    "somebody does not want it": (WORK, [lambda drive: drive.skip("a")], "not needed"),
}

WAYS = JOINS | TRIGGERS | TAKEN | OTHERS


def played(steps: list[StepTemplate], plays: list[Play], interpreter: int = INTERPRETER) -> Drive:
    drive = Drive(template(*steps, events=EVENTS), context=b'{"order": 7}')
    drive.task.interpreter = interpreter
    drive.start()
    for play in plays:
        play(drive)
    return drive


def reason(drive: Drive) -> str:
    return drive.row("step.skipped", "t" if "t" in drive.task.steps else "a").reason


@pytest.mark.parametrize("way", WAYS)
def test_a_skipped_step_says_truly_why(way: str) -> None:
    steps, plays, sentence = WAYS[way]
    assert reason(played(steps, plays)) == sentence


def test_the_reason_is_that_of_the_moment_in_which_the_step_is_skipped() -> None:
    """While the task is paused nothing is skipped, and what the reason tells of goes on."""
    drive = played(asks({"any_of": [{"completed": "a"}, {"completed": "b"}]}, "a"), [succeed("gate")])
    drive.ask(PauseTask)
    drive.succeed("b")
    drive.fail("a", retryable=False)
    drive.ask(ResumeTask)
    assert reason(drive) == "the result of 'a', which it requires, is not there: a has failed"


FIRST_TOLD = {
    "a required result was skipped": "a required result did not come",
    "all was skipped": "everything it waits for was skipped",
    "completed of what was skipped": "this will never be: completed(a)",
    "the result of what has failed": "the result of 'a', which it requires, is not there",
    "an event that did not come first": "the event 'paid', which it takes, has not come",
    "a wait that is over": "what it waits for did not come within 0:01:00",
}


@pytest.mark.parametrize("way", FIRST_TOLD)
def test_a_run_of_the_first_interpreter_goes_on_with_its_sentences(way: str) -> None:
    steps, plays, _ = WAYS[way]
    assert reason(played(steps, plays, interpreter=1)) == FIRST_TOLD[way]
