"""Every request by Temporal's own command: as an update, and as the signal `transition`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tasker_temporal import Move, TaskHandle, TaskTemplate, TaskType, received, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.requests import KINDS
from tests.patience import until_legal, until_row
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import Gate, temporal
from tests.shell.shop import BY, World, settled, shop

APPROVERS = ["ann", "bob"]


class Scene(NamedTuple):
    """A request, of which task it is asked, and the first row that follows."""

    template: str
    event: str
    more: Mapping[str, Any] = {}
    first: Mapping[str, Any] | None = None
    """What is asked before it, by method."""


SCENES: Mapping[str, Scene] = {
    "cancel": Scene("busy", "task.cancel_requested"),
    "pause": Scene("busy", "task.paused"),
    "resume": Scene("busy", "task.resumed", first={"request": "pause"}),
    "retry": Scene("held", "task.retry_requested"),
    "resolve": Scene("held", "task.resolved_manually"),
    "skip": Scene("held", "step.skipped", {"step": "charge"}),
    "retry_step": Scene("held", "step.retry_requested", {"step": "charge", "fresh": True}),
    "retry_from": Scene("held", "step.redo_requested", {"step": "quote"}),
    "resolve_step": Scene("held", "step.resolved_manually", {"step": "ship"}),
    "complete_step": Scene("held", "step.completed_manually", {"step": "charge", "result": {"amount": 3}}),
    "change_step": Scene("held", "step.changed", {"step": "charge", "attempts": 7}),
    "send_event": Scene("told", "external.received", {"name": "paid", "payload": {"cents": 12}}),
    "move": Scene("audited", "task.completed", {"to": "complete"}),
    "approve": Scene("reviewed", "approval.voted", {"step": "review"}),
    "reject": Scene("reviewed", "approval.voted", {"step": "review"}),
    "withdraw": Scene("reviewed", "approval.withdrawn", {"step": "review"}, {"request": "approve", "step": "review"}),
}

UNDER_AUDIT = TaskType(
    name="audited",
    states=("under_audit",),
    rows=(Move(source="in_progress", to="under_audit"), Move(source="under_audit", to="complete", by="request")),
)


def templates(gate: Gate) -> Mapping[str, TaskTemplate[Any]]:
    busy, reviewed = TaskTemplate[Any]("by_temporal.busy"), TaskTemplate[Any]("by_temporal.reviewed")
    busy.add_step("wait", gate.passage)
    reviewed.approval("review", approvers=APPROVERS, quorum=2)
    audited = TaskTemplate[Any]("by_temporal.audited", type=UNDER_AUDIT)
    told = TaskTemplate[Any]("by_temporal.told")
    told.wait_for("paid", received(told.event("paid")))
    held = shop(World(), on_error="hold")
    return {"held": held, "busy": busy, "reviewed": reviewed, "audited": audited, "told": told}


async def ask(server: DevServer, task: TaskHandle, way: str, name: str, request: Mapping[str, Any]) -> Any:
    if way == "signal":
        plain = json.dumps({"request": name, **request})
        flags = ("--workflow-id", task.id, "--name", "transition", "--input", plain)
        return await temporal(server, "workflow", "signal", *flags)
    flags = ("--workflow-id", task.id, "--name", name, "--input", json.dumps(request))
    return (await temporal(server, "workflow", "update", "execute", *flags))["result"]


def test_there_is_a_scene_for_each_request_and_no_other() -> None:
    assert SCENES.keys() == KINDS.keys()


@pytest.mark.parametrize("way", ["update", "signal"])
async def test_each_request_is_made_by_temporals_command(client: Connect, server: DevServer, way: str) -> None:
    gate = Gate()
    made = templates(gate)
    connected = await client(*made.values())
    async with worker(connected) as serving:

        async def play(name: str, scene: Scene) -> None:
            template = made[scene.template]
            task = await start_task(connected, template, None, task_queue=serving.task_queue)
            if scene.template == "held":
                await settled(task)
            if scene.first is not None:
                await until_legal(task, {**BY, **scene.first})
                first = {key: value for key, value in scene.first.items() if key != "request"}
                await getattr(task, scene.first["request"])(**first, **BY)
            await until_legal(task, {**BY, "request": name, **scene.more})
            answer = await ask(server, task, way, name, {**scene.more, **BY})
            found = await until_row(task, scene.event, actor="ann")
            assert (found.reason, found.cause) == (BY["reason"], None), name
            if way == "update":
                assert answer["first"] == found.sort_key, name
                assert answer["rows"][0] == found.plain(), name
            await replayed(task, template)

        await asyncio.gather(*(play(name, scene) for name, scene in SCENES.items()))
        gate.open()
