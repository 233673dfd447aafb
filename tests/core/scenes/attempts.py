"""Steps that are tried, in order, until they are over or their time is."""

from __future__ import annotations

from tasker_temporal.core.messages import Content, StepSucceeded
from tests.core.driving import (
    ONCE,
    STEADY,
    Drive,
    limits,
    seconds,
    step,
)
from tests.core.scene import scene


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


@scene(step("a"), step("b", "a"))
def unclear(drive: Drive) -> None:
    """A bug, made by hand: `b` waits for one dependency more than it has."""
    drive.start()
    drive.task.steps["b"].waiting += 1
    drive.succeed("a")
