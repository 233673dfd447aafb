"""`tasker graph` draws the machine of a type that somebody declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasker_temporal.cli.drawing import draw
from tasker_temporal.cli.options import Connection

OWN_TYPE = """\
name: stall.large
type:
  name: large
  states: [checking]
  rows:
    - {source: in_progress, to: checking, when: context.total > 5}
    - {source: in_progress, to: complete}
    - {source: checking, to: complete, by: request}
"""


async def test_the_states_of_a_declared_type_are_drawn_with_its_guards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(OWN_TYPE)
    assert await draw(str(own), None, None, None, Connection(), type_alone=True) == 0
    drawn = capsys.readouterr().out
    assert drawn.startswith("The states of a large task")
    assert "checking           <- in_progress (task.moved if context.total > 5)" in drawn
    assert "checking (task.completed on request)" in drawn
