"""The bound on the worker's CPU time: broken by a loss, and never by chance."""

from __future__ import annotations

from math import inf
from random import Random

import pytest

from benchmarks.gate import FEWEST, Interval, Race
from benchmarks.shapes import SHAPES


def race(*ratios: float) -> Race:
    return Race(SHAPES["linear-5"], "unsandboxed", list(ratios))


def test_few_rounds_say_nothing() -> None:
    assert Interval.of([2.0] * (FEWEST - 1)) == (0.0, inf)
    assert not race(*[2.0] * (FEWEST - 1)).is_lost
    assert not race(*[0.5] * (FEWEST - 1)).is_over
    assert str(race(*[2.0] * (FEWEST - 1))).endswith("not judged, too few rounds")


@pytest.mark.parametrize(
    ("count", "low", "high"), [(8, 1, 8), (11, 1, 11), (12, 2, 11), (20, 4, 17)], ids=lambda value: str(value)
)
def test_an_interval_leaves_out_what_chance_may_bring(count: int, low: int, high: int) -> None:
    """The tables of the sign test say so: 99 % for the median of so many values."""
    values = list(range(1, count + 1))
    Random(1).shuffle(values)
    assert Interval.of(values) == (low, high)


def test_a_loss_in_every_round_breaks_the_bound() -> None:
    assert race(*[1.2] * FEWEST).is_lost


def test_one_round_within_the_bound_keeps_it_while_there_are_few() -> None:
    assert not race(1.0, *[1.2] * (FEWEST - 1)).is_lost


def test_a_loss_in_nearly_every_round_breaks_the_bound_if_there_are_many() -> None:
    assert race(1.0, *[1.2] * 11).is_lost
    assert not race(1.0, 1.0, 1.0, *[1.2] * 11).is_lost


def test_a_race_is_over_once_nothing_speaks_against_the_library() -> None:
    assert race(*[1.0] * FEWEST).is_over
    assert not race(1.2, *[1.0] * (FEWEST - 1)).is_over
    assert race(1.2, *[1.0] * 11).is_over


def test_a_verdict_names_the_shape_the_interval_and_the_bound() -> None:
    said = str(race(*[1.0, 1.2] * 4))
    assert said == (
        "linear-5: x1.10 of by hand, no sandbox (with 99 % certainty 1.00 to 1.20, 8 rounds), at most 1.1: kept"
    )
