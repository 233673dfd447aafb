"""The shapes on DBOS: its workflows, steps and their caller in one process, as DBOS has it.

Runs in an environment of its own (`benchmarks.peers` makes it), so it imports nothing of this library. Each line of its
standard input is one round to run, each line of its standard output what was measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from time import perf_counter, process_time
from typing import Any

from dbos import DBOS  # type: ignore[import-not-found, unused-ignore]

from benchmarks.shapes import SHAPES

ORDER = "A-1001"
CONCURRENCY = 30

Run = Callable[[str], Coroutine[Any, Any, int]]


@DBOS.step()  # type: ignore[untyped-decorator, unused-ignore]
async def do_step(order: str) -> int:
    return len(order)


@DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
async def in_turn(order: str) -> int:
    return sum([await do_step(order) for _ in range(5)])


@DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
async def in_a_diamond(order: str) -> int:
    top = await do_step(order)
    left, right = await asyncio.gather(do_step(order), do_step(order))
    return int(top + left + right + await do_step(order))


@DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
async def in_a_graph(order: str) -> int:
    running: dict[str, asyncio.Task[int]] = {}

    async def run(after: tuple[str, ...]) -> int:
        await asyncio.gather(*(running[name] for name in after))
        return int(await do_step(order))

    for name, after in SHAPES["random-50"].after.items():
        running[name] = asyncio.create_task(run(after))
    return sum(await asyncio.gather(*running.values()))


@DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
async def hundred_at_once(order: str) -> int:
    return sum(await asyncio.gather(*(do_step(order) for _ in range(100))))


@DBOS.workflow()  # type: ignore[untyped-decorator, unused-ignore]
async def thousand_at_once(order: str) -> int:
    return sum(await asyncio.gather(*(do_step(order) for _ in range(1000))))


RUNS: dict[str, Run] = {
    "linear-5": in_turn,
    "diamond-4": in_a_diamond,
    "random-50": in_a_graph,
    "fan-100": hundred_at_once,
    "fan-1000": thousand_at_once,
}


async def sample(run: Run, alone: int, together: int) -> dict[str, Any]:
    """One round: so many one by one, then so many together."""
    latencies = [await _timed(run) for _ in range(alone)]
    left = iter(range(together))

    async def runs() -> None:
        for _ in left:
            await run(ORDER)

    start, cpu = perf_counter(), process_time()
    await asyncio.gather(*(runs() for _ in range(min(CONCURRENCY, together))))
    return {"ms": latencies, "seconds": perf_counter() - start, "cpu": (process_time() - cpu) * 1000}


async def _timed(run: Run) -> float:
    start = perf_counter()
    await run(ORDER)
    return (perf_counter() - start) * 1000


async def main(url: str) -> None:
    """Serve rounds until standard input ends."""
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False})
    DBOS.launch()
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        wanted = json.loads(line)
        found = await sample(RUNS[wanted["shape"]], wanted["alone"], wanted["together"])
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    os._exit(0)
