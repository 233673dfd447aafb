"""A run whose workflow task is done again is asked again, and one whose task fails by itself is not for ever."""

from __future__ import annotations

import pytest
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal import readiness
from tasker_temporal.readiness import once_ready

NOT_READY = RPCError("Workflow Task in failed state", RPCStatusCode.FAILED_PRECONDITION, b"")


class Run:
    """Answers after that many errors."""

    def __init__(self, *errors: RPCError) -> None:
        self.errors, self.asked = list(errors), 0

    async def ask(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "here"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "EVERY", 0)


async def test_what_is_done_again_is_asked_again() -> None:
    run = Run(NOT_READY, NOT_READY)
    assert await once_ready(run.ask) == "here"
    assert run.asked == 3


async def test_what_fails_again_and_again_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "READY_WITHIN", -1)
    run = Run(NOT_READY)
    with pytest.raises(RPCError, match="in failed state"):
        await once_ready(run.ask)
    assert run.asked == 1


async def test_any_other_error_is_told_at_once() -> None:
    run = Run(RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b""))
    with pytest.raises(RPCError, match="not found"):
        await once_ready(run.ask)
    assert run.asked == 1
