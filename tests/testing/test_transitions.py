"""What the comparison of transitions passes, and what it shows when they differ."""

from __future__ import annotations

import pytest

from tasker_temporal import Row, State
from tasker_temporal.core.rows import Kind
from tasker_temporal.testing import assert_transitions


def row(entity: str, old: str | None, new: str | None, kind: Kind = "transition") -> Row:
    return Row(1, kind, entity, old, new, "event", "tasker", "", None, {}, "2026-01-01T00:00:00+00:00")


ROWS = [
    row("task", None, "pending"),
    row("step:a", None, "pending"),
    row("step:a", None, None, "noted"),
    row("step:a", "pending", "in_progress"),
]


def test_equal_transitions_pass_whether_states_are_names_or_members() -> None:
    names = [("task", None, "pending"), ("step:a", None, "pending"), ("step:a", "pending", "in_progress")]
    assert_transitions(ROWS, names)
    members = [("step:a", None, State.PENDING), ("step:a", State.PENDING, State.IN_PROGRESS)]
    assert_transitions(ROWS, members, only="step:a")


@pytest.mark.parametrize(
    "expected",
    [
        [],
        [("task", None, "pending")],
        [("step:a", None, "pending"), ("step:a", "pending", "complete")],
        [("step:a", "pending", "in_progress"), ("step:a", None, "pending")],
        [("step:a", None, "pending"), ("step:a", "pending", "in_progress"), ("step:a", "in_progress", "complete")],
    ],
)
def test_fewer_other_reordered_or_more_transitions_fail(expected: list[tuple[str, str | None, str]]) -> None:
    with pytest.raises(AssertionError):
        assert_transitions(ROWS, expected, only="step:a")


def test_the_difference_is_shown_line_by_line() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_transitions(ROWS, [("step:a", None, "pending"), ("step:a", "pending", "skipped")], only="step:a")
    assert str(failed.value).splitlines() == [
        "the transitions differ (- expected, + found):",
        "  step:a: new -> pending",
        "- step:a: pending -> skipped",
        "+ step:a: pending -> in_progress",
    ]
