"""What a newer release has written is refused, with the place that is not known, and never read in part."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.task import INTERPRETER
from tasker_temporal.core.template import Template, read_template
from tasker_temporal.errors import NewerRelease
from tests.core.driving import started, step

NEXT = INTERPRETER + 1


@pytest.mark.parametrize(
    ("newer", "why"),
    [
        ({"interpreter": NEXT}, f"its interpreter is {NEXT}, and {INTERPRETER} is the last known"),
        ({"colour": "red"}, "it has colour, which nobody here knows"),
        ({"steps": {"a": {"undone": 1, "state": "complete"}}}, "it has undone, which nobody here knows"),
        ({"tags": [], "steps": {"a": {"colour": 1}}}, "it has colour, tags, which nobody here knows"),
    ],
    ids=["interpreter", "task", "step", "both"],
)
def test_a_snapshot_that_says_more_than_is_known_is_not_restored(newer: dict[str, Any], why: str) -> None:
    drive = started(step("a"))
    plain = json.loads(json.dumps(snapshot(drive.task)))
    assert restore(plain, drive.context).id == drive.task.id
    with pytest.raises(NewerRelease) as caught:
        restore({**plain, **newer}, drive.context)
    said = f"the task's snapshot was written by a newer release of tasker_temporal: {why}; upgrade what reads it"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("newer", "why"),
    [
        ({"mode": "random"}, "its mode is 'random': expected 'concurrent', 'sequential_only' or 'high_priority'"),
        ({"limits": {"in_flite": 1}}, "its limits has no option 'in_flite'; did you mean 'in_flight'?"),
        ({"steps": [{"name": "a"}, {}]}, "its steps[1] lacks the option 'name'"),
        (
            {"steps": [{"name": "a", "on": {"completed": "b", "colour": 1}}]},
            "its steps[0].on.completed has no option 'colour': expected one of completed",
        ),
        ({"steps": [{"name": "a", "config": {1: 2}}]}, "its steps[0].config has the key 1: expected a text"),
        ({1: 2}, "it has the key 1: expected a text"),
    ],
    ids=["mode", "limits", "step", "trigger", "config", "key"],
)
def test_a_template_that_says_more_than_is_known_is_told_with_the_place(newer: dict[Any, Any], why: str) -> None:
    plain = {"name": "tests.flow"}
    assert read_template(plain) == Template(name="tests.flow")
    with pytest.raises(NewerRelease) as caught:
        read_template({**plain, **newer})
    said = f"the task's template was written by a newer release of tasker_temporal: {why}; upgrade what reads it"
    assert str(caught.value) == said


def test_a_template_that_is_no_mapping_is_not_read() -> None:
    wrong: Any = 3
    with pytest.raises(NewerRelease, match=r": it is 3: expected Template\(\.\.\.\); upgrade"):
        read_template(wrong)
