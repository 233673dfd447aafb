"""Small runs that together publish every event and need every subscription."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasker_temporal.core.messages import Content, Failure, NotifierFailed, Refused, StepSucceeded
from tasker_temporal.core.requests import (
    Approve,
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
    SendEvent,
    SkipStep,
    Withdraw,
)
from tasker_temporal.core.snapshot import snapshot
from tasker_temporal.core.subscribers import SUBSCRIPTIONS, Subscriptions
from tasker_temporal.core.task_types import BATCH, CRITICAL
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.errors import RequestRefused
from tests.core.driving import (
    AUDITED,
    ONCE,
    STEADY,
    Drive,
    approval,
    limits,
    seconds,
    step,
    template,
    terms,
)
from tests.task_types import SHIPPED

Play = Callable[[Drive], None]


@dataclass(frozen=True)
class Scene:
    """A task, and what happens to it."""

    template: Template
    play: Play
    context: bytes = b"{}"

    def driven(self, subscriptions: Subscriptions = SUBSCRIPTIONS) -> Drive:
        """The scene, played to its end."""
        drive = Drive(self.template, context=self.context, subscriptions=subscriptions)
        self.play(drive)
        return drive

    def seen(self, subscriptions: Subscriptions = SUBSCRIPTIONS) -> Any:
        """All that can be seen of the scene from outside: rows, commands, and whether it could be played at all."""
        drive = Drive(self.template, context=self.context, subscriptions=subscriptions)
        try:
            self.play(drive)
            broken = None
        except (KeyError, ValueError, RequestRefused) as error:
            broken = repr(error)
        return [(run.rows, run.replies) for run in drive.runs], broken


SCENES: dict[str, Scene] = {}


def scene(*steps: StepTemplate, context: bytes = b"{}", **options: Any) -> Callable[[Play], Play]:
    """Make the function the scene of a task of these steps."""

    def register(play: Play) -> Play:
        SCENES[play.__name__] = Scene(template(*steps, **options), play, context)
        return play

    return register


def audits() -> str:
    """A digest of all that the scenes write, order and say."""
    seen = hashlib.sha256()
    for name, known in SCENES.items():
        for run in known.driven().runs:
            seen.update(repr((name, run.rows, run.replies, run.events, snapshot(run.task))).encode())
    return seen.hexdigest()


@scene(step("a"), step("b", "a"))
def in_order(drive: Drive) -> None:
    drive.start(actor="ann", reason="an order came")
    drive.succeed("a", "b")


@scene(step("a"))
def context_not_valid(drive: Drive) -> None:
    drive.start(problems=({"loc": ("total",), "type": "missing", "msg": "Field required"},))


@scene(step("a", retry=STEADY), step("b", "a"))
def second_attempt(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.wait(4)
    drive.succeed("a", "b")


@scene(step("a", retry=STEADY), step("b"), limits=limits(in_flight=1))
def a_place_becomes_free(drive: Drive) -> None:
    """`b` waits for the only place, which `a` leaves to wait for its second attempt."""
    drive.start()
    drive.fail("a")
    drive.succeed("b")
    drive.finish()


@scene(step("a", retry=ONCE, deadline=seconds(60)), step("b"))
def attempts_used_up(drive: Drive) -> None:
    """`b` still runs when the deadline of `a` is of no use any more."""
    drive.start()
    drive.fail("a")
    drive.succeed("b")


@scene(step("a", retry=ONCE))
def nothing_else_to_do(drive: Drive) -> None:
    drive.start()
    drive.fail("a")


@scene(step("a", deadline=seconds(60)), step("b"))
def failed_for_good(drive: Drive) -> None:
    drive.start()
    drive.fail("a", retryable=False)
    drive.succeed("b")


@scene(step("a"), step("b"), limits=limits(in_flight=1))
def failed_for_good_and_left_its_place(drive: Drive) -> None:
    drive.start()
    drive.fail("a", retryable=False)
    drive.succeed("b")


@scene(step("a", deadline=seconds(10)), step("b", after=["a"]))
def deadline_while_running(drive: Drive) -> None:
    drive.start()
    drive.wait(10)
    drive.stop("a")


@scene(step("a", deadline=seconds(10)))
def deadline_while_backing_off(drive: Drive) -> None:
    drive.start()
    drive.fail("a", after=60)
    drive.wait(10)


@scene(step("a", deadline=seconds(60)), step("b", "a"))
def in_time(drive: Drive) -> None:
    drive.start()
    drive.succeed("a", "b")


@scene(step("a"))
def handler_arrives(drive: Drive) -> None:
    drive.start()
    drive.miss("a")
    drive.wait(1)
    drive.succeed("a")


@scene(step("a"), step("b", "a"))
def late_outcome(drive: Drive) -> None:
    drive.start()
    drive.tell(StepSucceeded("a", 7, Content(b"late")))
    drive.succeed("a", "b")


@scene(step("a", retry=STEADY), step("b"))
def skipped_while_backing_off(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.skip("a")
    drive.succeed("b")


@scene(step("a"), step("b"), step("c", "b"), limits=limits(in_flight=1))
def skipped_in_turn(drive: Drive) -> None:
    """`c` can never run without the result of `b`."""
    drive.start()
    drive.skip("b")
    drive.succeed("a")


@scene(step("a", retry=STEADY), step("b"), step("c", "b"))
def cancelled(drive: Drive) -> None:
    """`a` backs off, `b` runs, `c` is pending."""
    drive.start()
    drive.fail("a")
    drive.cancel()
    drive.succeed("b")


@scene(step("a", retry=STEADY))
def cancelled_at_rest(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.cancel()


@scene(step("a"))
def cancelled_and_stopped(drive: Drive) -> None:
    drive.start()
    drive.cancel()
    drive.stop("a")


@scene(step("a"))
def cancelled_before_it_began(drive: Drive) -> None:
    drive.start(cancelled_by=("bob", "too late"))


@scene(step("a"), step("b"))
def abandoned(drive: Drive) -> None:
    drive.start()
    drive.cancel()
    drive.wait(30)


@scene(step("a"), step("b", "a"))
def refused_signal(drive: Drive) -> None:
    drive.start()
    drive.tell(Refused("no such request", "ann", "by signal", "task", "rewind"))
    drive.succeed("a", "b")


@scene(step("a", retry=STEADY), step("b"), step("c", "b"))
def continued(drive: Drive) -> None:
    """`a` backs off, and `c` waits to be started, when the run continues as new."""
    drive.start()
    drive.fail("a")
    drive.drain()
    drive.succeed("b")
    drive.continued().finish()


@scene(step("a"), step("b", "a"))
def unclear(drive: Drive) -> None:
    """A bug, made by hand: `b` waits for one dependency more than it has."""
    drive.start()
    drive.task.steps["b"].waiting += 1
    drive.succeed("a")


@scene(step("a"), step("b", "a"))
def paused(drive: Drive) -> None:
    """What is done meanwhile leads to nothing before somebody resumes the task."""
    drive.start()
    drive.ask(PauseTask)
    drive.succeed("a")
    drive.ask(ResumeTask)
    drive.succeed("b")


@scene(step("a", retry=STEADY), step("b"))
def due_while_paused(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(PauseTask)
    drive.wait(10)
    drive.ask(ResumeTask)
    drive.finish()


@scene(step("a", retry=STEADY), step("b"))
def retried_at_once(drive: Drive) -> None:
    """Nobody waits for the rest of the backoff."""
    drive.start()
    drive.fail("a")
    drive.ask(RetryStep, step="a")
    drive.finish()


@scene(step("a", retry=STEADY), step("b", after=["a"]), step("c"))
def resolved_while_backing_off(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(ResolveStep, step="a")
    drive.finish()


@scene(step("a", retry=STEADY), step("b", "a"), step("c"))
def completed_by_hand_while_backing_off(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(CompleteStep, step="a", result=7)
    drive.finish()


@scene(step("a"), step("b", "a"), step("c"))
def done_again(drive: Drive) -> None:
    drive.start()
    drive.succeed("a", "b")
    drive.ask(RetryFrom, step="a")
    drive.finish()


@scene(step("a"), step("b", "a"))
def changed(drive: Drive) -> None:
    drive.start()
    drive.ask(ChangeStep, step="b", attempts=9, config={"pace": "slow"})
    drive.finish()


@scene(step("a", retry=ONCE), step("b", "a"), on_error="hold")
def held_and_retried(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(RetryTask)
    drive.finish()


@scene(step("a", retry=ONCE), on_error="hold")
def held_and_resolved(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(ResolveTask)


@scene(step("a", retry=ONCE), on_error="hold", hold_for=seconds(60))
def held_until_nobody_came(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.wait(60)


@scene(step("a", retry=ONCE), step("b", after=["a"]), on_error="hold")
def last_failure_skipped(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.skip("a")
    drive.finish()


@scene(step("a", retry=ONCE), step("b", after=["a"]), on_error="hold")
def last_failure_resolved(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(ResolveStep, step="a")
    drive.finish()


@scene(step("a", retry=ONCE), step("b", "a"), on_error="hold")
def last_failure_completed_by_hand(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(CompleteStep, step="a", result=7)
    drive.finish()


@scene(step("a", retry=ONCE), step("b", "a"), on_error="hold")
def last_failure_retried(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.ask(RetryStep, step="a")
    drive.finish()


@scene(step("a", retry=ONCE), step("b", "a"))
def reopened(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    later = drive.reopened()
    later.ask(RetryTask)
    later.finish()


@scene(
    step("a", retry=ONCE),
    step("b", on={"failed": "a"}),
    step("c", after=["a"]),
    step("d", after=["a", "b"]),
)
def failure_handled(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    drive.finish()


@scene(
    step("a", when="context.total > 10"),
    step("b", when="context.total > 20"),
    step("c", when="context.unknown"),
    step("d", on={"failed": "c"}, when="failure.c.type == 'ConditionError'"),
    context=b'{"total": 15}',
)
def conditions_judged(drive: Drive) -> None:
    drive.start()
    drive.finish()


@scene(step("a"), step("b", on={"all_of": [{"completed": "a"}, {"elapsed": 60}]}), step("c", after=["b"]))
def time_elapsed(drive: Drive) -> None:
    drive.start()
    drive.succeed("a")
    drive.finish()


PAID = {"received": "paid", "match": "event.order == context.order"}


@scene(
    step("a"),
    step("early", awaits="event", on=PAID, after=["a"]),
    step("late", awaits="event", on=PAID),
    step("b", on={"any_of": [PAID, {"elapsed": 60}]}),
    step("c", after=["late"]),
    context=b'{"order": 7}',
    events=[{"name": "paid"}],
)
def event_received(drive: Drive) -> None:
    drive.start()
    drive.ask(SendEvent, name="paid", payload={"order": 8})
    drive.ask(SendEvent, name="paid", payload={"order": 7}, id="p-1")
    drive.finish()


@scene(step("a", on={"received": "paid"}), events=[{"name": "paid"}])
def event_starts_a_step(drive: Drive) -> None:
    drive.start()
    drive.ask(SendEvent, name="paid")
    drive.finish()


@scene(
    step("a", awaits="event", on=PAID, deadline=seconds(9), on_deadline="skip"), step("b"), events=[{"name": "paid"}]
)
def event_did_not_come(drive: Drive) -> None:
    drive.start()
    drive.finish()


@scene(
    step("a"),
    step("b"),
    context=b'{"total": 15}',
    routes=[{"when": "context.size > 10"}, {"when": "context.total > 10", "mode": "sequential_only", "name": "large"}],
)
def routed(drive: Drive) -> None:
    drive.start()
    drive.finish()


@scene(approval("review", "ann", "bob", "cid", quorum=2), step("pay", "review"))
def approved_by_two(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", step="review", form={"limit": 7})
    drive.ask(Withdraw, actor="ann", step="review")
    drive.ask(Approve, actor="bob", step="review")
    drive.ask(Approve, actor="ann", step="review", form={"limit": 9})
    drive.finish()


@scene(step("a"), approval("review", "ann", "bob", after=["a"], quorum=2, notify=True, deadline=seconds(60)))
def approved_before_it_opened(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.ask(Approve, actor="ann", step="review", form={"limit": 7})
    drive.ask(Approve, actor="bob", step="review", form={"limit": 9})
    drive.finish()


@scene(approval("review", "ann", notify=True), on_error="hold")
def rejected_and_asked_again(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.ask(Reject, actor="ann", step="review")
    drive.tell(NotifierFailed("review", "review#1", "decided", Failure("SMTPError", "no route")))
    drive.ask(RetryStep, step="review")
    drive.ask(Approve, actor="ann", step="review", approval="review#2")


@scene(
    approval(
        "review",
        "ann",
        deadline=seconds(60),
        on_deadline="escalate",
        escalate_to=("boss",),
        notify=True,
    )
)
def escalated_and_overdue(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.wait(60)
    drive.wait(60)


@scene(step("a"), type=CRITICAL, approval=terms("ann", deadline=seconds(60)))
def critical(drive: Drive) -> None:
    drive.start(actor="sam")
    drive.succeed("a")
    drive.ask(Approve, actor="ann")


@scene(step("a", retry=ONCE), step("b", after=["a"]), type=BATCH, on_error="hold")
def batch_redone(drive: Drive) -> None:
    """The step that was skipped is done after all."""
    drive.start()
    drive.succeed("a")
    drive.fail("b", retryable=False)
    drive.ask(SkipStep, step="b")
    drive.ask(RetryFrom, step="b")
    drive.finish()


@scene(step("a"), context=b'{"total": 1001}', type=SHIPPED, approval=terms("ann", deadline=seconds(60)))
def moved_on_by_votes(drive: Drive) -> None:
    """What the deadline would decide was decided before."""
    drive.start()
    drive.succeed("a")
    drive.ask(MoveTask, to="pending_approval")
    drive.ask(Approve, actor="ann")
    drive.wait(61)
    drive.ask(MoveTask, to="complete")


@scene(step("a"), type=AUDITED)
def moved_on_request(drive: Drive) -> None:
    drive.start()
    drive.succeed("a")
    drive.ask(MoveTask, to="complete")
