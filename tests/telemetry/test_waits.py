"""What counts as a wait of a task."""

from __future__ import annotations

import pytest

from tasker_temporal.telemetry.waits import TASK, Waits
from tests.core.driving import ONCE, Drive, step, template


@pytest.mark.parametrize(("on_error", "begun"), [("hold", "hold"), ("fail", None)])
def test_a_task_in_error_waits_only_if_it_is_held(on_error: str, begun: str | None) -> None:
    drive = Drive(template(step("a", retry=ONCE), on_error=on_error))
    drive.start()
    drive.fail("a")
    [failed] = [event for event in drive.events if event.name == "task.failed"]
    waits = Waits({})
    assert waits.hear(failed, drive.task) == (None, begun)
    assert waits.known.keys() == ({TASK} if begun else set())
