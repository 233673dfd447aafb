"""Triggers as data: the words of JSON, YAML and Python are the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tasker_temporal.core.triggers import (
    WORDS,
    AllOf,
    AnyOf,
    AtLeast,
    Chosen,
    Completed,
    Elapsed,
    Ended,
    Failed,
    Received,
    Skipped,
    Trigger,
    leaves,
    said,
    steps_of,
)

FORMS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "completed": (Completed(completed="a"), {"completed": "a"}, "completed(a)"),
    "failed": (Failed(failed="a"), {"failed": "a"}, "failed(a)"),
    "ended": (Ended(ended="a"), {"ended": "a"}, "ended(a)"),
    "skipped": (Skipped(skipped="a"), {"skipped": "a"}, "skipped(a)"),
    "chosen": (Chosen(chosen="a", branch="b"), {"chosen": "a", "branch": "b"}, "chosen(a, 'b')"),
    "received": (
        Received(received="paid", match="event.ok"),
        {"received": "paid", "match": "event.ok"},
        "received('paid', match='event.ok')",
    ),
    "elapsed": (Elapsed(elapsed=timedelta(hours=1)), {"elapsed": 3600.0}, "elapsed(1:00:00)"),
    "all_of": (
        AllOf(all_of=(Completed(completed="a"), Received(received="paid"))),
        {"all_of": [{"completed": "a"}, {"received": "paid"}]},
        "all_of(completed(a), received('paid'))",
    ),
    "any_of": (AnyOf(any_of=(Failed(failed="a"),)), {"any_of": [{"failed": "a"}]}, "any_of(failed(a))"),
    "at_least": (
        AtLeast(at_least=1, of=(Ended(ended="a"), Skipped(skipped="b"))),
        {"at_least": 1, "of": [{"ended": "a"}, {"skipped": "b"}]},
        "at_least(1, ended(a), skipped(b))",
    ),
}

adapter: TypeAdapter[Any] = TypeAdapter(Trigger)


def test_every_word_has_its_form_here() -> None:
    assert FORMS.keys() == WORDS.keys()


@pytest.mark.parametrize("word", FORMS)
def test_a_trigger_is_the_same_as_json_and_back(word: str) -> None:
    trigger, plain, text = FORMS[word]
    assert adapter.dump_python(trigger, mode="json", exclude_defaults=True) == plain
    assert adapter.validate_python(plain) == trigger
    assert said(trigger) == text


@pytest.mark.parametrize(
    "wrong", [{}, {"done": "a"}, {"completed": 1}, {"completed": "a", "match": "x"}, "a", {"all_of": []}]
)
def test_nothing_else_is_a_trigger(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_python(wrong)


def test_an_unknown_word_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="expected one of completed, failed, ended, skipped, chosen"):
        adapter.validate_python({"done": "a"})


def test_leaves_are_counted_from_left_to_right() -> None:
    deep = adapter.validate_python(
        {
            "any_of": [
                {"all_of": [{"completed": "a"}, {"elapsed": 1}]},
                {"at_least": 1, "of": [{"chosen": "b", "branch": "x"}]},
            ]
        }
    )
    assert [said(leaf) for leaf in leaves(deep)] == ["completed(a)", "elapsed(0:00:01)", "chosen(b, 'x')"]
    assert steps_of(deep) == ("a", "b")
    assert steps_of(None) == ()
