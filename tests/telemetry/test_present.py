"""What a run sees is told by the workflow task that takes it, and by no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasker_temporal.telemetry.present import Glance, Memory, Present

FIRST = [
    (Glance(False, 3, 100), True),
    (Glance(False, 9, 200), True),
    (Glance(False, 9, 200), True),
]
"""A run that stays in the cache; two events in its second task."""

AGAIN = [
    (Glance(True, 3, 100), False),
    (Glance(True, 9, 200), False),
    (Glance(False, 14, 300), True),
]
"""One that was played again, up to its third task."""

QUERIED = [
    (Glance(True, 3, 100), False),
    (Glance(True, 9, 200), False),
    (Glance(False, 13, 200), False),
    (Glance(False, 13, 200), False),
]
"""One that was played for a query, with events that no task has taken: the clock stands still."""

LOCAL = [
    (Glance(False, 3, 100), True),
    (Glance(False, 3, 150), True),
]
"""A local activity came back within one task."""


@pytest.mark.parametrize("seen", [FIRST, AGAIN, QUERIED, LOCAL], ids=["first", "again", "queried", "local"])
def test_only_what_a_workflow_task_takes_is_now(seen: list[tuple[Glance, bool]]) -> None:
    glances: Iterator[Glance] = (glance for glance, _ in seen)
    present = Present("run", Memory(), lambda: next(glances))
    assert [present.is_now() for _ in seen] == [expected for _, expected in seen]


def test_a_workflow_task_that_is_done_again_tells_only_what_is_new_in_any_order() -> None:
    memory = Memory()
    first, again = (Present("run", memory, lambda: Glance(False, 9, 200)) for _ in range(2))
    assert [first.tells("failed", "a"), first.tells("failed", "b"), first.tells("failed", "a")] == [True] * 3
    told = {fact: again.tells(*fact) for fact in [("fired",), ("failed", "b"), ("failed", "a")]}
    assert told == {("fired",): True, ("failed", "b"): False, ("failed", "a"): False}
    assert not again.tells("failed", "a")
    assert again.tells("failed", "a"), "the third of its kind is new"


def test_a_replay_tells_nothing_and_loses_nothing_of_what_follows() -> None:
    memory = Memory()
    first = Present("run", memory, lambda: Glance(False, 3, 100))
    assert first.tells("failed", "a")
    glances = iter([Glance(True, 3, 100), Glance(False, 9, 200)])
    later = Present("run", memory, lambda: next(glances))
    assert [later.tells("failed", "a") for _ in range(2)] == [False, True]


def test_what_the_server_took_is_forgotten() -> None:
    memory, glances = Memory(), iter([Glance(False, 3, 100), Glance(False, 9, 200)])
    present = Present("run", memory, lambda: next(glances))
    assert [present.tells("failed", name) for name in "ab"] == [True, True]
    assert memory.takes("run", ("failed", "a", 1))
    assert not memory.takes("run", ("failed", "b", 1))


def test_memory_does_not_grow_without_end() -> None:
    memory = Memory(limit=2)
    assert all(memory.takes(run, ("failed",)) for run in ("a", "b", "c"))
    assert not memory.takes("b", ("failed",))
    assert memory.takes("a", ("failed",)), "it is told twice rather than remembered for ever"
