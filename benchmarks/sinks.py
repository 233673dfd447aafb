"""What a sink costs, and how fast and how late it is told: 10,000 events through a webhook into another process.

A hundred tasks of 33 steps that return at once, twenty at a time: without a sink, with one as it comes, which is told
when a task is over, and with one that is told within a second, in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from time import perf_counter, process_time
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.rig import at_most, conditions, p50_p95
from tasker_temporal import TaskerPlugin, TaskTemplate, start_task
from tasker_temporal.core.rows import salted
from tasker_temporal.dev import DevServer
from tasker_temporal.sinks import Sink, Webhook
from tasker_temporal.sinks.events import events_of
from tasker_temporal.testing import run_task
from tasker_temporal.wire import Batch

TASKS, STEPS, CONCURRENCY = 100, 33, 20
EVENTS = 10_000

SINKS: dict[str, tuple[Sink, ...]] = {
    "without": (),
    "as_it_comes": (Sink(name="hooks"),),
    "prompt": (Sink(name="hooks", batch=50, within=timedelta(seconds=1)),),
}


async def nothing() -> None: ...


def template(way: str, name: str = "") -> TaskTemplate[object]:
    """Steps that do not wait for one another."""
    made = TaskTemplate[object](f"bench.{name or way}", sinks=SINKS[way])
    for number in range(STEPS):
        made.add_step(f"step{number}", nothing)
    return made


FLOWS = {way: template(way) for way in SINKS}


class Receiver(BaseHTTPRequestHandler):
    """Notes for each event when it came, and how long after its row was written."""

    protocol_version = "HTTP/1.1"
    lags: list[tuple[str, str, float]] = []  # noqa: RUF012  the process has one

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        now = datetime.now(UTC)
        for event in events:
            lag = now - datetime.fromisoformat(event["time"])
            self.lags.append((event["source"].rpartition(".")[2], event["type"], lag.total_seconds() * 1000))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quietly."""


def receive() -> None:
    """Serve until the input ends, then print what came."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    print(json.dumps(Receiver.lags))


@asynccontextmanager
async def receiving() -> AsyncIterator[tuple[str, list[list[Any]]]]:
    """The receiver's URL, and when the block is left what it got."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sinks", "--receive", stdin=PIPE, stdout=PIPE, limit=2**26
    )
    assert process.stdin is not None
    assert process.stdout is not None
    got: list[list[Any]] = []
    yield f"http://127.0.0.1:{int(await process.stdout.readline())}/", got
    process.stdin.close()
    got += json.loads(await process.stdout.read())
    await process.wait()


async def alone(url: str) -> dict[str, float]:
    """The webhook without Temporal: events of a task that ran in memory, as a worker that has its rows sends them.

    Under a name of their own, because their time is virtual, and so is their lag.
    """
    task = await run_task(template("as_it_comes", "alone"), None)
    digest = salted(task.task.key, task.task.context.data)
    batch = Batch.of(task.task, digest, task.task.outboxes["hooks"], 1, task.audit)
    webhook, count, start = Webhook(url), 0, perf_counter()
    while count < EVENTS:
        events = list(events_of(batch, batch.unpacked(), "alone", 1))
        await webhook(events)
        count += len(events)
    return {"events": count, "events_a_second": round(count / (perf_counter() - start))}


async def run(client: Client, flow: TaskTemplate[object], queue: str) -> dict[str, float]:
    """All tasks of one kind."""

    async def one() -> None:
        await (await start_task(client, flow, None, task_queue=queue)).result()

    cpu = process_time()
    seconds = await at_most(CONCURRENCY, TASKS, one)
    return {"seconds": seconds, "cpu_ms_a_task": (process_time() - cpu) * 1000 / TASKS}


async def measure(rounds: int) -> dict[str, Any]:
    """One line for each way."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in FLOWS}
    async with receiving() as (url, got), DevServer(ui_port=None) as server:
        client = await server.client(plugins=[TaskerPlugin(*FLOWS.values(), sinks={"hooks": Webhook(url)})])
        async with Worker(client, task_queue=(queue := f"bench-{uuid.uuid4()}")):
            await run(client, FLOWS["without"], queue)
            for _ in range(rounds):
                for way, flow in FLOWS.items():
                    found[way].append(await run(client, flow, queue))
        webhook = await alone(url)
    return {
        "conditions": conditions(),
        "webhook_alone": webhook,
        **{way: _line(found[way], [g for g in got if g[0] == way]) for way in FLOWS},
    }


def _line(taken: list[dict[str, float]], got: list[list[Any]]) -> dict[str, Any]:
    line: dict[str, Any] = {key: round(median(each[key] for each in taken), 2) for key in taken[0]}
    if got:
        line["events"] = len(got)
        line["events_a_second"] = round(len(got) / sum(each["seconds"] for each in taken))
        line["lag_ms"] = p50_p95([lag for _, _, lag in got])
        line["lag_ms_of_the_end"] = p50_p95([lag for _, name, lag in got if name == "task.completed"])
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of 10,000 events each")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.receive:
        receive()
    else:
        print(json.dumps(asyncio.run(measure(asked.rounds)), indent=2))


if __name__ == "__main__":
    main()
