"""The two tables: what they list happens and is said, and nothing else does."""

from __future__ import annotations

from itertools import product

import pytest

from tasker_temporal.core.machine import DONE, ENDS, OPEN, OVER, STEP_TABLE, TASK_TABLE, State, Table
from tasker_temporal.core.messages import AUTOMATIC, Content, Failure, Message, Refused, TransitionTo
from tasker_temporal.core.moves import IllegalMove
from tasker_temporal.core.task_types import CRITICAL
from tests.core.driving import Drive, dump, step, template

STATES: list[State | None] = [None, *State]
PAIRS = list(product(STATES, State))


def wishing(wish: Message) -> Drive:
    """A task of one step, of which nothing is said yet. `Refused` makes the wish, from which nothing follows."""
    table = {"workflow.request_refused": [lambda event, task: iter([wish])]}
    return Drive(template(step("a")), subscriptions=table)


def standing(drive: Drive, task: State | None, of_step: State | None) -> Drive:
    """Put the task and its step by hand where the test wants them."""
    drive.task.state, a = task, drive.task.steps["a"]
    a.state, a.viable = of_step, of_step is State.PENDING
    a.failure = Failure("Boom", "it broke")
    if of_step is not None:
        drive.task.counts[of_step] += 1
    if a.viable:
        drive.task.viable.append("a")
    return drive


def task_standing(state: State | None, to: State) -> Drive:
    return standing(wishing(TransitionTo(None, to)), state, State.COMPLETE)


def step_standing(state: State | None, to: State) -> Drive:
    wish = TransitionTo("a", to, result=Content(b"1"), failure=Failure("Boom", "it broke"))
    return standing(wishing(wish), State.IN_PROGRESS, state)


@pytest.mark.parametrize(("state", "to"), TASK_TABLE)
def test_every_move_of_a_task_that_the_table_has_happens_and_publishes_its_event(
    state: State | None, to: State
) -> None:
    drive = task_standing(state, to)
    drive.tell(Refused("go"))
    row = drive.rows[-1]
    assert drive.task.state is to
    assert (row.kind, row.entity, row.from_state, row.to_state) == ("transition", "task", state, to)
    assert row.event == drive.said[-1] == TASK_TABLE[state, to]
    assert (drive.events[-1].payload.model_dump(include={"from_state", "to_state"})) == {
        "from_state": state,
        "to_state": to,
    }


@pytest.mark.parametrize(("state", "to"), STEP_TABLE)
def test_every_move_of_a_step_that_the_table_has_happens_and_publishes_its_event(
    state: State | None, to: State
) -> None:
    drive = step_standing(state, to)
    drive.tell(Refused("go"))
    row = drive.rows[-1]
    assert drive.task.steps["a"].state is to
    assert (row.kind, row.entity, row.from_state, row.to_state) == ("transition", "step:a", state, to)
    assert row.event == drive.said[-1] == STEP_TABLE[state, to]
    assert drive.task.counts == {known: int(known is to) for known in State}


@pytest.mark.parametrize(("state", "to"), [pair for pair in PAIRS if pair not in TASK_TABLE])
def test_any_other_move_of_a_task_is_illegal_and_changes_nothing(state: State | None, to: State) -> None:
    drive = task_standing(state, to)
    before = dump(drive.task)
    with pytest.raises(IllegalMove, match="the task cannot go from"):
        drive.tell(Refused("go"))
    assert dump(drive.task) == before
    assert drive.events == []


@pytest.mark.parametrize(("state", "to"), [pair for pair in PAIRS if pair not in STEP_TABLE])
def test_any_other_move_of_a_step_is_illegal_and_changes_nothing(state: State | None, to: State) -> None:
    drive = step_standing(state, to)
    before = dump(drive.task)
    with pytest.raises(IllegalMove, match="step:a cannot go from"):
        drive.tell(Refused("go"))
    assert dump(drive.task) == before
    assert drive.events == []


def test_a_task_is_not_complete_before_its_steps_are_over() -> None:
    drive = standing(wishing(TransitionTo(None, State.COMPLETE)), State.IN_PROGRESS, State.ERROR)
    with pytest.raises(IllegalMove, match="from in_progress to complete"):
        drive.tell(Refused("go"))


@pytest.mark.parametrize("task", [None, *sorted(set(State) - {State.IN_PROGRESS})])
def test_no_step_starts_while_its_task_is_not_in_progress(task: State | None) -> None:
    drive = standing(wishing(TransitionTo("a", State.IN_PROGRESS)), task, State.PENDING)
    with pytest.raises(IllegalMove):
        drive.tell(Refused("go"))


def test_no_step_starts_that_is_not_viable() -> None:
    drive = standing(wishing(TransitionTo("a", State.IN_PROGRESS)), State.IN_PROGRESS, State.PENDING)
    drive.task.steps["a"].viable = False
    with pytest.raises(IllegalMove):
        drive.tell(Refused("go"))


def test_what_nobody_asked_for_is_signed_by_the_library() -> None:
    drive = task_standing(State.PENDING, State.IN_PROGRESS)
    drive.tell(Refused("go"))
    assert drive.rows[-1].actor == AUTOMATIC == "tasker"


def targets(table: Table, state: State | None) -> set[State | str]:
    return {to for source, to in table if source == state}


def test_a_complete_task_goes_nowhere_and_a_running_step_ends() -> None:
    assert targets(STEP_TABLE, State.IN_PROGRESS) == {State.COMPLETE, State.ERROR, State.CANCELLED, State.SKIPPED}
    assert targets(TASK_TABLE, None) == {State.PENDING}
    assert targets(TASK_TABLE, State.COMPLETE) == set()


def test_the_words_of_the_states_are_those_of_the_design_document() -> None:
    assert [str(state) for state in State] == [
        "pending",
        "in_progress",
        "complete",
        "error",
        "cancelled",
        "resolved_manually",
        "skipped",
        "paused",
        "pending_approval",
    ]


def test_a_task_is_open_exactly_while_it_can_still_end_or_is_in_error_and_can_be_put_right() -> None:
    ends = {State.COMPLETE, State.ERROR, State.CANCELLED}
    table = TASK_TABLE | CRITICAL.table
    assert {state for state in State if ends & targets(table, state)} == OPEN | {State.ERROR}
    assert set(State) - ENDS - {State.SKIPPED} == OPEN


def test_done_is_over_without_having_been_cancelled() -> None:
    assert DONE | {State.CANCELLED} == OVER
    assert State.CANCELLED not in DONE
    assert State.ERROR not in OVER
