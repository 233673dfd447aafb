"""What a task costs by this library, and as a workflow written by hand, with and without the SDK's sandbox.

Each way has a worker process of its own, and one server in memory serves all. The ways take turns, shape by shape and
round by round, so that a busy machine disturbs all of them alike. CPU time is the figure to trust: it repeats within
some 5 %, while latencies and throughput are those of this machine at this hour.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from rich.console import Console
from rich.table import Table
from temporalio.client import WorkflowHistory

from benchmarks import gate
from benchmarks.rig import NOT_LINUX, Bench, at_most, benches, conditions, cpu_ms, p50_p95, require_linux, timed
from benchmarks.shapes import SHAPES, Shape
from benchmarks.ways import LISTENED, WAYS, Way

CONCURRENCY = 30
STEPS_ALONE, STEPS_A_ROUND, STEPS_REPLAYED = 100, 1500, 1000
"""About how many steps run one task at a time for the latency, together for everything else, and again in a replay."""

Sample = dict[str, Any]


async def sample(bench: Bench, shape: Shape, alone: int, together: int) -> Sample:
    """One round of one way: so many tasks one by one, then so many together."""

    async def run() -> None:
        handle = await bench.way.start(bench.client, shape)
        await handle.result()

    await run()
    latencies = [await timed(run) for _ in range(alone)]
    before = [cpu_ms(pid) for pid in bench.pids]
    seconds = await at_most(CONCURRENCY, together, run)
    worker, server = (cpu_ms(pid) - was for pid, was in zip(bench.pids, before, strict=True))
    steps = together * len(shape)
    return {"ms": latencies, "steps_s": steps / seconds, "worker": worker / steps, "server": server / steps}


def _tasks(shape: Shape, steps: int) -> int:
    return max(steps // len(shape), 2)


async def measure(rounds: int, shapes: Sequence[Shape], ways: Mapping[str, Way] = WAYS) -> list[dict[str, Any]]:
    """One line for each shape and way."""
    samples: dict[tuple[str, str], list[Sample]] = {}
    async with benches(ways.values()) as found:
        for number in range(rounds):
            for shape in shapes:
                for bench in _rotated(found, number):
                    taken = await sample(bench, shape, _tasks(shape, STEPS_ALONE), _tasks(shape, STEPS_A_ROUND))
                    samples.setdefault((shape.name, bench.way.name), []).append(taken)
        return [
            _line(shape, bench, samples[shape.name, bench.way.name]) | await _history(bench, shape)
            for shape in shapes
            for bench in found
        ]


def _rotated(found: Sequence[Bench], by: int) -> list[Bench]:
    """Nobody is always the first."""
    turn = by % len(found)
    return [*found[turn:], *found[:turn]]


def _line(shape: Shape, bench: Bench, samples: Sequence[Sample]) -> dict[str, Any]:
    return {
        "shape": shape.name,
        "way": bench.way.name,
        **p50_p95([ms for taken in samples for ms in taken["ms"]]),
        **{name: round(median(taken[name] for taken in samples), 2) for name in ("steps_s", "worker", "server")},
        "rounds": [round(taken["worker"], 2) for taken in samples],
    }


async def _history(bench: Bench, shape: Shape) -> dict[str, Any]:
    histories, sizes = [], []
    for _ in range(max(STEPS_REPLAYED // len(shape), 2)):
        handle = await bench.way.start(bench.client, shape)
        await handle.result()
        histories.append(await handle.fetch_history())
        sizes.append((await handle.describe()).raw_description.workflow_execution_info.history_size_bytes)
    lengths = [len(history.events) for history in histories]
    return {
        "events": round(median(lengths) / len(shape), 2),
        "bytes": round(median(sizes) / len(shape)),
        "replay": round(await _replay(bench, histories) / len(shape), 3),
    }


async def _replay(bench: Bench, histories: Sequence[WorkflowHistory]) -> float:
    """Milliseconds of CPU time a task."""
    replayer = bench.way.replayer()
    await replayer.replay_workflow(histories[0])

    async def told() -> Any:
        for history in histories:
            yield history

    start = process_time()
    await replayer.replay_workflows(told())
    return (process_time() - start) * 1000 / len(histories)


COLUMNS = {
    "p50": "p50 ms",
    "p95": "p95 ms",
    "steps_s": "steps/s",
    "worker": "worker CPU\nms/step",
    "server": "server CPU\nms/step",
    "events": "events\n/step",
    "bytes": "bytes\n/step",
    "replay": "replay CPU\nms/step",
}


def table(lines: Sequence[dict[str, Any]]) -> Table:
    """For people."""
    made = Table(title="A task by this library, and by hand (x = this library's figure divided by that one)")
    for column in ("shape", "way", *COLUMNS.values()):
        made.add_column(column, justify="left" if column in ("shape", "way") else "right", no_wrap=True)
    ours = {line["shape"]: line for line in lines if line["way"] == "library"}
    for line in lines:
        mine = line["way"] == "library"
        cells = (_cell(line[name], None if mine else ours[line["shape"]][name]) for name in COLUMNS)
        made.add_row(
            line["shape"] if mine else "", (WAYS | LISTENED)[line["way"]].title, *cells, end_section=line is lines[-1]
        )
    return made


def _cell(value: float, ours: float | None) -> str:
    return f"{value:g}" if ours is None or not value else f"{value:g} x{ours / value:.2f}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="worker CPU only; fail if this library is too slow")
    parser.add_argument("--rounds", type=int, default=3, help="how often each case is measured (default: 3)")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), metavar="SHAPE", help="only these")
    parser.add_argument(
        "--telemetry", action="store_true", help="this library with telemetry and without, and no other"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Exits with 1 if `--quick` found the library too slow."""
    options = _options(arguments)
    if options.quick and sys.platform != "linux":
        print(f"not measured: {NOT_LINUX}")
        return 0
    require_linux()
    if options.quick:
        return asyncio.run(gate.passes())
    begin, ways = conditions(), LISTENED if options.telemetry else WAYS
    lines = asyncio.run(measure(options.rounds, [SHAPES[name] for name in options.shapes], ways))
    found = {"conditions": begin | {"load_at_end": conditions()["load"]}, "rounds": options.rounds, "lines": lines}
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    Console(width=160).print(table(lines), found["conditions"])
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
