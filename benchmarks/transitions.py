"""How long a request takes, there and back: a step is skipped, or a skip is refused, in an open task of 1,000 steps.

Once while nothing else happens, and once while the same worker runs 20 linear tasks of five steps at a time. Beside it
the same of a workflow written by hand, whose updates note the request and check nothing, as the floor.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from temporalio.client import WorkflowUpdateFailedError

from benchmarks.declared import HELD
from benchmarks.handwritten import Held
from benchmarks.orders import ORDER
from benchmarks.rig import Bench, benches, conditions, p50_p95, require_linux, timed
from benchmarks.shapes import SHAPES
from benchmarks.ways import LIBRARY, UNSANDBOXED, WAYS
from tasker_temporal import RequestRefused, State, start_task

LOOPS = 20
"""Tasks at a time, of the load."""

GOALS = {"idle": 20.0, "under load": 100.0}
"""Milliseconds, of the 95th percentile."""

WHO = {"actor": "benchmark", "reason": "measured"}

Skip = Callable[[str], Awaitable[object]]
"""Asks to skip a step of one open task. One that is refused returns all the same."""


async def _of_library(bench: Bench) -> Skip:
    task = await start_task(bench.client, HELD, ORDER, task_queue=bench.way.queue)
    while (await task.report()).steps["hold"].state is not State.IN_PROGRESS:
        await asyncio.sleep(0.05)

    async def skip(step: str) -> None:
        with suppress(RequestRefused):
            await task.skip(step, **WHO)

    return skip


async def _by_hand(bench: Bench) -> Skip:
    held = await bench.client.start_workflow(Held.run, ORDER, id=f"held-{uuid.uuid4()}", task_queue=bench.way.queue)

    async def skip(step: str) -> None:
        with suppress(WorkflowUpdateFailedError):
            await held.execute_update(Held.skip, {"step": step, **WHO})

    return skip


OPENED: Final = {LIBRARY.name: _of_library, UNSANDBOXED.name: _by_hand}


async def measure(count: int) -> list[dict[str, Any]]:
    """One line for each load, way and kind of request."""
    async with benches([LIBRARY, UNSANDBOXED]) as found:
        lines = [line for bench in found for line in await _requests(bench, "idle", count)]
        for bench in found:
            async with _load(bench):
                lines += await _requests(bench, "under load", count)
        return lines


async def _requests(bench: Bench, load: str, count: int) -> list[dict[str, Any]]:
    skip = await OPENED[bench.way.name](bench)
    times: dict[str, list[float]] = {"applied": [], "refused": []}
    for number in range(count):
        for kind, step in (("applied", f"step_{number}"), ("refused", "hold")):
            times[kind].append(await timed(lambda step=step: skip(step)))  # type: ignore[misc]
    return [
        {"load": load, "way": bench.way.name, "request": kind, "goal": GOALS[load], **p50_p95(found)}
        for kind, found in times.items()
    ]


@asynccontextmanager
async def _load(bench: Bench) -> AsyncIterator[None]:
    async def loop() -> None:
        while True:
            await (await bench.way.start(bench.client, SHAPES["linear-5"])).result()

    loops = [asyncio.create_task(loop()) for _ in range(LOOPS)]
    await asyncio.sleep(2)
    try:
        yield
    finally:
        for one in loops:
            one.cancel()
        await asyncio.gather(*loops, return_exceptions=True)


def table(lines: Sequence[dict[str, Any]]) -> Table:
    """For people."""
    made = Table(title="A request, there and back: milliseconds")
    for column in ("load", "way", "request", "p50", "p95", "goal of p95"):
        made.add_column(column, justify="right" if column.startswith("p") else "left")
    for line in lines:
        verdict = "met" if line["p95"] < line["goal"] else "missed"
        goal = f"{line['goal']:g}, {verdict}" if line["way"] == LIBRARY.name else ""
        title = WAYS[line["way"]].title
        made.add_row(line["load"], title, line["request"], str(line["p50"]), str(line["p95"]), goal)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transitions", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--requests", type=int, default=150, help="of each kind, at most 900 (default: 150)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args(arguments)
    require_linux()
    begin = conditions()
    lines = asyncio.run(measure(min(options.requests, 900)))
    if options.json is not None:
        options.json.write_text(json.dumps({"conditions": begin, "lines": lines}, indent=2) + "\n")
    Console(width=120).print(table(lines), begin)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
