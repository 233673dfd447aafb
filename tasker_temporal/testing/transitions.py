"""Compares what happened with what should have."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from tasker_temporal.core.machine import State
from tasker_temporal.core.rows import Row

Transition = tuple[str, State | str | None, State | str]
"""An entity, `task` or `step:NAME`, the state that it left (None: it was new), and the one that it entered."""


def assert_transitions(rows: Iterable[Row], expected: Sequence[Transition], *, only: str | None = None) -> None:
    """Check that the rows have these transitions, in this order, and no others.

        assert_transitions(run.audit, [("step:charge", "pending", "in_progress"), ...], only="step:charge")

    Args:
        only: The entity whose transitions are compared; all unless said.

    Raises:
        AssertionError: they differ; the message shows where.
    """
    moves = [row for row in rows if row.kind == "transition" and only in (None, row.entity)]
    found = [_line(row.entity, row.from_state, row.to_state or "") for row in moves]
    wanted = [_line(*transition) for transition in expected]
    if found != wanted:
        diff = "\n".join(line for line in difflib.ndiff(wanted, found) if not line.startswith("?"))
        raise AssertionError(f"the transitions differ (- expected, + found):\n{diff}")


def _line(entity: str, old: State | str | None, new: State | str) -> str:
    return f"{entity}: {'new' if old is None else str(old)} -> {new!s}"
