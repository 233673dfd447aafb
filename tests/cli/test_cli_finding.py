"""`tasker list`, `approvals` and `setup`: thousands of tasks, asked for by what they wait for."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client

from tasker_temporal import PermanentError, State, TaskHandle, TaskTemplate, start_task
from tasker_temporal.cli import listing
from tasker_temporal.cli.listing import Wanted, pages, query_of
from tasker_temporal.dev import DevServer
from tests.cli.kit import Ended, tasker
from tests.patience import until_step, until_visible
from tests.server.conftest import Connect, worker
from tests.shell.kit import Gate

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}


class Desk:
    """Tasks in every state that lists can tell, and the command."""

    def __init__(self, folder: Path, address: str, client: Client, name: str) -> None:
        self.folder, self.address, self.client, self.name = folder, address, client, name
        self.tasks: dict[str, TaskHandle] = {}

    async def __call__(self, *arguments: str) -> Ended:
        return await tasker(*arguments, folder=self.folder, TEMPORAL_ADDRESS=self.address)

    async def found(self, *arguments: str) -> dict[str, Any]:
        """What `list` finds of the template, by the names of this desk's tasks."""
        names = {task.id: name for name, task in self.tasks.items()}
        ended = await self("list", "--template", self.name, "--limit", "1000", "--json", *arguments)
        assert (ended.code, ended.err) == (0, "")
        return {names[line["task_id"]]: line for line in json.loads(ended.out)}

    async def until(self, count: int) -> None:
        """Visibility lags: wait until it knows of so many that wait for something or have a state of their own."""
        query = f"WorkflowType = '{self.name}' AND (TaskerState IS NOT NULL OR TaskerWaitingFor IS NOT NULL)"
        await until_visible(self.client, query, count)
        await until_visible(self.client, f"WorkflowType = '{self.name}'", len(self.tasks))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(server: DevServer, client: Connect, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    gate, name = Gate(), f"desk.t{uuid.uuid4().hex}"
    template = TaskTemplate(name, context=str, on_error="hold")

    @template.step
    async def work(what: str) -> None:
        if what in ("held", "resolved"):
            raise PermanentError("it broke")
        if what in ("busy", "paused", "gone"):
            await gate.passage()

    template.approval("sign", after=[work], approvers=["bob", "group:finance"], quorum=2)

    connected = await client(template)
    desk = Desk(tmp_path_factory.mktemp("desk"), server.target, connected, name)
    async with worker(connected) as running:
        for what in ("busy", "paused", "gone", "held", "resolved", "signing", "cancelled"):
            desk.tasks[what] = await start_task(
                connected, template, what, id=f"{what}-{uuid.uuid4()}", task_queue=running.task_queue, actor="sam"
            )
        await desk.tasks["paused"].pause(**BY)
        await desk.tasks["gone"].pause(**BY)
        await desk.tasks["gone"].workflow.terminate()
        for what in ("held", "resolved"):
            await desk.tasks[what].settled()
        await desk.tasks["resolved"].resolve(**BY)
        await desk.tasks["cancelled"].cancel(**BY)
        await until_step(desk.tasks["signing"], "sign", State.IN_PROGRESS)
        await desk.tasks["signing"].approve("sign", actor="bob", reason="it is fine")
        await desk.until(5)
        yield desk
        gate.open()
        for what in ("busy", "paused", "held", "signing"):
            await desk.tasks[what].workflow.terminate()


async def test_each_state_finds_its_tasks_and_no_other(desk: Desk) -> None:
    found = await desk.found()
    assert {name: line["state"] for name, line in found.items()} == {
        "busy": "in_progress",
        "paused": "paused",
        "gone": "terminated",
        "held": "error",
        "resolved": "resolved_manually",
        "signing": "in_progress",
        "cancelled": "cancelled",
    }
    assert found["gone"]["waiting_for"] == [], "it was told that it waits, and ended from outside"
    for state in {line["state"] for line in found.values()}:
        wanted = {name for name, line in found.items() if line["state"] == state}
        assert set(await desk.found("--state", state)) == wanted, state
    assert set(await desk.found("--state", "open")) == {"busy", "paused", "held", "signing"}
    assert set(await desk.found("--state", "complete")) == set()


async def test_what_tasks_wait_for_and_what_failed_finds_them(desk: Desk) -> None:
    assert set(await desk.found("--waiting-for", "approval")) == {"signing"}
    assert set(await desk.found("--waiting-for", "pause")) == {"paused"}
    held = await desk.found("--waiting-for", "hold")
    assert {name: (line["waiting_for"], line["failed_steps"]) for name, line in held.items()} == {
        "held": (["hold"], ["work"])
    }
    assert set(await desk.found("--failed-step", "work")) == {"held", "resolved"}
    assert set(await desk.found("--query", f"WorkflowId = '{desk.tasks['busy'].id}'")) == {"busy"}


async def test_a_list_for_people_says_what_each_waits_for(desk: Desk) -> None:
    ended = await desk("list", "--template", desk.name, "--state", "error")
    head, line = ended.out.splitlines()
    assert head.split() == ["task", "template", "state", "began", "(UTC)", "ended", "(UTC)", "waits", "for", "failed"]
    assert line.split()[:3] == [desk.tasks["held"].id, desk.name, "error"]
    assert line.split()[-2:] == ["hold", "work"]


async def test_a_query_that_is_none_is_one_line(desk: Desk) -> None:
    ended = await desk("list", "--query", "nonsense")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: the server refuses the list (invalid_argument): invalid query")
    assert len(ended.err.splitlines()) == 1
    ended = await desk("list", "--state", "eror")
    assert ended.err.startswith("Error: --state eror: there are open, in_progress, error, complete, ")


async def test_a_name_is_no_part_of_the_query_whatever_it_is(desk: Desk) -> None:
    found = await desk.found("--failed-step", "x' OR WorkflowType = '" + desk.name)
    assert found == {}
    assert await desk.found("--failed-step", "x\\") == {}


async def test_thousands_come_page_by_page(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 3)
    query = query_of(Wanted(template=desk.name), None, is_told=True)
    sizes = [len(page) async for page in pages(desk.client, query, None)]
    assert sizes == [3, 3, 1]
    assert [len(page) async for page in pages(desk.client, query, 4)] == [3, 1]


# Approvals.


async def inbox(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    ended = await desk("approvals", "--template", desk.name, "--json", *arguments)
    assert (ended.code, ended.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found


async def test_the_inbox_says_who_is_asked_for_what_and_who_has_voted(desk: Desk) -> None:
    [line] = await inbox(desk)
    assert line.pop("since") is not None
    assert line == {
        "task_id": desk.tasks["signing"].id,
        "template": desk.name,
        "step": "sign",
        "approval": "sign#1",
        "until": None,
        "approvers": ["bob", "group:finance"],
        "quorum": 2,
        "approved_by": ["bob"],
        "requester": "sam",
        "verified": False,
        "form": None,
    }
    shown = (await desk("approvals", "--template", desk.name)).out.splitlines()[1]
    assert shown.split()[:2] == [desk.tasks["signing"].id, "sign#1"]
    assert shown.endswith("bob, group:finance, not sam  1 of 2: bob")


async def test_an_inbox_is_that_of_one_person(desk: Desk) -> None:
    assert await inbox(desk, "--approver", "bob") == []
    assert await inbox(desk, "--approver", "zoe") == []
    assert await inbox(desk, "--approver", "sam", "--group", "finance") == []
    assert len(await inbox(desk, "--approver", "zoe", "--group", "finance")) == 1
    empty = await desk("approvals", "--template", desk.name, "--approver", "zoe")
    assert (empty.code, empty.out, empty.err) == (0, "", "Nobody is asked to approve anything.\n")


async def test_why_names_the_people_and_how_to_vote(desk: Desk) -> None:
    ended = await desk("why", desk.tasks["signing"].id)
    assert (
        "* step 'sign' waits for 1 more of 2 votes of bob, group:finance but sam, who started the task\n" in ended.out
    )
    assert f"    $ tasker approve {desk.tasks['signing'].id} sign --actor YOU --reason 'WHY'\n" in ended.out


# A namespace without the attributes.


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with DevServer(ui_port=None, extra_args=["--namespace", "bare"]) as own:
        client = await own.client(namespace="bare")
        yield Desk(tmp_path_factory.mktemp("bare"), own.target, client, "none")


async def test_setup_says_what_it_did_and_does_it_once(bare: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest

    names = ["TaskerState", "TaskerWaitingFor", "TaskerFailedSteps"]
    removal = RemoveSearchAttributesRequest(namespace="bare", search_attributes=names)
    await bare.client.operator_service.remove_search_attributes(removal)

    where = ("--namespace", "bare")
    lacks = "namespace 'bare' lacks the search attributes TaskerState, TaskerWaitingFor, TaskerFailedSteps"
    ended = await bare("list", *where, "--waiting-for", "hold", "--state", "paused")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"Error: {lacks}, which --state paused and --waiting-for hold would need: add them with `tasker setup`\n"
    )
    ended = await bare("approvals", *where)
    assert ended.err.startswith(f"Error: {lacks}, which --waiting-for approval would need")
    ended = await bare("list", *where, "--state", "error")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.splitlines() == [
        f"Note: {lacks}: states are told by how runs ended only (`tasker setup` adds them).",
        "No task was found.",
    ]

    first, second = await bare("setup", *where), await bare("setup", *where, "--json")
    assert first.out.splitlines() == [
        "TaskerState (Keyword) was added.",
        "TaskerWaitingFor (KeywordList) was added.",
        "TaskerFailedSteps (KeywordList) was added.",
    ]
    assert json.loads(second.out) == {"namespace": "bare", "added": [], "there": names}
    ended = await bare("list", *where, "--waiting-for", "hold")
    assert (ended.code, ended.err) == (0, "No task was found.\n")


async def test_an_attribute_of_another_type_is_told(bare: Desk) -> None:
    from temporalio.api.enums.v1 import IndexedValueType
    from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, RemoveSearchAttributesRequest

    service = bare.client.operator_service
    await service.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace="default", search_attributes=["TaskerState"])
    )
    strange = {"TaskerState": IndexedValueType.INDEXED_VALUE_TYPE_INT}
    await service.add_search_attributes(AddSearchAttributesRequest(namespace="default", search_attributes=strange))
    ended = await bare("setup")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: search attribute TaskerState of namespace 'default' is of type Int: expected Keyword\n"
    )
