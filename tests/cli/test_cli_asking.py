"""What a verb is given becomes a request, or is refused before anything is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tasker_temporal.cli.asking import read
from tasker_temporal.cli.process import WrongUse


def given(**more: Any) -> dict[str, Any]:
    return {"actor": None, "reason": "r", "request_id": None, "plan": False, **more}


def test_who_asks_and_the_id_are_drawn_if_they_are_not_said() -> None:
    fields = read("retry", given(), as_json=False).fields
    assert "@" in fields["actor"]
    assert len(fields["request_id"]) == 36


@pytest.mark.parametrize("wrong", [{"actor": ""}, {"actor": " "}, {"reason": ""}, {"reason": " "}, {"request_id": ""}])
def test_what_is_said_and_blank_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(WrongUse, match=next(iter(wrong))):
        read("retry", given(**wrong), as_json=False)
