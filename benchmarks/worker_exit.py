"""How a worker's process ends: it is started, runs one task, and gets SIGTERM, again and again.

The SDK's runtime can abort a process while the interpreter takes itself apart, so one clean end proves little. This
counts the exit codes of many, and times them from the signal to the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from temporalio.client import Client

from tasker_temporal import start_task
from tasker_temporal.dev import DevServer

ROOT = Path(__file__).parents[1]
APP, TEMPLATE = "examples.order_fulfillment.template:fulfill_order", "shop.fulfill_order"
AT_ONCE = 2


class Exit(NamedTuple):
    """One process: its exit code (minus the signal that ended it), and the seconds from SIGTERM to its end."""

    code: int
    seconds: float


async def exits(server: DevServer, runs: int) -> list[Exit]:
    """Let so many workers run a task each and end."""
    client, room = await server.client(), asyncio.Semaphore(AT_ONCE)

    async def one() -> Exit:
        async with room:
            return await _exit(server, client)

    return list(await asyncio.gather(*(one() for _ in range(runs))))


async def _exit(server: DevServer, client: Client) -> Exit:
    queue = f"queue-{uuid.uuid4()}"
    command = [sys.executable, "-m", "tasker_temporal", "worker", "--app", APP, "--task-queue", queue]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--address",
        server.target,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=PIPE,
        stderr=DEVNULL,
    )
    await _until_it_works(process)
    await (await start_task(client, TEMPLATE, _order(), task_queue=queue)).result()
    told = time.perf_counter()
    process.terminate()
    await process.communicate()
    assert process.returncode is not None
    return Exit(process.returncode, time.perf_counter() - told)


async def _until_it_works(process: Process) -> None:
    assert process.stdout is not None
    while b"Ctrl-C" not in (line := await process.stdout.readline()):
        assert line, "the worker ended before it worked"


def _order() -> object:
    with (ROOT / "examples" / "order_fulfillment" / "orders.jsonl").open(encoding="utf-8") as lines:
        return json.loads(next(lines))


async def _measure(runs: int) -> list[Exit]:
    async with DevServer(ui_port=None) as server:
        return await exits(server, runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Exits with 1 if a process ended with another code than 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.worker_exit", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--runs", type=int, default=100, help="how many workers are started and ended")
    found = asyncio.run(_measure(parser.parse_args(arguments).runs))
    codes, seconds = Counter(each.code for each in found), [each.seconds for each in found]
    told = ", ".join(f"code {code}: {count}" for code, count in sorted(codes.items()))
    print(f"{len(found)} workers ended: {told}")
    print(f"seconds from SIGTERM to the end: median {median(seconds):.2f}, longest {max(seconds):.2f}")
    return 0 if set(codes) == {0} else 1


if __name__ == "__main__":
    sys.exit(main())
