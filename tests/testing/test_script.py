"""Which outcome an execution has."""

from __future__ import annotations

import pytest

from tasker_temporal.errors import ScriptError
from tasker_temporal.testing import Fail, Hang, NoHandler, Ok, Outcome
from tasker_temporal.testing.script import outcome_of


def test_the_last_outcome_is_repeated_if_it_is_ok() -> None:
    script: dict[str, list[Outcome]] = {"a": [Fail(), Ok(1), Ok(2)]}
    assert [outcome_of(script, "a", n) for n in range(1, 6)] == [Fail(), Ok(1), Ok(2), Ok(2), Ok(2)]


@pytest.mark.parametrize("last", [Fail(), Hang(), NoHandler()])
def test_no_other_outcome_is_repeated(last: Outcome) -> None:
    with pytest.raises(ScriptError, match="step 'a': its execution 3 has no outcome, the script has 2"):
        outcome_of({"a": [Ok(), last]}, "a", 3)


def test_an_empty_script_has_no_outcome() -> None:
    with pytest.raises(ScriptError, match="step 'a': its execution 1"):
        outcome_of({"a": []}, "a", 1)


@pytest.mark.parametrize(
    ("fail", "kind"),
    [(Fail(), "RetryableError"), (Fail(permanent=True), "PermanentError"), (Fail(type="Busy", permanent=True), "Busy")],
)
def test_a_failure_without_a_type_is_named_for_whether_it_can_be_retried(fail: Fail, kind: str) -> None:
    assert fail.kind == kind
