"""Tables show what people and handlers wrote as it is, whatever it is."""

from __future__ import annotations

import pytest

from tasker_temporal.cli.screen import Screen
from tasker_temporal.cli.tables import audit_table, step_table
from tasker_temporal.core.machine import State
from tasker_temporal.core.report import ErrorReport, StepReport
from tasker_temporal.core.rows import Row
from tests.graph.kit import diamond, report

ODD = "see [/etc/x] and [bold] :smile: \x1b[31mred\nnext"
SHOWN = "see [/etc/x] and [bold] :smile: \\x1b[31mred\\nnext"


def test_an_audit_is_shown_with_any_reason(capsys: pytest.CaptureFixture[str]) -> None:
    row = Row(1, "noted", "task", None, None, "task.x", "[link=x]ann", ODD, None, {}, "2026-01-01T00:00:00+00:00", "")
    Screen(highlight=False, width=1000).show(audit_table([row]))
    assert f"[link=x]ann: {SHOWN}" in capsys.readouterr().out


def test_steps_are_shown_with_any_error(capsys: pytest.CaptureFixture[str]) -> None:
    failed = StepReport(state=State.ERROR, attempt=1, last_error=ErrorReport(type="OSError", message=ODD))
    Screen(highlight=False, width=1000).show(step_table(report(diamond(), {"charge": failed})))
    assert f"OSError: {SHOWN}" in capsys.readouterr().out
