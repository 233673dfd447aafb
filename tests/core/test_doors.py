"""The doors by which people step in: where each is open, and that it is taken whole or refused whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.doors import (
    OF_TASK,
    REQUESTS,
    STEP_LEGAL,
    STEP_STATES,
    TASK_LEGAL,
    begun,
    held,
    paused,
    refused,
    taken,
)
from tests.core.driving import Drive, dump, restored


@pytest.mark.parametrize("name", OF_TASK)
@pytest.mark.parametrize("state", TASK_LEGAL)
def test_each_request_about_a_task_is_legal_in_its_states_and_refused_in_all_others(state: str, name: str) -> None:
    make, legal = TASK_LEGAL[state]
    drive = make()
    if name in legal:
        taken(drive, REQUESTS[name])
    else:
        assert set(refused(drive, REQUESTS[name]).legal) == legal


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in OF_TASK])
@pytest.mark.parametrize("state", STEP_STATES)
@pytest.mark.parametrize("task", ["in_progress", "paused"])
def test_each_request_about_a_step_is_legal_in_its_states_and_refused_in_all_others(
    task: str, state: str, name: str
) -> None:
    drive = begun(state) if task == "in_progress" else paused(state)
    if name in STEP_LEGAL[state]:
        taken(drive, REQUESTS[name])
    else:
        error = refused(drive, REQUESTS[name])
        assert set(error.legal) == STEP_LEGAL[state]
        assert error.rule.startswith(f"step 'a' is {drive.states['a']}: {name!r} is legal for one that is ")


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in OF_TASK])
@pytest.mark.parametrize("state", TASK_LEGAL)
def test_a_step_takes_requests_exactly_while_its_task_is_open(state: str, name: str) -> None:
    make, _ = TASK_LEGAL[state]
    drive = make()
    closed = {"not begun", "being cancelled", "error", "complete", "cancelled", "resolved_manually"}
    if state in closed:
        assert refused(drive, REQUESTS[name]).legal == ()
    elif name in STEP_LEGAL[drive.states["a"]]:
        taken(drive, REQUESTS[name])
    else:
        refused(drive, REQUESTS[name])


@pytest.mark.parametrize("name", [name for name in REQUESTS if name not in OF_TASK])
def test_a_step_that_does_not_exist_is_named(name: str) -> None:
    request = REQUESTS[name].model_copy(update={"step": "z"})
    assert refused(begun("pending"), request).rule == "there is no step 'z'; there are gate, a, other"


def test_a_refusal_says_in_which_states_a_request_is_legal() -> None:
    assert refused(begun("pending"), REQUESTS["retry_from"]).rule == (
        "step 'a' is pending: 'retry_from' is legal for one that is complete or resolved_manually or skipped"
    )
    assert refused(held(), REQUESTS["pause"]).rule == "the task is error: 'pause' is legal for one that is in_progress"


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_id_twice_has_one_effect_and_one_answer(name: str) -> None:
    makers: dict[str, Callable[[], Drive]] = {"resume": paused, "retry": held, "resolve": held}
    drive = makers.get(name, lambda: begun("complete" if name == "retry_from" else "error"))()
    request = REQUESTS[name].model_copy(update={"request_id": "one"})
    drive.tell(request)
    before, answer = dump(drive.task), drive.engine.answer(request)
    assert answer is not None
    assert drive.tell(request) == []
    assert (dump(drive.task), drive.engine.answer(request)) == (before, answer)
    assert restored(drive.task).answers["one"] == answer


@pytest.mark.parametrize("name", REQUESTS)
def test_the_same_id_for_another_request_is_refused_also_in_a_later_run(name: str) -> None:
    drive = begun("error")
    drive.tell(REQUESTS["change_step"].model_copy(update={"request_id": "one", "attempts": 77}))
    for later in (drive, drive.restored()):
        error = refused(later, REQUESTS[name].model_copy(update={"request_id": "one"}))
        assert error.rule.startswith("request id 'one' was already used for change_step of step 'a'")
