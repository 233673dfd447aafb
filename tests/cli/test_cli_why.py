"""`tasker why` and `tasker status`, with a worker, after it was killed, and where there never was one."""

from __future__ import annotations

import json
import shlex
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from tasker_temporal.cli import tasker as commands
from tasker_temporal.dev import DevServer
from tasker_temporal.why.reasons import request, run_worker
from tasker_temporal.why.sentences import ACTIONS, Seen, reason
from tasker_temporal.why.server import Described
from tests.cli.kit import Ended, Running, tasker, write

STALL = """
from datetime import timedelta
from tasker_temporal import PermanentError, Retry, RetryableError, TaskTemplate

HOUR = timedelta(hours=1)

stand = TaskTemplate("stand.sell", task_queue="{queue}", on_error="hold")

@stand.step(retry=Retry(attempts=2, base_delay=HOUR, max_delay=HOUR, jitter="none"))
def charge() -> None:
    raise RetryableError("the bank is closed")

crowd = TaskTemplate("stand.crowd", task_queue="{queue}-idle")

@crowd.step(task_queue="{queue}-none")
def first() -> None: ...

for number in range(40):
    crowd.add_step(f"s{number}", first.function, after=[first])

app = [stand, crowd]
"""

PROJECT = '[tool.tasker]\napp = "stand:app"\n'


class Stand:
    """A folder with a project, and the command in it."""

    def __init__(self, folder: Path, address: str, queue: str) -> None:
        self.folder, self.address, self.queue = folder, address, queue

    async def __call__(self, *arguments: str) -> Ended:
        return await tasker(*arguments, folder=self.folder, TEMPORAL_ADDRESS=self.address)

    def worker(self) -> Running:
        queues = ("--task-queue", self.queue)
        return Running("worker", *queues, folder=self.folder, TEMPORAL_ADDRESS=self.address)

    async def started(self, template: str, *more: str) -> str:
        ended = await self("start", template, *more)
        assert ended.code == 0
        return ended.out.strip()

    async def said(self, task: str, word: str) -> str:
        """What `why` says, once it says that word."""
        while word not in (ended := await self("why", task)).out:
            assert (ended.code, ended.err) == (0, "")
        return ended.out


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stand(server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    queue = f"stand-{uuid.uuid4()}"
    folder = tmp_path_factory.mktemp("stand")
    write(folder, {"stand.py": STALL.replace("{queue}", queue), "pyproject.toml": PROJECT})
    yield Stand(folder, server.target, queue)


async def test_why_says_the_reason_its_times_and_what_to_do(stand: Stand) -> None:
    async with stand.worker() as worker:
        await worker.until("Ctrl-C stops it.")
        task = await stand.started("stand.sell")
        head, reason, times, action = (await stand.said(task, "attempt 2")).splitlines()
        assert head == f"{task}  in_progress"
        assert reason == "* step 'charge' waits for attempt 2 of 2, after RetryableError: the bank is closed"
        assert times.startswith("    since ")
        assert ", until " in times
        assert action == f"    $ tasker retry-step {task} charge --reason 'WHY'"

        worker.tell(signal.SIGKILL)
        await worker.process.wait()
    told = (await stand("why", task, "--json")).out
    found = json.loads(told)
    assert (found["state"], found["source"]) == ("in_progress", "history")
    alarm, backoff = found["reasons"]
    assert alarm["sentence"].startswith("the task waits for a worker that answers: ")
    assert alarm["sentence"].endswith("and has said nothing within 1.5 s")
    assert backoff["sentence"] == reason.removeprefix("* ")
    status = await stand("status", task)
    assert status.code == 0
    assert "RetryableError: the bank is closed; again at " in status.out
    assert status.err == f"Warning: {alarm['sentence']}\n" or "none polls task queue" in status.err


async def test_status_of_a_task_that_no_worker_takes_says_so(stand: Stand) -> None:
    task = await stand.started("stand.crowd")
    ended = await stand("status", task)
    assert ended.code == 0
    assert ended.out.startswith(f"{task}  pending  0 %\nstand.crowd 1.0.0, has not begun\n")
    assert ended.err == (
        f"Warning: the task waits for a worker: none polls task queue '{stand.queue}-idle', "
        "and something has come that it must take up\n"
    )


async def test_an_action_reaches_the_server_that_was_asked(stand: Stand) -> None:
    task = await stand.started("stand.crowd")
    ended = await stand("why", task, "--address", stand.address, "--namespace", "default")
    assert ended.out.splitlines()[0].endswith("(no worker answers; this is what its history tells)")
    assert ended.out.splitlines()[-1] == (
        f"    $ tasker worker --task-queue {stand.queue}-idle --address {stand.address} --namespace default"
    )


async def test_a_long_list_is_cut_unless_all_of_it_is_asked_for(stand: Stand) -> None:
    idle = ("--task-queue", f"{stand.queue}-idle")
    async with Running("worker", *idle, folder=stand.folder, TEMPORAL_ADDRESS=stand.address) as worker:
        await worker.until("Ctrl-C stops it.")
        task = await stand.started("stand.crowd")
        while "step 'first' waits for a worker: " not in (ended := await stand("why", task)).out:
            assert ended.code == 0
    assert ended.out.count("\n* ") == 30
    assert ended.err == f"And 11 more: tasker why {task} --all\n"
    everything = await stand("why", task, "--all")
    assert (everything.out.count("these steps to be over: first"), everything.err) == (40, "")


async def test_a_task_that_nobody_knows_is_one_line(stand: Stand) -> None:
    ended = await stand("why", "nobody")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Error: there is no task 'nobody' in namespace 'default': look for it with `tasker list`\n"


OF_TASK = ("hold", "pause", "move")


@pytest.mark.parametrize("kind", ACTIONS)
def test_every_action_is_a_command_that_can_be_pasted(kind: str) -> None:
    line = {"kind": kind, "step": None if kind in OF_TASK else "pay", "what": "it", "could": ACTIONS[kind]}
    action = reason(line, Seen("it's 1", Described(DescribeWorkflowExecutionResponse()))).action
    assert action is not None
    program, verb, *words = shlex.split(action)
    assert (program, words[0]) == ("tasker", "it's 1")
    parsed = commands.commands[verb].make_context(verb, words)
    assert (parsed.params["task"], parsed.params["reason"]) == ("it's 1", "WHY")
    assert parsed.params.get("step") == line["step"]


def test_the_other_actions_are_commands_too() -> None:
    for action in (run_worker("a queue"), request("retry", "task-1")):
        _, verb, *words = shlex.split(action)
        assert commands.commands[verb].make_context(verb, words).params
