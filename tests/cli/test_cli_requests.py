"""Each request is a verb of the command: it says what followed, what would follow, or why it is refused."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tasker_temporal import State, TaskHandle
from tasker_temporal.cli.requests import ASKED as OPTIONS
from tasker_temporal.cli.requests import REQUESTS, command
from tasker_temporal.core.requests import Ask, StepAsk, VoteAsk
from tasker_temporal.dev import DevServer
from tasker_temporal.requests import KINDS
from tests.cli.desk import ASKED, Desk
from tests.cli.kit import Ended
from tests.patience import until_state, until_step, until_waiting


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk"), server.target, f"desk-{uuid.uuid4()}", await server.client())
    async with desk.worker() as worker:
        await worker.until("Ctrl-C stops it.")
        yield desk


def one_line(ended: Ended, code: int = 2) -> str:
    assert (ended.code, ended.out) == (code, "")
    [line] = ended.err.splitlines()
    return line


# The table of the verbs and that of the requests.


def test_there_is_a_verb_for_each_request_and_no_other() -> None:
    assert sorted(verb.request for verb in REQUESTS) == sorted(KINDS)


@pytest.mark.parametrize("verb", REQUESTS, ids=lambda verb: verb.name)
def test_a_verb_takes_exactly_what_its_request_takes(verb: Any) -> None:
    kind = KINDS[verb.request]
    fields = set(kind.model_fields) - set(Ask.model_fields) - {"request", "step"}
    assert {option.name for option in verb.options} == fields
    assert verb.step == ("STEP" if issubclass(kind, StepAsk) else "[STEP]" if issubclass(kind, VoteAsk) else "")
    names = {parameter.name for parameter in command(verb).params}
    assert set(Ask.model_fields) <= names
    assert ("query" in names) == (not verb.step)
    assert len(OPTIONS) == len(Ask.model_fields) + 1


# Each on a real task.

MADE: dict[str, tuple[tuple[str, ...], str]] = {
    "retry": ((), "task.retry_requested"),
    "resolve": ((), "task.resolved_manually"),
    "cancel": ((), "task.cancel_requested"),
    "skip": (("charge",), "step.skipped"),
    "retry-step": (("charge", "--fresh"), "step.retry_requested"),
    "complete-step": (("charge", "--result", '{"amount": 3}'), "step.completed_manually"),
    "change-step": (
        ("ship", "--attempts", "9", "--timeout", "1m30s", "--task-queue", "trucks", "--config", '{"fast": true}'),
        "step.changed",
    ),
}
"""For each verb that is legal for a held task: what it takes, and the first row that follows."""


@pytest.mark.parametrize("name", MADE)
async def test_a_held_task_is_put_right_by_the_verb(desk: Desk, name: str) -> None:
    [task] = await desk.stuck()
    more, event = MADE[name]
    planned = await desk(name, task.id, *more, *ASKED, "--plan")
    answer = await desk.told(name, task.id, *more, *ASKED)
    assert planned.code == 0
    told = (
        "Not checked: whether the result of step 'charge' is of the right type. A worker checks it when it is asked.\n"
    )
    assert planned.err == f"This would follow. Nothing was done.\n{told if name == 'complete-step' else ''}"
    first = answer["rows"][0]
    assert (first["event"], first["actor"], first["reason"]) == (event, "ann", "the gateway is back")
    assert (answer["first"], answer["task_id"]) == (first["sort_key"], task.id)
    assert re.search(rf" {event} +ann: the gateway is back$", planned.out, re.MULTILINE)
    assert len(planned.out.splitlines()) == 1 + len(answer["rows"])


async def test_what_was_given_on_the_command_line_reaches_the_task(desk: Desk) -> None:
    [task] = await desk.stuck()
    await desk.told("change-step", task.id, "ship", "--timeout", "1m30s", *ASKED)
    result = desk.folder / "paid.json"
    result.write_text('{"amount": 12}')
    await desk.told("complete-step", task.id, "charge", "--result", f"@{result}", *ASKED)
    assert (await task.result()).state is State.COMPLETE
    assert await task.result_of("ship") == "shipped for 12"
    changed = next(row for row in await task.audit() if row.event == "step.changed")
    assert changed.metadata == {"timeout": 90.0}


async def test_a_running_task_is_paused_done_again_and_resumed(desk: Desk) -> None:
    desk.switch("guarded", True)
    [task] = await desk.start()
    await until_step(task, "ship", State.COMPLETE)
    for made in (("pause", task.id), ("retry-from", task.id, "charge"), ("resume", task.id)):
        ended = await desk(*made, *ASKED)
        assert (ended.code, ended.err) == (0, f"To follow it: tasker watch {task.id}\n")
    desk.switch("guarded", False)
    report = await task.result()
    assert [report.steps[name].execution for name in ("quote", "charge", "ship")] == [1, 2, 2]
    asked = [row.event for row in await task.audit() if row.actor == "ann"]
    assert asked == ["task.paused", "step.redo_requested", "step.redo_requested", "task.resumed"]


async def test_a_step_is_resolved_once_nobody_requires_its_result(desk: Desk) -> None:
    [task] = await desk.stuck()
    refused = await desk("resolve-step", task.id, "charge", *ASKED)
    assert one_line(refused) == (
        "Error: step 'ship' cannot do without the result of step 'charge' (legal now: complete_step, skip)"
    )
    await desk.told("skip", task.id, "ship", *ASKED)
    await desk.told("resolve-step", task.id, "charge", *ASKED)
    assert (await task.result()).steps["charge"].state is State.RESOLVED_MANUALLY


async def test_an_approval_is_voted_on(desk: Desk) -> None:
    [task] = await desk.start(template="desk.reviewed")
    await until_waiting(task, "approval")
    form = ("review", "--form", '{"limit": 9}', "--reason", "seen")
    await desk.told("approve", task.id, *form, "--actor", "ann")
    await desk.told("withdraw", task.id, "review", "--actor", "ann", "--reason", "too fast")
    await desk.told("approve", task.id, *form, "--actor", "bob", "--approval", "review#1")
    stranger, other = await asyncio.gather(
        desk("approve", task.id, *form, "--actor", "cid"),
        desk("approve", task.id, *form, "--actor", "ann", "--approval", "review#7"),
    )
    assert "cid" in one_line(stranger)
    assert "review#1" in one_line(other)
    await desk.told("approve", task.id, *form, "--actor", "ann")
    assert (await task.result()).state is State.COMPLETE
    assert await task.result_of("pay") == 9


async def test_an_approval_is_rejected(desk: Desk) -> None:
    [task] = await desk.start(template="desk.reviewed")
    await until_waiting(task, "approval")
    ended = await desk("reject", task.id, "review", *ASKED)
    assert ended.code == 0
    assert re.search(r"approval\.decided", ended.out)
    assert (await task.settled()).state is State.ERROR


async def test_a_task_is_moved_along_its_types_own_rows(desk: Desk) -> None:
    [task] = await desk.start(template="desk.audited")
    await until_state(task, "under_audit")
    await desk.told("move", task.id, "--to", "complete", *ASKED)
    assert (await task.result()).state is State.COMPLETE


async def test_an_event_from_outside_is_told_once_under_its_id(desk: Desk) -> None:
    [task] = await desk.start(template="desk.told")
    told = ("send-event", task.id, "--name", "paid", "--payload", '{"cents": 12}', "--id", "wire-7", *ASKED)
    first, again = await desk.told(*told), await desk.told(*told)
    assert first == again
    assert (await task.result()).state is State.COMPLETE
    assert [row.actor for row in await task.audit() if row.event == "external.received"] == ["ann"]


async def test_who_asks_is_the_user_unless_said(desk: Desk) -> None:
    [task] = await desk.stuck()
    await desk.told("resolve", task.id, "--reason", "paid in cash")
    row = next(row for row in await task.audit() if row.event == "task.resolved_manually")
    assert re.fullmatch(r".+@.+", row.actor)


async def test_the_same_request_id_has_one_effect_and_one_answer(desk: Desk) -> None:
    [task] = await desk.stuck()
    made = ("retry", task.id, *ASKED, "--request-id", "once")
    first, again = await desk.told(*made), await desk.told(*made)
    assert first == again
    assert first["request_id"] == "once"
    assert (await task.result()).state is State.COMPLETE
    assert await desk.told(*made) == first
    assert [row.event for row in await task.audit()].count("task.retry_requested") == 1
    planned = await desk(*made, "--plan")
    assert planned.err == "Nothing would follow: the request was made before, under this id.\n"
    another = await desk("cancel", task.id, *ASKED, "--request-id", "once")
    assert one_line(another).startswith("Error: request id 'once' was already used for retry of the task (sort_key ")


async def test_a_refusal_is_one_line_with_the_rule_and_what_is_legal(desk: Desk) -> None:
    [task] = await desk.stuck()
    for more in ((), ("--plan",), ("--json",)):
        refused = await desk("resume", task.id, *ASKED, *more)
        assert one_line(refused) == (
            "Error: the task is error: 'resume' is legal for one that is paused (legal now: cancel, retry, resolve)"
        )
    wrong = await desk("complete-step", task.id, "charge", "--result", '"much"', *ASKED)
    assert one_line(wrong).startswith("Error: the result of step 'charge' is not valid: ")


async def test_without_a_worker_it_is_told_how_to_ask_again(desk: Desk, server: DevServer, tmp_path: Path) -> None:
    away = Desk(tmp_path, server.target, f"nobody-{uuid.uuid4()}", desk.client)
    [task] = await away.start()
    ended = await away("skip", task.id, "ship", *ASKED, "--request-id", "once")
    assert one_line(ended) == (
        "Error: no answer within 10 s, probably because no worker runs; the request may still be applied: "
        "ask again with --request-id once"
    )
    async with away.worker():
        answer = await away.told("skip", task.id, "ship", *ASKED, "--request-id", "once")
        assert [row["event"] for row in answer["rows"]] == ["step.skipped"]
        await task.result()


async def test_a_bug_is_fixed_deployed_and_the_failed_task_retried(server: DevServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.target, f"shop-{uuid.uuid4()}", await server.client())
    good = (tmp_path / "desk.py").read_text()
    (tmp_path / "desk.py").write_text(good.replace("Payment(amount=amount)", "Payment(amuont=amount)"))
    async with desk.worker() as worker:
        [task] = await desk.start(template="desk.failing")
        ended = await desk("result", task.id)
        assert ended.code == 1
        assert "charge" in ended.err
        worker.tell()
        await worker.ended()
    (tmp_path / "desk.py").write_text(good)
    async with desk.worker():
        assert (await desk("retry", task.id, *ASKED)).code == 0
        assert (await desk("result", task.id)).code == 0
    report = await TaskHandle(desk.client, task.id).report()
    assert [report.steps[name].execution for name in ("quote", "charge", "ship")] == [1, 2, 1]


async def test_a_plan_of_a_failed_task_needs_no_worker(server: DevServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.target, f"shop-{uuid.uuid4()}", await server.client())
    async with desk.worker():
        [task] = await desk.stuck(template="desk.failing")
    planned = await desk("retry", task.id, *ASKED, "--plan", "--json")
    told = json.loads(planned.out)
    assert told["rows"][0]["event"] == "task.retry_requested"
    assert (await task.report()).state is State.ERROR
