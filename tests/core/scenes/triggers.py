"""Steps that begin by triggers, conditions, times and events; and routes."""

from __future__ import annotations

from tasker_temporal.core.requests import (
    SendEvent,
)
from tests.core.driving import (
    ONCE,
    Drive,
    seconds,
    step,
)
from tests.core.scene import scene


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
