"""What holds for any graph, whatever happens to it, at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.ballots import approval_id, terms_of, votes_so_far
from tasker_temporal.core.intake.legality import legal_requests
from tasker_temporal.core.joins import answer
from tasker_temporal.core.machine import DONE, STEP_TABLE, State
from tasker_temporal.core.messages import DROPPED, Content, Refused, RunStep, StepSucceeded
from tasker_temporal.core.report import completion_percentage, report
from tasker_temporal.core.requests import (
    Approve,
    Ask,
    CancelTask,
    ChangeStep,
    CompleteStep,
    MoveTask,
    PauseTask,
    Reject,
    ResolveStep,
    ResolveTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
    SkipStep,
    StepAsk,
    VoteAsk,
    Withdraw,
)
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.rows import TASK, verify
from tasker_temporal.core.task import Task
from tasker_temporal.core.task_types import BATCH, CRITICAL, DEFAULT
from tasker_temporal.core.template import Argument, Limits, StepTemplate, Template
from tasker_temporal.core.waiting import waiting
from tasker_temporal.errors import RequestRefused
from tests.core.driving import (
    AUDITED,
    Drive,
    approval,
    chain_start,
    dump,
    essence,
    restored,
    seconds,
    state_of_rows,
    stored_state,
    template,
)

MODEST = settings(max_examples=60, derandomize=True, deadline=None, database=None)

LINKS = [None, None, "after", "required", "optional"]


@st.composite
def terms(draw: st.DrawFn, has_deadline: bool) -> dict[str, Any]:
    """Those of an approval of two people."""
    then = draw(st.sampled_from(["reject", "approve", "escalate"])) if has_deadline else "reject"
    return {
        "approvers": ("ann", "bob"),
        "quorum": draw(st.integers(1, 2)),
        "on_deadline": then,
        "escalate_to": ("boss",) if then == "escalate" else (),
        "notify": draw(st.booleans()),
        **({"form": "None"} if then == "approve" else {}),
    }


@st.composite
def kinds(draw: st.DrawFn) -> dict[str, Any]:
    """A type of tasks, and the approval that goes with it."""
    kind = draw(st.sampled_from([DEFAULT, DEFAULT, BATCH, AUDITED, CRITICAL]))
    if not kind.is_approved:
        return {"type": kind}
    deadline = draw(st.sampled_from([None, seconds(3)]))
    asked = {key: value for key, value in draw(terms(deadline is not None)).items() if key != "form"}
    return {"type": kind, "approval": Approval(deadline=deadline, **asked)}


def _asked(name: str, after: Sequence[str], deadline: Any, said: dict[str, Any]) -> StepTemplate:
    form = said.pop("form", "Form")
    return approval(name, *said.pop("approvers"), after=after, form=form, deadline=deadline, **said)


@st.composite
def steps(draw: st.DrawFn, index: int) -> StepTemplate:
    links = [(f"s{other}", draw(st.sampled_from(LINKS))) for other in range(index)]
    arguments = [
        Argument(name=name, step=name, optional=link == "optional") for name, link in links if link in LINKS[3:]
    ]
    context = [Argument(name="context")] if draw(st.booleans()) else []
    if draw(st.integers(0, 4)) == 0:
        after = tuple(name for name, link in links if link is not None)
        deadline = draw(st.sampled_from([None, seconds(3)]))
        return _asked(f"s{index}", after, deadline, draw(terms(deadline is not None)))
    return StepTemplate(
        name=f"s{index}",
        arguments=(*context, *arguments),
        after=tuple(name for name, link in links if link == "after"),
        retry=Retry(attempts=draw(st.integers(1, 3))),
        retryable=draw(st.integers(0, 9)) > 0,
        deadline=draw(st.sampled_from([None, None, seconds(3), seconds(40)])),
    )


@st.composite
def flows(draw: st.DrawFn) -> Template:
    return template(
        *(draw(steps(index)) for index in range(draw(st.integers(0, 6)))),
        on_failure=draw(st.sampled_from(["continue", "stop"])),
        on_error=draw(st.sampled_from(["fail", "hold"])),
        handler_grace=seconds(draw(st.sampled_from([0, 2, 600]))),
        **draw(kinds()),
        limits=Limits(
            in_flight=draw(st.sampled_from([1, 2, 64])), bytes_in_flight=draw(st.sampled_from([30, 120, 2_000_000]))
        ),
    )


choices = st.lists(st.integers(0, 1000), max_size=40)


class Wanderer:
    """A task to which the choices happen, one after the other, among all that can happen at the time."""

    def __init__(self, flow: Template) -> None:
        self.drive = Drive(flow, context=b'"context"')
        self.drive.start()

    def moves(self) -> Iterator[Callable[[], object]]:
        drive = self.drive
        for name in drive.running:
            yield partial(drive.succeed, name)
            yield partial(drive.fail, name)
            yield partial(drive.fail, name, after=2)
            yield partial(drive.fail, name, retryable=False)
            yield partial(drive.miss, name)
            yield partial(drive.tell, StepSucceeded(name, 99, Content(b"late")))
        for timer in sorted(drive.timers):
            yield partial(drive.fire, timer)
        for request in legal(drive):
            yield partial(drive.tell, request)
        if not drive.running and drive.task.is_open:
            yield self._continue
        if drive.closed is State.ERROR:
            yield self._reopen
        yield partial(drive.tell, Refused("no such signal"))
        yield partial(drive.wait, 1.5)

    def _continue(self) -> None:
        self.drive.drain()
        self.drive = self.drive.continued()

    def _reopen(self) -> None:
        self.drive = self.drive.reopened()

    def roam(self, chosen: Sequence[int]) -> Iterator[Drive]:
        """The drive after each move."""
        yield self.drive
        for number in chosen:
            moves = list(self.moves())
            moves[number % len(moves)]()
            yield self.drive

    def wander(self, chosen: Sequence[int]) -> Iterator[Drive]:
        """The drive after each move, and at its end, which comes because everything else then succeeds."""
        yield from self.roam(chosen)
        self.drive.finish()
        yield self.drive


def requests(drive: Drive) -> list[Ask]:
    """All requests that name something that exists."""
    of_task = [kind(actor="ann", reason="r") for kind in (CancelTask, PauseTask, ResumeTask, RetryTask, ResolveTask)]
    of_steps = [
        kind(step=name, actor="ann", reason="r", **more) for name in drive.task.steps for kind, more in OF_STEPS
    ]
    votes = [
        kind(step=step, actor=actor, reason="r")
        for step in (None, *drive.task.steps)
        for actor in ("ann", "bob", "boss")
        for kind in (Approve, Reject, Withdraw)
    ]
    return [*of_task, *of_steps, *votes, MoveTask(to="complete", actor="ann", reason="r")]


OF_STEPS: list[tuple[type[StepAsk], dict[str, Any]]] = [
    (SkipStep, {}),
    (RetryStep, {}),
    (RetryStep, {"fresh": True}),
    (RetryFrom, {}),
    (ResolveStep, {}),
    (CompleteStep, {"result": {"by": "hand"}}),
    (ChangeStep, {"attempts": 2}),
]


def legal(drive: Drive) -> list[Ask]:
    """Those that are said to be legal now, and that the graph allows."""
    return [
        request
        for request in requests(drive)
        if word(request) in legal_requests(drive.task, getattr(request, "step", None)) and allowed(drive.task, request)
    ]


def word(request: Ask) -> str:
    return str(type(request).model_fields["request"].default)


def allowed(task: Task, request: Ask) -> bool:
    """What the tables cannot say, said once more: a result that is required, or gone, or about to be taken back."""
    if isinstance(request, ResolveStep):
        takers = [step for step in task.steps.values() if request.step in step.template.required]
        return all(step.is_over for step in takers)
    if isinstance(request, CompleteStep):
        return not task.template.step(request.step).branches
    if isinstance(request, VoteAsk):
        id = approval_id(task, request.step)
        voted = request.actor in [vote.actor for vote in votes_so_far(task, id)]
        if isinstance(request, Withdraw):
            return voted
        escalated = id in task.ballots and task.ballots[id].escalated
        return not voted and (request.actor != "boss" or (escalated and may_escalate(task, request.step)))
    if isinstance(request, MoveTask):
        return task.state == "under_audit"
    if isinstance(request, ChangeStep):
        return task.template.step(request.step).retryable
    if isinstance(request, RetryFrom):
        below = {request.step}
        for step in task.steps.values():  # In declared order, which is one in which they can run.
            if below & set(step.template.needs):
                below.add(step.name)
        taken = {name for one in below for name in task.steps[one].template.takes if name is not None} - below
        return all(task.steps[name].state is not State.IN_PROGRESS for name in below) and not any(
            task.steps[name].result == DROPPED for name in taken
        )
    return True


def may_escalate(task: Task, step: str | None) -> bool:
    found = terms_of(task, step)
    return found is not None and found.escalate_to == ("boss",)


@MODEST
@given(flows(), choices)
def test_each_approval_is_decided_at_most_once_and_by_as_many_as_needed(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        rows = [row for run in drive.runs for row in run.rows if row.event == "approval.decided"]
        ids = [row.metadata["approval"] for row in rows]
        assert len(ids) == len(set(ids))
        for row in rows:
            found = terms_of(drive.task, row.step)
            assert found is not None
            votes = len(row.metadata["votes"])
            assert votes == {"overdue": 0, "rejected": 1}.get(row.metadata["decision"], votes)
            assert row.metadata["decision"] != "approved" or votes in (0, found.quorum)
        going = [step for step in drive.task.steps.values() if step.state is State.IN_PROGRESS]
        parked: set[str | None] = {step.name for step in going if not step.template.runs}
        of_task = {None} if drive.task.state is State.PENDING_APPROVAL else set()
        assert {ballot.step for ballot in drive.task.ballots.values()} == parked | of_task


@MODEST
@given(flows(), choices)
def test_the_sums_are_those_of_the_steps(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        task, found = drive.task, list(drive.task.steps.values())
        going = [step for step in found if step.state is State.IN_PROGRESS]
        running = [step for step in going if step.template.runs]
        assert task.parked == len(going) - len(running)
        failed = [step for step in found if step.state is State.ERROR]
        assert task.counts == {state: sum(step.state is state for step in found) for state in State}
        assert (task.in_flight, task.bytes_in_flight) == (len(running), sum(step.size for step in running))
        assert task.backing_off == sum(step.final is None for step in failed)
        assert task.exhausted == sum(step.final is not None for step in failed)
        assert task.timers == drive.timers | drive.overdue
        assert not drive.overdue or task.state is State.PAUSED
        assert completion_percentage(task) == 100 or not task.all_done


@MODEST
@given(flows(), choices)
def test_the_window_is_never_exceeded(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        assert drive.task.in_flight <= flow.limits.in_flight
        assert drive.task.bytes_in_flight <= flow.limits.bytes_in_flight or drive.task.in_flight == 1


@MODEST
@given(flows(), choices)
def test_no_step_starts_before_its_dependencies_are_over(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        for command in drive.replies[-1]:
            if isinstance(command, RunStep):
                step = drive.task.steps[command.step]
                assert all(drive.task.steps[name].state in DONE for name in step.template.dependencies)
                assert all(drive.task.steps[name].result is not None for name in step.template.required)


@MODEST
@given(flows(), choices)
def test_exactly_the_pending_steps_whose_answer_is_yes_wait_for_a_place(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        for name, step in drive.task.steps.items():
            pending = step.state is State.PENDING
            assert step.viable == (pending and answer(step) == "yes")
            assert name in (*drive.task.viable, *drive.task.gates) or not step.viable
            doomed = pending and answer(step) == "never"
            assert name in drive.task.never or not doomed
            assert not doomed or drive.task.state in (State.PAUSED, State.ERROR)
        queues = drive.task.viable, drive.task.gates, drive.task.never
        assert all(not queue or drive.task.steps[queue[0]].state is State.PENDING for queue in queues)


@MODEST
@given(flows(), choices)
def test_the_audit_is_whole_at_any_moment(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        rows = [row for run in drive.runs for row in run.rows]
        assert verify(rows, chain_start(drive.task)) == drive.task.head
        assert [row.sort_key for row in rows] == list(range(1, len(rows) + 1))
        assert all(row.cause is None or row.cause < row.sort_key for row in rows)
        assert state_of_rows(rows) == stored_state(drive.task)


@MODEST
@given(flows(), choices)
def test_every_transition_is_one_of_the_tables_and_begins_where_the_last_one_ended(
    flow: Template, chosen: Sequence[int]
) -> None:
    *_, last = Wanderer(flow).wander(chosen)
    states: dict[str, str | None] = {}
    for row in (row for run in last.runs for row in run.rows if row.kind == "transition"):
        assert row.from_state == states.get(row.entity)
        table = flow.type.table if row.entity == TASK else STEP_TABLE
        assert table[row.from_state, str(row.to_state)] == row.event
        states[row.entity] = row.to_state


@MODEST
@given(flows(), choices)
def test_no_request_is_lost_whether_it_is_legal_or_not(flow: Template, chosen: Sequence[int]) -> None:
    wanderer, asked = Wanderer(flow), []
    for number, _ in enumerate(wanderer.roam(chosen)):
        drive = wanderer.drive
        if drive.task.is_open:
            some = requests(drive)
            asked.append(request := some[number * 7 % len(some)].model_copy(update={"actor": f"person {number}"}))
            signal(drive, request)
    wanderer.drive.finish()
    rows = [row for run in wanderer.drive.runs for row in run.rows]
    assert {request.actor for request in asked} <= {row.actor for row in rows}
    assert verify(rows, chain_start(wanderer.drive.task)) == wanderer.drive.task.head
    assert not wanderer.drive.task.is_open


def signal(drive: Drive, request: Ask) -> None:
    """As the shell takes what nobody waits for: a refusal is a row."""
    try:
        drive.tell(request)
    except RequestRefused as error:
        drive.tell(Refused(error.rule, request.actor, request.reason))


@MODEST
@given(flows(), choices)
def test_every_task_ends_when_all_commands_are_answered(flow: Template, chosen: Sequence[int]) -> None:
    for last in Wanderer(flow).wander(chosen):
        assert (last.closed is None) == last.task.is_open
    assert last.closed is last.task.state
    assert last.timers == last.task.timers == {}
    if last.closed is State.COMPLETE:
        assert last.task.all_done
    if last.closed is State.ERROR:
        assert last.task.exhausted or last.task.backing_off or last.task.failure


@MODEST
@given(flows(), choices)
def test_a_request_is_refused_exactly_if_it_is_not_said_to_be_legal(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        before, said = dump(drive.task), legal(drive)
        for request in requests(drive):
            if request in said:
                assert drive.engine.plan(request, drive.now)
            else:
                with pytest.raises(RequestRefused):
                    drive.engine.apply(request, drive.now)
        assert dump(drive.task) == before


@MODEST
@given(flows(), choices)
def test_an_open_task_always_says_what_it_waits_for(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        lines, dues = waiting(drive.task), {timer.due for timer in drive.task.timers.values()}
        assert all(line.what and not line.what.endswith(": ") for line in lines)
        assert bool(lines) == drive.task.is_open
        # For a missing handler it is looked several times until its grace is over.
        assert all(line.until is None or line.until in dues or line.kind == "handler" for line in lines)
        grace = drive.task.template.handler_grace
        assert all(line.since and line.until == line.since + grace for line in lines if line.kind == "handler")
        assert all(line.since is not None and line.since <= drive.now for line in lines)
        told = report(drive.task)
        assert {name: str(step.state) for name, step in told.steps.items()} == drive.states


@MODEST
@given(flows(), choices)
def test_a_snapshot_loses_nothing_that_matters(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Wanderer(flow).wander(chosen):
        assert essence(restored(drive.task)) == essence(drive.task)


@settings(MODEST, max_examples=20)
@given(flows(), st.lists(st.integers(0, 1000), max_size=12))
def test_a_task_restored_at_any_moment_goes_on_to_the_same_end(flow: Template, chosen: Sequence[int]) -> None:
    for moment in range(len(chosen) + 1):
        *_, drive = Wanderer(flow).roam(chosen[:moment])
        head, later = drive.task.head, drive.continued()
        later.finish()
        drive.finish()
        assert (later.states, later.closed or drive.closed) == (drive.states, drive.closed)
        assert verify(later.rows, head) == later.task.head
