"""Tasks that are cancelled, paused, or go on in another run."""

from __future__ import annotations

from tasker_temporal.core.messages import Refused
from tasker_temporal.core.requests import (
    PauseTask,
    ResumeTask,
    RetryTask,
)
from tests.core.driving import (
    ONCE,
    STEADY,
    Drive,
    step,
)
from tests.core.scene import scene


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


@scene(step("a", retry=ONCE), step("b", "a"))
def reopened(drive: Drive) -> None:
    drive.start()
    drive.fail("a")
    later = drive.reopened()
    later.ask(RetryTask)
    later.finish()
