"""The colours and signs of the states, the same in every format.

The hues are those of Okabe and Ito, and a violet, which people with any kind of colour blindness tell apart. No colour
stands alone: the state's sign and word are always beside it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tasker_temporal.core.machine import State


class Look(NamedTuple):
    """How a state looks: `colour` is `#rrggbb`, `ansi` the number of a terminal's foreground colour."""

    sign: str
    colour: str
    ansi: int

    @property
    def pale(self) -> str:
        """The ground under dark text."""
        return _mixed(self.colour, 255, 80)

    @property
    def deep(self) -> str:
        """The ground under light text."""
        return _mixed(self.colour, 0, 66)


def _mixed(colour: str, other: int, percent: int) -> str:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{(part * (100 - percent) + other * percent) // 100:02x}" for part in parts)


LOOKS: Final[dict[State, Look]] = {
    State.PENDING: Look("○", "#7f7f7f", 90),
    State.IN_PROGRESS: Look("▶", "#0072b2", 94),
    State.COMPLETE: Look("✓", "#009e73", 32),
    State.ERROR: Look("✗", "#d55e00", 31),
    State.CANCELLED: Look("⊘", "#cc79a7", 35),
    State.RESOLVED_MANUALLY: Look("✎", "#56b4e9", 36),
    State.SKIPPED: Look("»", "#e69f00", 33),
    State.PAUSED: Look("‖", "#f0e442", 93),
    State.PENDING_APPROVAL: Look("?", "#9467bd", 95),
}


def painted(text: str, state: State) -> str:
    """The text in the state's colour, for a terminal."""
    return f"\x1b[{LOOKS[state].ansi}m{text}\x1b[0m"
