"""What people do with steps and with held tasks."""

from __future__ import annotations

from tasker_temporal.core.requests import (
    ChangeStep,
    CompleteStep,
    ResolveStep,
    ResolveTask,
    RetryFrom,
    RetryStep,
    RetryTask,
)
from tests.core.driving import (
    ONCE,
    STEADY,
    Drive,
    limits,
    seconds,
    step,
)
from tests.core.scene import scene


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
