"""One request to all tasks that a query finds: counted, shown, asked for, and summed up."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import sys
import uuid
from collections.abc import AsyncIterator, Iterable
from time import monotonic

import pytest
import pytest_asyncio

from tasker_temporal import State, TaskHandle
from tasker_temporal.dev import DevServer
from tests.cli.desk import ASKED, Desk, some_at_a_time
from tests.cli.kit import environment
from tests.patience import PATIENCE, until_visible

MANY = int(os.environ.get("TASKER_MANY", "1000"))
"""Tasks of the long test."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path_factory.mktemp("desk"), server.target, f"desk-{uuid.uuid4()}", await server.client())
    async with desk.worker() as worker:
        await worker.until("Ctrl-C stops it.")
        yield desk


async def seen(desk: Desk, query: str, count: int) -> str:
    """Wait until visibility knows of so many, and return the query."""
    await until_visible(desk.client, query, count)
    return query


def of(prefix: str) -> str:
    return f"WorkflowId STARTS_WITH '{prefix}'"


async def complete(tasks: Iterable[TaskHandle]) -> None:
    """All of them complete."""

    async def end(task: TaskHandle) -> None:
        async with asyncio.timeout(PATIENCE):
            assert (await task.result()).state is State.COMPLETE

    await some_at_a_time(end, tasks)


async def test_held_and_failed_tasks_are_retried_together(desk: Desk) -> None:
    prefix = f"mixed-{uuid.uuid4()}"
    tasks = [*await desk.stuck(15, "desk.held", f"{prefix}-held"), *await desk.stuck(15, "desk.failing", f"{prefix}-f")]
    query = await seen(desk, of(prefix), 30)
    planned = await desk.told("retry", "--query", query, *ASKED, "--plan")
    assert (planned["found"], len(planned["done"]), planned["refused"]) == (30, 30, [])
    answer = await desk.told("retry", "--query", query, *ASKED, "--yes")
    assert sorted(done["task_id"] for done in answer["done"]) == sorted(task.id for task in tasks)
    assert (answer["request"], answer["found"], answer["refused"], answer["unanswered"]) == ("retry", 30, [], [])
    await complete(tasks)
    for task in tasks:
        rows = [row for row in await task.audit() if row.event == "task.retry_requested"]
        assert [(row.actor, row.reason) for row in rows] == [("ann", "the gateway is back")]


async def test_who_did_not_take_it_is_told_with_the_reason(desk: Desk) -> None:
    prefix = f"some-{uuid.uuid4()}"
    [stuck, done] = await desk.stuck(2, prefix=prefix)
    await desk.told("resolve", done.id, *ASKED)
    query = await seen(desk, of(prefix), 2)
    ended = await desk("retry", "--query", query, *ASKED, "--yes")
    assert ended.code == 1
    assert ended.out.startswith("1 of 2 tasks took it.\n")
    rule = "the task is resolved_manually: only an open task takes requests"
    assert re.search(rf"^ +1  {rule} +{done.id}$", ended.out, re.MULTILINE)
    again = json.loads((await desk("retry", "--query", query, *ASKED, "--yes", "--json")).out)
    assert {refused["task_id"] for refused in again["refused"]} == {stuck.id, done.id}
    await complete([stuck])


async def test_the_same_request_id_is_asked_again_without_harm(desk: Desk) -> None:
    prefix = f"again-{uuid.uuid4()}"
    tasks = await desk.stuck(3, prefix=prefix)
    query = await seen(desk, of(prefix), 3)
    made = ("retry", "--query", query, *ASKED, "--yes", "--request-id", "monday")
    first, again = await desk.told(*made), await desk.told(*made)
    assert sorted(map(str, first.pop("done"))) == sorted(map(str, again.pop("done")))
    assert first == again
    assert len((await desk.told(*made, "--plan"))["done"]) == 3
    await complete(tasks)


async def test_an_earlier_run_of_a_task_is_not_taken_for_the_task(desk: Desk) -> None:
    """Its first run failed, and that is all the query asks for; the second one is not to be cancelled for it."""
    desk.switch("guarded", False)
    [task] = await desk.stuck(template="desk.failing")
    run = (await task.workflow.describe()).run_id
    desk.switch("guarded", True)
    await desk.told("retry-from", task.id, "quote", *ASKED)
    query = await seen(desk, f"WorkflowId = '{task.id}' AND RunId = '{run}'", 1)
    answer = json.loads((await desk("cancel", "--query", query, *ASKED, "--yes", "--json")).out)
    assert [refused["rule"] for refused in answer["refused"]] == [
        "the query found an earlier run of it, which was reopened since"
    ]
    desk.switch("guarded", False)
    await complete([task])


async def test_a_workflow_that_is_no_task_does_not_take_it(desk: Desk) -> None:
    name = f"stranger-{uuid.uuid4()}"
    stranger = await desk.client.start_workflow("stranger", id=name, task_queue="nowhere")
    await stranger.terminate()
    ended = await desk("retry", "--query", await seen(desk, of(name), 1), *ASKED, "--yes", "--json")
    [refused] = json.loads(ended.out)["refused"]
    assert ended.code == 1
    assert "left no record" in refused["rule"]


async def test_a_query_that_finds_nothing_is_no_mistake(desk: Desk) -> None:
    ended = await desk("retry", "--query", "WorkflowType = 'none'", *ASKED)
    assert (ended.code, ended.out) == (0, "0 of 0 tasks took it.\n")


async def test_where_nobody_can_be_asked_it_takes_yes(desk: Desk) -> None:
    [task] = await desk.stuck()
    query = await seen(desk, of(task.id), 1)
    ended = await desk("retry", "--query", query, *ASKED)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: this would retry 1 task, and nobody can be asked here: pass --yes to do it, or --plan to look first\n"
    )
    assert (await task.report()).state is State.ERROR


@pytest.mark.skipif(sys.platform == "win32", reason="has no terminals of this kind")
@pytest.mark.parametrize(("key", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\x03", 130)], ids=["yes", "no", "Ctrl-C"])
async def test_a_person_is_shown_the_tasks_and_asked(desk: Desk, key: bytes, code: int) -> None:
    prefix = f"shown-{uuid.uuid4()}"
    tasks = await desk.stuck(12, prefix=prefix)
    query = await seen(desk, of(prefix), 12)
    code_, told = await on_terminal(desk, "retry", "--query", query, *ASKED, answer=key)
    assert code_ == code
    assert "12 tasks are found by" in told
    assert "and 2 more" in told
    assert "Retry 12 tasks as ann: the gateway is back? [y/N]" in told
    states = [(await task.report()).state for task in tasks]
    assert (State.ERROR in states) == (code != 0)
    if code == 0:
        await complete(tasks)


# Makes its standard input the terminal that Ctrl-C is heard by, then becomes the command.
_WITH_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "tasker_temporal", *sys.argv[1:]])
"""


async def on_terminal(desk: Desk, *arguments: str, answer: bytes) -> tuple[int, str]:
    """Run the command on a terminal, and answer what it asks. Returns its code, and all that it wrote."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WITH_TERMINAL, *arguments),
        cwd=desk.folder,
        env=environment(desk.folder, TEMPORAL_ADDRESS=desk.address, TERM="dumb", COLUMNS="300"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    reading = asyncio.create_task(asyncio.to_thread(_converse, ours, answer))
    try:
        async with asyncio.timeout(PATIENCE):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        told = await reading
        os.close(ours)
    return code, told


def _converse(terminal: int, answer: bytes) -> str:
    """Read until it ends; once it asks, answer."""
    told = b""
    while True:
        try:
            read = os.read(terminal, 4096)
        except OSError:  # What Linux says of a terminal that nobody holds any more.
            read = b""
        if not read:
            return told.decode()
        told += read
        if b"[y/N]" in told and answer:
            os.write(terminal, answer)
            answer = b""


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_thousand_held_tasks_are_retried(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = f"many-{uuid.uuid4()}"
    begin = monotonic()
    tasks = await desk.stuck(MANY, prefix=prefix)
    query = await seen(desk, of(prefix), MANY)
    made, begin = monotonic() - begin, monotonic()
    answer = await desk.told("retry", "--query", query, *ASKED, "--yes", seconds=600)
    asked = monotonic() - begin
    await complete(tasks)
    took = monotonic() - begin
    with capsys.disabled():
        load = os.getloadavg()[0]
        print(f"\n{MANY} tasks failed and held after {made:.1f} s", end="; ")
        print(f"retried in {asked:.1f} s ({MANY / asked:.0f}/s), all complete after {took:.1f} s; load {load:.1f}")
    assert (len(answer["done"]), answer["refused"], answer["unanswered"]) == (MANY, [], [])
