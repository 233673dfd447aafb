"""Triggers, decisions and events that do not fit together are told when the template is built."""

from __future__ import annotations

from typing import Any

import pytest

from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.template import Argument, Template
from tests.core.driving import step

FAILURE, PAYLOAD = Argument(name="why", step="a", part="failure"), Argument(name="paid", event="paid")


def told(*steps: Any, **options: Any) -> list[str]:
    return unsound(Template.model_validate({"name": "tests.flow", "steps": [step("a"), *steps], **options}))


def asking(on: Any, *arguments: Argument, **options: Any) -> dict[str, Any]:
    return {"name": "t", "on": on, "arguments": arguments, **options}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (told(events=[{"name": "paid"}, {"name": "bank.paid"}]), None),
        (told(events=[{"name": "n" * 201}]), f"event '{'n' * 201}': expected a name of at most 200 characters"),
        (
            told(events=[{"name": "transition"}]),
            "event 'transition': a signal of that name is not the event: expected another name",
        ),
        (
            told(events=[{"name": "__temporal_x"}]),
            "event '__temporal_x': a signal of that name is not the event: expected another name",
        ),
        (told(events=[{"name": "a b"}]), "event 'a b': expected dotted identifiers as its name"),
        (told(events=[{"name": "x"}, {"name": "x"}]), "event 'x' is declared twice: expected one event of each name"),
        (told(mode="sequential_only", max_concurrency=1), None),
        (
            told(mode="sequential_only", max_concurrency=2),
            "its max_concurrency 2: sequential_only runs one step at a time",
        ),
        (told(asking({"received": "paid"}), events=[{"name": "paid"}]), None),
        (
            told(asking({"received": "paid"})),
            "step 't': it waits for the event 'paid', which is not declared: expected it among the template's events",
        ),
        (
            told(asking({"any_of": [{"chosen": "a", "branch": "x"}]})),
            "step 't': step 'a' has no branch 'x', as it is no decision: expected one with branches",
        ),
        (told(step("d", branches=("x",)), asking({"chosen": "d", "branch": "x"})), None),
        (
            told(step("d", branches=("x", "y")), asking({"chosen": "d", "branch": "z"})),
            "step 't': step 'd' has no branch 'z': expected one of ['x', 'y']",
        ),
        (
            told(asking({"all_of": [{"at_least": 2, "of": [{"ended": "a"}]}]})),
            "step 't': its trigger asks for at least 2 of 1: it could never be true",
        ),
        (told(asking({"failed": "a"}, FAILURE)), None),
        (
            told(asking({"completed": "a"}, FAILURE)),
            "step 't': its parameter 'why': it takes the failure of a step that its trigger does not name: "
            "expected on=failed('a')",
        ),
        (
            told(asking(None, PAYLOAD)),
            "step 't': its parameter 'paid': it takes an event that its trigger does not name: "
            "expected on=received('paid')",
        ),
        (
            told(asking({"ended": "a"}, awaits="event")),
            "step 't': it waits for an event: expected received(event) and nothing else",
        ),
        (told(step("d", branches=("x", "x"))), "step 'd': its branches ['x', 'x']: expected each once"),
        (told(step("d", branches=("x", " "))), "step 'd': its branches ['x', ' ']: expected none of them blank"),
    ],
)
def test_what_does_not_fit_is_told_with_its_step(found: list[str], said: str | None) -> None:
    assert found == ([] if said is None else [said])
