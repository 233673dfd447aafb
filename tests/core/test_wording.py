"""What is wrong with what somebody declared is told in sentences that name the thing and say what was expected."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, NewType

import pytest
from pydantic import Field, ValidationError

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.routes import Course, Route
from tasker_temporal.core.task_types import Move, TaskType
from tasker_temporal.core.values import Declaration
from tasker_temporal.core.wording import hint_mistakes, shown, told
from tasker_temporal.errors import OptionError
from tests.core.driving import seconds


class Keyed(Declaration):
    """What has one option that is not to be printed."""

    key: bytes = Field(default=b"", repr=False)
    attempts: int = 3


def made(kind: type[Declaration], *places: Any, **said: Any) -> Callable[[], Any]:
    return lambda: kind(*places, **said)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (made(Retry, 3), "Retry: it takes its options by name, as attempts=..."),
        (made(Move, "a", "b"), "Move: it takes its options by name, as source=..."),
        (made(Route, "true"), "Route: it takes its options by name, as when=..."),
        (made(Retry, atempts=3), "Retry: it has no option 'atempts'; did you mean 'attempts'?"),
        (made(Keyed, colour=1), "Keyed: it has no option 'colour': expected one of key, attempts"),
        (made(Move, source="a"), "Move: it lacks the option 'to'"),
        (made(Retry, attempts=0), "Retry: its attempts is 0: expected at least 1"),
        (made(Retry, jitter="ful"), "Retry: its jitter is 'ful': expected 'full' or 'none'; did you mean 'full'?"),
        (made(Retry, jitter="x"), "Retry: its jitter is 'x': expected 'full' or 'none'"),
        (made(Course, task_queue=" "), "Course: its task_queue is ' ': it is blank"),
        (
            made(Course, task_queue="/_sys/mine"),
            "Course: its task_queue is '/_sys/mine': it begins with '/_sys/', as only Temporal's own queues do",
        ),
        (
            made(Course, task_queue="ü" * 501),
            f"Course: its task_queue is '{'ü' * 76}...: it has 1002 bytes: at most 1000 are a name",
        ),
        (made(Approval, approvers=["ann", 3]), "Approval: its approvers[1] is 3: expected a text"),
        (
            made(TaskType, name="Mine", rows=()),
            "TaskType: its name is 'Mine': expected lower-case letters, digits and '_', a letter first",
        ),
        (
            made(TaskType, name="mine", rows=Move(source="a", to="b")),
            "TaskType: its rows is one Move: expected a list, as rows=[...]",
        ),
        (
            made(TaskType, name="mine", rows=[{"source": "a", "too": "b"}]),
            "TaskType: its rows[0] lacks the option 'to'; its rows[0] has no option 'too'; did you mean 'to'?",
        ),
    ],
)
def test_every_mistake_in_a_declaration_is_told_with_what_was_expected(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value) == said


@pytest.mark.parametrize("queue", ["q", "q" * 1000, "ü" * 500, "_sys/mine"])
def test_every_name_that_the_server_takes_is_one_of_a_task_queue(queue: str) -> None:
    assert Course(task_queue=queue).task_queue == queue


def about(plain: Any, *, is_secret: bool = False) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Keyed.model_validate(plain)
    return told(caught.value, Keyed, {}, is_secret=is_secret)


def test_of_an_option_that_is_not_printed_the_type_alone_is_told() -> None:
    plain = {"key": 12345, "attempts": "many"}
    assert about(plain) == ["its key is of type int: expected bytes", "its attempts is 'many': expected a whole number"]
    assert about(plain, is_secret=True) == [
        "its key is of type int: expected bytes",
        "its attempts is of type str: expected a whole number",
    ]


def test_that_a_secret_is_empty_is_told() -> None:
    assert about({"attempts": ""}, is_secret=True) == ["its attempts is empty: expected a whole number"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "3"),
        ("", "empty"),
        ([], "empty"),
        ({}, "{}"),
        (seconds(90), "1m30s"),
        (-seconds(90), "-1m30s"),
        (timedelta(0), "0s"),
        (Retry(attempts=5), "Retry(...)"),
        (Retry, "the class Retry"),
        ("x" * 78, f"'{'x' * 78}'"),
        ("x" * 79, f"'{'x' * 76}..."),
    ],
)
def test_a_value_is_shown_in_a_few_characters(value: Any, said: str) -> None:
    assert shown(value) == said


@pytest.mark.parametrize(
    ("hint", "found"),
    [
        (int, []),
        (None, []),
        (dict[str, int], []),
        (int | None, []),
        (Literal["a"], []),
        (Any, []),
        (NewType("OrderId", int), []),
        ("Order", ["its context is 'Order': expected the type itself, not its name"]),
        (3, ["its context is 3: expected a type"]),
        (Retry(), ["its context is Retry(...): expected a type"]),
    ],
)
def test_what_nothing_can_be_validated_against_is_no_type(hint: Any, found: list[str]) -> None:
    assert hint_mistakes("its context", hint) == found
