"""The same shapes by this library and on DBOS, in turn, on one machine: with PostgreSQL, if it is here, and SQLite.

DBOS is installed into `.bench-venv`, which git ignores. Its workflows, their steps and their caller share one process;
this library has a process for each. So CPU time is that of all processes, the servers' included. Temporal's server
keeps its state in memory here, SQLite and PostgreSQL theirs in files under /tmp, as they come.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import venv
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks import postgres
from benchmarks.overhead import STEPS_ALONE, sample
from benchmarks.rig import Bench, benches, conditions, cpu_ms, p50_p95, require_linux
from benchmarks.shapes import SHAPES, Shape
from benchmarks.ways import LIBRARY

DBOS: Final = "dbos==3.4.0"
FOLDER: Final = Path(__file__).parent.parent / ".bench-venv"
STEPS_A_ROUND = 1000

Round = Callable[[Shape, int, int], Awaitable[dict[str, Any]]]
"""Runs so many tasks of a shape one by one, and so many together."""


def installed() -> Path:
    """The Python that has DBOS. Made at the first time."""
    python = FOLDER / "bin" / "python"
    stamp = FOLDER / DBOS
    if not stamp.exists():
        print(f"installing {DBOS} into {FOLDER} ...", file=sys.stderr)
        venv.create(FOLDER, with_pip=True, clear=True)
        (FOLDER / ".gitignore").write_text("*\n")
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", DBOS], check=True)
        stamp.touch()
    return python


async def dbos(stack: AsyncExitStack, python: Path, url: str, servers: Callable[[], list[int]]) -> Round:
    """DBOS on the database at `url`. `servers` gives the pids of what serves it."""
    command = (str(python), "-m", "benchmarks.dbos_side", url)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=FOLDER.parent)
    stack.push_async_callback(_end, process)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout
    if await stdout.readline() != b"ready\n":
        raise RuntimeError(f"DBOS did not start: {' '.join(command)}")

    async def run(shape: Shape, alone: int, together: int) -> dict[str, Any]:
        before = {pid: cpu_ms(pid) for pid in servers()}
        stdin.write(json.dumps({"shape": shape.name, "alone": alone, "together": together}).encode() + b"\n")
        told = json.loads(await stdout.readline())
        served = sum(cpu_ms(pid) - before.get(pid, 0) for pid in servers())
        # The server's time was also spent on those one by one.
        cpu = told["cpu"] + served * together / (alone + together)
        return _line(shape, together, told["ms"], told["seconds"], cpu)

    return run


async def _end(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


def library(bench: Bench) -> Round:
    """This library; the client is this process."""

    async def run(shape: Shape, alone: int, together: int) -> dict[str, Any]:
        mine = process_time()
        told = await sample(bench, shape, alone, together)
        client = (process_time() - mine) * 1000 * together / (alone + together + 1)
        steps = together * len(shape)
        cpu = client + (told["worker"] + told["server"]) * steps
        return _line(shape, together, told["ms"], steps / told["steps_s"], cpu)

    return run


def _line(shape: Shape, tasks: int, latencies: list[float], seconds: float, cpu: float) -> dict[str, Any]:
    steps = tasks * len(shape)
    return {"ms": latencies, "steps_s": steps / seconds, "cpu": cpu / steps}


async def measure(rounds: int, shapes: Sequence[Shape]) -> list[dict[str, Any]]:
    """One line for each shape and peer."""
    python, found = installed(), []
    async with AsyncExitStack() as stack:
        peers = await _peers(stack, python)
        samples: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for number in range(rounds + 1):
            for shape in shapes:
                alone, together = (max(steps // len(shape), 2) for steps in (STEPS_ALONE, STEPS_A_ROUND))
                for name, run in peers.items():
                    taken = await run(shape, *((2, 2) if number == 0 else (alone, together)))
                    samples.setdefault((shape.name, name), []).extend([taken] if number else [])
        for (shape_name, name), taken_all in samples.items():
            found.append({"shape": shape_name, "peer": name, **_median(taken_all)})
    return found


async def _peers(stack: AsyncExitStack, python: Path) -> dict[str, Round]:
    [bench] = await stack.enter_async_context(benches([LIBRARY]))
    peers = {"this library": library(bench)}
    folder = stack.enter_context(TemporaryDirectory())
    peers["DBOS, SQLite"] = await dbos(stack, python, f"sqlite:///{folder}/dbos.sqlite", list)
    if postgres.is_here():
        server = stack.enter_context(postgres.serving())
        peers["DBOS, PostgreSQL"] = await dbos(stack, python, server.url, server.pids)
    else:
        print(postgres.MISSING, file=sys.stderr)
    return peers


def _median(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    figures = {name: round(median(taken[name] for taken in samples), 2) for name in ("steps_s", "cpu")}
    return p50_p95([ms for taken in samples for ms in taken["ms"]]) | figures


def table(lines: Sequence[dict[str, Any]]) -> Table:
    """For people."""
    made = Table(title="This library and DBOS, in turn on one machine")
    for column in ("shape", "by", "p50 ms", "p95 ms", "steps/s", "CPU ms/step, all processes"):
        made.add_column(column, justify="left" if column in ("shape", "by") else "right")
    for line in lines:
        made.add_row(*(f"{value:g}" if isinstance(value, float) else value for value in line.values()))
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each case is measured (default: 3)")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), metavar="SHAPE", help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    require_linux()
    begin = conditions()
    lines = asyncio.run(measure(options.rounds, [SHAPES[name] for name in options.shapes]))
    if options.json is not None:
        options.json.write_text(json.dumps({"conditions": begin, "peer": DBOS, "lines": lines}, indent=2) + "\n")
    Console(width=120).print(table(lines), begin, DBOS)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
