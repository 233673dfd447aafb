from __future__ import annotations

from itertools import combinations

import pytest

from tasker_temporal.core.machine import State
from tasker_temporal.graph import Node
from tasker_temporal.graph.labels import columns, cut, lines, plain
from tasker_temporal.graph.palette import LOOKS, Look, painted


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


class TestLooks:
    def test_every_state_has_one(self) -> None:
        assert set(LOOKS) == set(State)

    def test_no_two_states_share_a_sign_or_a_colour(self) -> None:
        for one, other in combinations(LOOKS.values(), 2):
            assert one.sign != other.sign
            assert one.colour != other.colour

    @pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
    def test_text_is_readable_in_light_and_in_dark(self, look: Look) -> None:
        assert contrast(look.pale, "#1f2328") > 7
        assert contrast(look.deep, "#e6edf3") > 7

    def test_a_painted_text_ends_its_colour(self) -> None:
        assert painted("x", State.ERROR) == "\x1b[31mx\x1b[0m"


class TestLabels:
    def test_a_state_is_not_said_twice(self) -> None:
        assert lines(Node("error", "error", State.ERROR)) == ["✗ error"]
        assert lines(Node("error", "error", State.ERROR), signs=False) == ["error"]

    def test_a_note_is_folded_at_its_commas(self) -> None:
        assert lines(Node("a", "a", None, "one, two, three"), limit=8) == ["a", "one, two", "three"]

    def test_what_cannot_be_folded_is_cut(self) -> None:
        assert lines(Node("a", "a" * 9, None, "one, " + "b" * 9), limit=8) == ["aaaaa...", "one", "bbbbb..."]

    @pytest.mark.parametrize(
        ("text", "shown"),
        [("a b", "a b"), ("a\nb", "a\\nb"), ("\x1b[0m", "\\x1b[0m"), ("\u202e", "\\u202e"), ("\ud800", "\\ud800")],
    )
    def test_only_what_is_printed_as_itself_is_shown_as_itself(self, text: str, shown: str) -> None:
        assert plain(text) == shown

    @pytest.mark.parametrize(("text", "count"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("ü", 1)])
    def test_columns_are_those_of_a_terminal(self, text: str, count: int) -> None:
        assert columns(text) == count

    def test_a_cut_text_is_not_too_wide(self) -> None:
        assert cut("日本語日本語", 9) == "日本語..."
