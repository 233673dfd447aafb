"""`tasker dev` serves until it is told to stop, and says in one line why it cannot."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from temporalio.client import Client

from tasker_temporal.cli import tasker as commands
from tasker_temporal.dev import IP
from tests.cli.kit import Running, tasker


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_a_signal_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    async with Running("dev", "--port", "0", "--ui-port", "0", folder=tmp_path) as dev:
        address = (await dev.until("Temporal serves at")).split()[-1]
        await dev.until("Ctrl-C stops it.")
        assert await (await Client.connect(address)).service_client.check_health()
        dev.tell(number)
        ended = await dev.ended()
    assert (ended.code, ended.err) == (0, "")
    assert re.search(r"web UI +http://127\.0\.0\.1:\d+\n", ended.out)
    assert ended.out.endswith("Stopped.\n")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address.split(":"))


async def test_headless_it_has_no_ui_and_a_file_keeps_its_state(tmp_path: Path) -> None:
    async with Running("dev", "--headless", "--port", "0", "--db", "kept.db", folder=tmp_path) as dev:
        await dev.until("Ctrl-C stops it.")
        dev.tell()
        ended = await dev.ended()
    assert ended.code == 0
    assert "none (--headless)" in ended.out
    assert "kept.db" in ended.out
    assert (tmp_path / "kept.db").exists()


async def test_a_taken_port_is_one_line_and_code_2(tmp_path: Path) -> None:
    with socket.create_server((IP, 0)) as taken:
        port = taken.getsockname()[1]
        ended = await tasker("dev", "--headless", "--port", str(port), folder=tmp_path)
    assert ended.code == 2
    assert re.fullmatch(rf"Error: port {port} of 127\.0\.0\.1 cannot be used .* another port .*\n", ended.err)


async def test_a_folder_that_is_not_there_is_one_line_and_code_2(tmp_path: Path) -> None:
    ended = await tasker("dev", "--db", "nowhere/kept.db", "--port", "0", folder=tmp_path)
    assert ended.code == 2
    assert ended.err == f"Error: there is no folder {str(tmp_path / 'nowhere')!r} for the file of --db: make it first\n"


@pytest.mark.skipif(sys.platform != "linux", reason="finds the server's process as Linux tells it")
async def test_a_server_that_ends_by_itself_is_told(tmp_path: Path) -> None:
    async with Running("dev", "--headless", "--port", "0", folder=tmp_path) as dev:
        await dev.until("Ctrl-C stops it.")
        pid = dev.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in children:
            await asyncio.create_subprocess_exec("kill", "-KILL", child)
        ended = await dev.ended()
    assert (ended.code, ended.err) == (1, "Error: the server ended by itself, with code -9\n")


async def test_help_names_the_commands(tmp_path: Path) -> None:
    ended = await tasker("--help", folder=tmp_path)
    assert ended.code == 0
    assert set(re.findall(r"^  ([a-z][\w-]*)  ", ended.out, re.MULTILINE)) == set(commands.commands)
