"""Requests: applied whole or refused whole, with the rule and what is legal; answered once for each id."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tasker_temporal.core.contents import handed_over
from tasker_temporal.core.intake.legality import legal_requests
from tasker_temporal.core.messages import Content, Refused, StopStep
from tasker_temporal.core.requests import (
    ACTOR_LIMIT,
    ID_LIMIT,
    REASON_LIMIT,
    CancelTask,
    ChangeStep,
    Request,
    SkipStep,
    clipped,
)
from tasker_temporal.core.template import changed
from tasker_temporal.errors import RequestRefused
from tests.core.doors import refused
from tests.core.driving import ONCE, STEADY, Drive, approval, dump, limits, seconds, started, step, template


def skip(name: str) -> SkipStep:
    return SkipStep(step=name, actor="ann", reason="not needed")


CANCEL = CancelTask(actor="ann", reason="wrong order")


# Skip.


def test_a_pending_step_can_be_skipped_and_the_row_says_by_whom_and_why() -> None:
    drive = started(step("a"), step("b", "a"), step("c", "a"))
    drive.skip("b", actor="bob")
    row = drive.row("step.skipped", "b")
    assert (row.actor, row.reason, row.cause, row.from_state) == ("bob", "not needed", None, "pending")
    drive.succeed("a", "c")
    assert drive.closed == "complete"


def test_a_step_that_backs_off_can_be_skipped() -> None:
    drive = started(step("a", retry=STEADY))
    drive.fail("a")
    drive.skip("a")
    assert drive.path("a") == ["pending", "in_progress", "error", "skipped"]
    assert drive.closed == "complete"


def test_a_step_that_failed_for_good_can_be_skipped_while_others_run() -> None:
    drive = started(step("a", retry=ONCE), step("b"))
    drive.fail("a")
    drive.skip("a")
    drive.succeed("b")
    assert drive.closed == "complete"


def test_a_viable_step_that_waits_for_a_place_can_be_skipped() -> None:
    drive = started(step("a"), step("b"), step("c"), limits=limits(in_flight=1))
    drive.skip("b")
    drive.succeed("a")
    assert drive.states == {"a": "complete", "b": "skipped", "c": "in_progress"}


@pytest.mark.parametrize("state", ["in_progress", "complete", "skipped"])
def test_no_other_step_can_be_skipped(state: str) -> None:
    drive = started(step("a"), step("b"), step("c", "a"))
    if state == "complete":
        drive.succeed("a")
    elif state == "skipped":
        drive.fail("a")
        drive.skip("a")
    error = refused(drive, skip("a"))
    assert error.rule == f"step 'a' is {state}: 'skip' is legal for one that is pending or error"
    assert error.legal == (("complete_step",) if state == "in_progress" else ("retry_from", "change_step"))


def test_a_step_that_does_not_exist_cannot_be_skipped() -> None:
    assert refused(started(step("a"), step("b")), skip("z")).rule == "there is no step 'z'; there are a, b"
    empty = Drive(template())
    empty.start(problems=({"loc": (), "type": "missing", "msg": "Field required"},))
    assert refused(empty.reopened(), skip("z")).rule == "there is no step 'z'; there are none"


def test_a_task_that_is_over_takes_no_requests() -> None:
    drive = started(step("a"))
    drive.succeed("a")
    for request in (CANCEL, skip("a")):
        error = refused(drive, request)
        assert error.rule == "the task is complete: only an open task takes requests"
        assert str(error) == "the task is complete: only an open task takes requests (legal now: nothing)"


def test_a_task_that_has_not_begun_takes_no_requests() -> None:
    assert refused(Drive(template(step("a"))), CANCEL).legal == ()


def test_legal_requests_are_those_that_would_not_be_refused() -> None:
    drive = started(step("a"), step("b", "a"))
    assert legal_requests(drive.task) == ("cancel", "pause")
    assert legal_requests(drive.task, "a") == ("complete_step",)
    assert legal_requests(drive.task, "b") == ("skip", "resolve_step", "complete_step", "change_step")
    drive.cancel()
    assert legal_requests(drive.task, "b") == ()


# Cancel.


def test_with_nothing_running_a_cancelled_task_ends_at_once() -> None:
    drive = started(step("a", retry=STEADY), step("b", "a"))
    drive.fail("a")
    drive.cancel("bob", "too late")
    assert drive.closed == "cancelled"
    assert drive.states == {"a": "cancelled", "b": "cancelled"}
    asked, task = drive.row("task.cancel_requested"), drive.row("task.cancelled")
    assert (asked.kind, asked.actor, asked.reason, asked.cause) == ("noted", "bob", "too late", None)
    assert (task.actor, task.reason, task.cause) == ("bob", "too late", asked.sort_key)
    assert [drive.row("step.cancelled", name).cause for name in "ab"] == [asked.sort_key] * 2
    assert "grace" not in drive.timers


def test_what_runs_is_told_and_its_true_outcome_is_recorded() -> None:
    drive = started(step("a"), step("b"), step("c", "a"))
    commands = drive.cancel()
    assert commands[:2] == [StopStep("a", 1), StopStep("b", 1)]
    assert drive.timers["grace"].due == drive.now + seconds(30)
    assert drive.states == {"a": "in_progress", "b": "in_progress", "c": "cancelled"}
    drive.succeed("a")
    assert drive.state == "in_progress"
    drive.stop("b")
    assert drive.states == {"a": "complete", "b": "cancelled", "c": "cancelled"}
    assert drive.closed == "cancelled"
    assert drive.timers == {}
    asked = drive.row("task.cancel_requested").sort_key
    assert drive.row("step.cancelled", "b").cause == asked


def test_what_does_not_stop_within_the_grace_is_abandoned() -> None:
    drive = started(step("a"), step("b"), cancel_grace=seconds(5))
    asked = drive.cancel()
    assert asked
    drive.wait(5)
    assert drive.closed == "cancelled"
    assert drive.row("step.cancelled", "a").metadata == {"abandoned": True}
    assert drive.row("step.cancelled", "b").cause == drive.row("task.cancel_requested").sort_key
    drive.succeed("a")
    assert drive.rows[-1].event == "step.outcome_noted"


def test_a_failure_during_a_cancellation_is_not_tried_again() -> None:
    drive = started(step("a", retry=STEADY), step("b"))
    drive.cancel()
    drive.fail("a")
    assert drive.states["a"] == "error"
    assert drive.event("step.failed_permanently").because == "cancelling"
    drive.stop("b")
    assert drive.closed == "cancelled"


def test_a_missing_handler_is_not_waited_for_during_a_cancellation() -> None:
    drive = started(step("a"), step("b"))
    drive.cancel()
    drive.miss("a")
    assert drive.states["a"] == "cancelled"
    drive.wait(1)
    assert drive.ran() == ["a", "b"]


def test_a_step_that_waits_for_its_handler_is_cancelled_at_once() -> None:
    drive = started(step("a"))
    drive.miss("a")
    drive.cancel()
    assert drive.closed == "cancelled"
    assert drive.timers == {}


def test_a_cancelled_task_is_cancelled_even_if_all_its_steps_complete() -> None:
    drive = started(step("a"))
    drive.cancel()
    drive.succeed("a")
    assert drive.closed == "cancelled"


def test_a_task_that_was_cancelled_before_it_began_starts_nothing() -> None:
    drive = Drive(template(step("a"), step("b", "a")))
    drive.start(cancelled_by=("bob", "too late"))
    assert drive.path() == ["pending", "cancelled"]
    assert drive.states == {"a": "cancelled", "b": "cancelled"}
    assert (drive.ran(), drive.closed) == ([], "cancelled")
    asked = drive.row("task.cancel_requested")
    assert (asked.actor, asked.reason, asked.cause) == ("bob", "too late", 1)
    assert (drive.row("task.cancelled").actor, drive.row("task.cancelled").cause) == ("bob", asked.sort_key)


def test_a_second_cancellation_is_refused_and_names_who_asked_first() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.cancel("bob")
    assert refused(drive, CANCEL).rule == "the task is being cancelled, as 'bob' asked"
    assert refused(drive, skip("b")).rule == "the task is being cancelled, as 'bob' asked"


# Ids and answers.


def test_the_same_id_twice_has_one_effect_and_one_answer() -> None:
    drive = started(step("a"), step("b", "a"), step("c", "a"))
    drive.skip("b", request_id="one")
    before = dump(drive.task)
    answer = drive.task.answers["one"]
    assert answer[:2] == (7, 7)
    assert drive.skip("b", request_id="one") == []
    assert dump(drive.task) == before
    assert drive.engine.answer(asked("skip", step="b")) == answer


def asked(kind: str, **fields: Any) -> Any:
    """A request under the id `one`."""
    return REQUESTS.validate_python({"request": kind, "request_id": "one", "actor": "ann", "reason": "r", **fields})


REQUESTS: TypeAdapter[Any] = TypeAdapter(Request)


def test_somebody_else_may_ask_for_the_same_in_words_of_his_own() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.tell(asked("change_step", step="b", attempts=4))
    before = dump(drive.task)
    again = {"step": "b", "attempts": 4, "actor": "bob", "reason": "the same", "task_queue": None, "config": None}
    assert drive.tell(asked("change_step", **again)) == []
    assert dump(drive.task) == before


FIRST = asked("change_step", step="b", attempts=4, config={"one": 1, "two": [2]})


@pytest.mark.parametrize(
    ("another", "said"),
    [
        (asked("cancel"), "was"),
        (asked("skip", step="b"), "was"),
        (asked("change_step", step="c", attempts=4, config={"one": 1, "two": [2]}), "was"),
        (asked("change_step", step="b", attempts=5, config={"one": 1, "two": [2]}), "something else"),
        (asked("change_step", step="b", attempts=4, config={"one": 1, "two": [3]}), "something else"),
        (asked("change_step", step="b", attempts=4), "something else"),
    ],
)
def test_the_id_of_another_request_is_refused_and_names_that_request(another: Any, said: str) -> None:
    drive = started(step("a"), step("b", "a"), step("c", "a"))
    drive.tell(FIRST)
    else_ = ", which handed over something else" if said != "was" else ""
    rule = f"request id 'one' was already used for change_step of step 'b'{else_} (sort_key 7): use another id"
    assert refused(drive, another).rule == str(refused(drive, another)) == rule
    with pytest.raises(RequestRefused, match="use another id"):
        drive.engine.plan(another, drive.now)
    assert (drive.tell(FIRST), drive.engine.plan(FIRST, drive.now)) == ([], [])


def test_json_is_the_same_in_whatever_order_its_keys_come() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.tell(FIRST)
    assert drive.tell(asked("change_step", step="b", attempts=4, config={"two": [2], "one": 1})) == []


def test_what_a_worker_has_made_of_a_result_does_not_make_it_another_request() -> None:
    drive = started(step("a"))
    given = asked("complete_step", step="a", result={"cents": "12"})
    drive.tell(given.holding(result={"cents": 12}))
    assert drive.task.steps["a"].result == Content(b'{"cents":12}')
    assert drive.engine.answer(given) == drive.engine.answer(given.holding(result={"cents": 13}))
    assert drive.tell(given) == []


def test_a_task_that_is_over_says_of_an_id_what_it_was_used_for() -> None:
    drive = started(step("a"), step("b"))
    drive.fail("a")
    drive.skip("a", request_id="one")
    drive.succeed("b")
    assert drive.engine.answer(asked("skip", step="a")) is not None
    assert (
        "was already used for skip of step 'a'" in refused(drive, CANCEL.model_copy(update={"request_id": "one"})).rule
    )


def test_a_run_of_an_earlier_interpreter_answers_every_request_of_an_id_as_the_first() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.task.interpreter = 2
    drive.skip("b", request_id="one")
    assert drive.task.answers == {"one": (6, 6, "", "")}
    assert drive.cancel(request_id="one") == []
    later = drive.restored()
    assert later.cancel(request_id="one") == []
    assert later.task.interpreter > 2


def test_an_answer__spans_the_rows_that_followed() -> None:
    drive = started(step("a"), step("b", "a"), step("c", "b"))
    drive.skip("b", request_id="one")
    first, last = drive.task.answers["one"][:2]
    assert [(row.sort_key, row.entity) for row in drive.rows[first - 1 : last]] == [(7, "step:b"), (8, "step:c")]


def test_requests_without_an_id_are_not_remembered() -> None:
    drive = started(step("a"), step("b", "a"))
    drive.skip("b")
    assert drive.task.answers == {}
    assert drive.engine.answer(asked("skip", step="b")) is None


def test_a_refused_id_can_be_used_again() -> None:
    drive = started(step("a"), step("b"))
    refused(drive, SkipStep(step="a", actor="ann", reason="r", request_id="one"))
    drive.fail("a")
    drive.skip("a", request_id="one")
    assert drive.states["a"] == "skipped"


def test_only_the_last_thousand_answers_are_kept() -> None:
    names = [f"s{index}" for index in range(1002)]
    drive = started(step("gate"), *(step(name, after=["gate"]) for name in names))
    for name in names:
        drive.skip(name, request_id=name)
    assert len(drive.task.answers) == 1000
    assert [name in drive.task.answers for name in ("s0", "s1", "s2", "s1001")] == [False, False, True, True]


def test_a_request_is_read_by_the_word_in_it_and_refuses_what_nobody_knows() -> None:
    reader: TypeAdapter[Any] = TypeAdapter(Request)
    assert reader.validate_python({"request": "skip", "step": "a", "actor": "ann", "reason": "r"}) == SkipStep(
        step="a", actor="ann", reason="r"
    )
    for wrong in (
        {"request": "rewind"},
        {"request": "cancel", "actor": "", "reason": "r"},
        {"request": "cancel", "by": 1},
    ):
        with pytest.raises(ValidationError):
            reader.validate_python({"actor": "ann", "reason": "r", **wrong})


# Signals, where nobody can be answered.


def test_a_refusal_that_nobody_hears_is_a_row() -> None:
    drive = started(step("a"))
    drive.tell(Refused("the task is complete", "ann", "by signal"))
    row = drive.rows[-1]
    assert (row.kind, row.entity, row.event) == ("refused", "task", "workflow.request_refused")
    assert (row.actor, row.reason, row.metadata) == ("ann", "by signal", {"rule": "the task is complete"})


def test_a_refusal_can_be_about_a_step_and_can_say_what_was_sent() -> None:
    drive = started(step("a"))
    drive.tell(Refused("no such signal", entity="step:a", name="rewind"))
    assert drive.rows[-1].step == "a"
    assert drive.rows[-1].actor == "tasker"
    assert drive.rows[-1].metadata == {"name": "rewind", "rule": "no such signal"}


def test_a_refusal_that_nobody_hears_repeats_no_megabytes_and_no_control_characters() -> None:
    long = Refused("there is no step " + "s" * 1_000_000 + "\x1b", "ann", "r", name="\x1b[2J" + "n" * 1000)
    drive = started(step("a"))
    drive.tell(long)
    said = drive.rows[-1].metadata
    assert [len(said[name]) for name in ("rule", "name")] == [REASON_LIMIT, ACTOR_LIMIT]
    assert said["name"].startswith("?[2Jnnn")
    drive.task.interpreter = 2
    drive.tell(long)
    assert drive.rows[-1].metadata == {"name": long.name, "rule": long.rule}


# Plans.


def test_a_plan_is_the_rows_that_would_follow() -> None:
    drive = started(step("a"), step("b", "a"), step("c", "b"))
    before, said = dump(drive.task), list(drive.said)
    planned = drive.engine.plan(skip("b"), drive.now)
    assert (dump(drive.task), drive.said) == (before, said)
    drive.tell(skip("b"))
    assert drive.rows[-2:] == planned


def test_a_plan_that_would_be_refused_is_refused() -> None:
    drive = started(step("a"))
    before = dump(drive.task)
    with pytest.raises(RequestRefused, match="'skip' is legal for one that is pending or error"):
        drive.engine.plan(skip("a"), drive.now)
    assert dump(drive.task) == before


@pytest.mark.parametrize("field", ["actor", "reason"])
@pytest.mark.parametrize(
    ("text", "said"),
    [("", "at least 1 character"), (" \n", "it is blank"), ("a\x1b[31m", "control"), ("a\x00", "control")],
)
def test_who_asks_and_why_can_be_read_by_people(field: str, text: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CancelTask.model_validate({"actor": "ann", "reason": "r", field: text})


def test_a_reason_may_have_several_lines_and_every_script() -> None:
    reason = "first\n\tsecond \N{FAMILY}\u200d\N{GIRL} \u3000"
    assert CancelTask(actor="Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}", reason=reason).reason == reason
    with pytest.raises(ValidationError, match="control"):
        CancelTask(actor="ann\nbob", reason="r")


def test_what_nobody_can_be_asked_to_mend_is_clipped_and_legible() -> None:
    told = clipped("a\x00\n" + "x" * 3000, REASON_LIMIT)
    assert (told[:4], told[-4:], len(told)) == ("a?\nx", "x...", REASON_LIMIT)
    assert clipped("ann", 200) == "ann"
    CancelTask(actor="ann", reason=told)


@pytest.mark.parametrize("queue", ["", "q" * 1001, "/_sys/mine"])
def test_a_queue_that_the_server_would_refuse_again_and_again_is_refused(queue: str) -> None:
    with pytest.raises(ValidationError, match="task_queue"):
        ChangeStep(step="a", task_queue=queue, actor="ann", reason="r")
    assert ChangeStep(step="a", task_queue="q" * 1000, actor="ann", reason="r").task_queue == "q" * 1000


# What they hand over.


@pytest.mark.parametrize(
    ("request_", "handed"),
    [
        (asked("complete_step", step="a", result=None), "the result of step 'a'"),
        (asked("complete_step", step="z"), "the result of step 'z'"),
        (asked("approve", step="formed"), "the form of step 'formed'"),
        (asked("approve", step="plain", form=1), "None"),
        (asked("approve", step="a"), "None"),
        (asked("approve", step="z"), "None"),
        (asked("approve"), "None"),
        (asked("reject", step="formed"), "None"),
        (asked("send_event", name="paid"), "the payload of event 'paid'"),
        (asked("send_event", name="noted"), "None"),
        (asked("send_event", name="z"), "None"),
        (asked("skip", step="a"), "None"),
    ],
)
def test_what_is_handed_over_has_a_type_or_is_nothing_that_anybody_could_check(request_: Any, handed: str) -> None:
    plain = approval("plain", "ann").model_copy(update={"result": "None"})
    events = [{"name": "paid", "model": "Payment"}, {"name": "noted"}]
    made = template(step("a"), approval("formed", "ann"), plain, events=events)
    assert str(handed_over(request_, made)) == handed


def test_a_timeout_to_which_nothing_can_be_added_is_refused() -> None:
    for seconds_ in (86_399_999_999_995, 86_399_999_913_600):
        with pytest.raises(ValidationError, match=r"timeout\s+Input should be less than") as error:
            asked("change_step", step="a", timeout=seconds_)
        assert error.value.error_count() == 1
    timeout = asked("change_step", step="a", timeout=86_399_999_913_599).timeout
    assert changed(step("a"), {"timeout": timeout.total_seconds()}).timeout + seconds(86_000) > timeout


def test_every_event_of_a_long_name_has_an_id_of_its_own() -> None:
    told = [asked("send_event", name="n" * 200, id=id).request_id for id in ("one", "two", "x" * 100, "x" * 99 + "y")]
    assert len(set(told)) == 4
    assert {len(id) <= ID_LIMIT for id in told} == {True}
    assert asked("send_event", name="n" * 90, id="x" * 100).request_id == "event:" + "n" * 90 + ":" + "x" * 100
