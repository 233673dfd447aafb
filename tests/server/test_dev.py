"""The embedded server serves, keeps its file, says why it did not start, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import http.client
import importlib.metadata
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from tasker_temporal import dev
from tasker_temporal.dev import DevServer, find_server
from tasker_temporal.errors import ServerFailed, ServerNotFound
from tests.patience import until_visible


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((dev.IP, 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the `temporal` command that stands first on PATH; a test writes the script."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "temporal"


def script(path: Path, *lines: str) -> None:
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def get(url: str) -> http.client.HTTPResponse:
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)) as connection:
        connection.request("GET", "/")
        return connection.getresponse()


async def start_unattended(client: Client, workflow_id: str) -> None:
    await client.start_workflow("nobody.runs_this", id=workflow_id, task_queue="nobody")


async def listed(client: Client) -> list[str]:
    return [workflow.id async for workflow in client.list_workflows()]


async def test_it_serves_on_free_ports_and_leaves_no_process() -> None:
    async with DevServer() as server:
        client = await server.client()
        await start_unattended(client, "one")
        await until_visible(client, "WorkflowId = 'one'")
        assert server.target == f"127.0.0.1:{server.port}"
        assert server.port not in (0, server.ui_port)
        pid = server.pid
        assert pid is not None
        assert is_running(pid)
    assert server.pid is None
    assert not is_running(pid)


async def test_its_user_interface_answers_where_ui_url_says() -> None:
    async with DevServer() as server:
        assert server.ui_url == f"http://127.0.0.1:{server.ui_port}"
        assert (await asyncio.to_thread(get, server.ui_url)).status == 200


async def test_without_user_interface_there_is_no_address_of_one() -> None:
    async with DevServer(ui_port=None) as server:
        assert server.ui_url is None


async def test_two_of_them_live_side_by_side_on_one_machine() -> None:
    async with DevServer(ui_port=None) as one, DevServer(ui_port=None, namespace="two") as two:
        await start_unattended(await two.client(), "of two")
        await until_visible(await two.client(), "WorkflowId = 'of two'")
        assert await listed(await one.client()) == []


async def test_what_its_file_holds_survives_a_restart(tmp_path: Path) -> None:
    server = DevServer(db=tmp_path / "tasker.db", ui_port=None)
    async with server:
        await start_unattended(await server.client(), "kept")
    async with server:
        description = await (await server.client()).get_workflow_handle("kept").describe()
    assert description.status is WorkflowExecutionStatus.RUNNING


async def test_extra_arguments_reach_the_server() -> None:
    async with DevServer(ui_port=None, extra_args=["--search-attribute", "TaskerState=Keyword"]) as server:
        counted = await (await server.client()).count_workflows("TaskerState = 'error'")
    assert counted.count == 0


async def test_it_is_silent_and_writes_a_log_where_one_is_asked_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with DevServer(ui_port=None, log=tmp_path / "server.log"):
        assert "level=WARN" in (tmp_path / "server.log").read_text()
    assert capfd.readouterr() == ("", "")


async def test_a_ctrl_c_in_the_terminal_does_not_reach_it() -> None:
    async with DevServer(ui_port=None) as server:
        assert server.pid is not None
        assert os.getpgid(server.pid) != os.getpgrp()


@pytest.mark.parametrize("which", ["port", "ui_port"])
async def test_a_taken_port_is_named(taken: int, which: str) -> None:
    with pytest.raises(ServerFailed, match=rf"port {taken} of 127\.0\.0\.1 .* another port"):
        async with DevServer(**{which: taken}):  # type: ignore[arg-type]  # one of two ports
            pytest.fail("it served on a port of somebody else")


async def test_an_early_end_shows_the_last_lines_and_the_command(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "tasker.db"
    with pytest.raises(ServerFailed, match=r"(?s)ended with code 1 .*no such file or directory.* server start-dev "):
        async with DevServer(db=nowhere, ui_port=None):
            pytest.fail("it served from a folder that is not there")


async def test_an_older_command_is_not_given_flags_it_does_not_know(command: Path) -> None:
    script(command, "echo $*", "exit 1")
    with pytest.raises(ServerFailed, match="--ui-port") as failed:
        async with DevServer():
            pytest.fail("an echo served")
    assert "--ui-disable-news-fetch" not in str(failed.value)


async def test_a_server_that_never_serves_is_given_up_in_time_and_stopped(command: Path) -> None:
    pid_file = command.with_name("pid")
    script(command, f"echo $$ > {pid_file}", "echo still thinking", "exec sleep 3600")
    with pytest.raises(ServerFailed, match=r"(?s)within 1 s.*still thinking"):
        async with DevServer(ui_port=None, timeout=1.0):
            pytest.fail("a sleeping shell served")
    assert not is_running(int(pid_file.read_text()))


async def test_a_server_deaf_to_the_polite_signal_is_killed(command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "_STOP_SECONDS", 0.1)
    pid_file = command.with_name("pid")
    script(command, "trap '' TERM", f"echo $$ > {pid_file}", "exec sleep 3600")
    with pytest.raises(ServerFailed, match="it said nothing"):
        async with DevServer(ui_port=None, timeout=1.0):
            pytest.fail("a sleeping shell served")
    assert not is_running(int(pid_file.read_text()))


async def test_an_error_in_the_block_stops_it_too() -> None:
    pids = []

    async def fail_inside() -> None:
        async with DevServer(ui_port=None) as server:
            pids.append(server.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_inside()
    [pid] = pids
    assert pid is not None
    assert not is_running(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
async def test_it_does_not_outlive_a_killed_owner() -> None:
    program = (
        "import asyncio\n"
        "from tasker_temporal.dev import DevServer\n"
        "async def main():\n"
        "    async with DevServer(ui_port=None) as server:\n"
        "        print(server.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert owner.stdout is not None
    server = os.pidfd_open(int(await owner.stdout.readline()))
    owner.send_signal(signal.SIGKILL)
    await owner.communicate()
    ended, _, _ = await asyncio.to_thread(select.select, [server], [], [], 10)
    os.close(server)
    assert ended, "the server still runs"


def test_the_command_on_path_comes_first(command: Path) -> None:
    script(command, "exit 0")
    assert find_server() == str(command)


def test_the_package_is_found_when_path_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert Path(find_server()).name == "temporal"


async def test_without_any_command_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_package(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib.metadata, "files", no_package)
    with pytest.raises(ServerNotFound, match=r"pip install 'tasker-temporal\[dev\]'"):
        async with DevServer():
            pytest.fail("it served without a server")
