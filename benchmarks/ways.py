"""The ways to run a shape on Temporal that are compared, each with a worker process of its own.

`python -m benchmarks.ways WAY TARGET` is that worker; it ends with its standard input.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Replayer, Worker

from benchmarks import handwritten
from benchmarks.declared import HELD, TEMPLATES
from benchmarks.orders import ORDER
from benchmarks.shapes import Shape
from tasker_temporal import TaskerPlugin, start_task
from tasker_temporal.telemetry import Telemetry

Start = Callable[[Client, Shape], Awaitable[WorkflowHandle[Any, Any]]]


@dataclass(frozen=True)
class Way:
    """How a shape is run.

    Attributes:
        start: Starts one run of a shape; the handle waits for its end.
        options: Those of its worker and its replayer, beside the plugins and the converter.
    """

    name: str
    title: str
    start: Start
    options: Mapping[str, Any]
    plugins: Callable[[], list[Any]] = list
    data_converter: DataConverter = DataConverter.default
    runtime: Callable[[], Runtime | None] = lambda: None

    @property
    def queue(self) -> str:
        return f"bench-{self.name}"

    async def connect(self, target: str) -> Client:
        return await Client.connect(
            target, plugins=self.plugins(), data_converter=self.data_converter, runtime=self.runtime()
        )

    def worker(self, client: Client) -> Worker:
        return Worker(client, task_queue=self.queue, **self.options)

    def replayer(self) -> Replayer:
        workflows = self.options.get("workflows", [])
        return Replayer(workflows=workflows, plugins=self.plugins(), data_converter=self.data_converter)


def _by_library(name: str) -> Start:
    async def start(client: Client, shape: Shape) -> WorkflowHandle[Any, Any]:
        task = await start_task(client, TEMPLATES[shape.name], ORDER, task_queue=f"bench-{name}")
        return task.workflow

    return start


def _by_hand(name: str, title: str, classes: Mapping[str, type[Any]]) -> Way:
    async def start(client: Client, shape: Shape) -> WorkflowHandle[Any, Any]:
        run, arguments = classes[shape.name].__name__, handwritten.arguments(shape.name, ORDER)
        return await client.start_workflow(run, args=arguments, id=f"{run}-{uuid.uuid4()}", task_queue=f"bench-{name}")

    workflows = [*dict.fromkeys(classes.values()), handwritten.Held]
    options = {"workflows": workflows, "activities": [handwritten.do_step]}
    return Way(name, title, start, options, data_converter=pydantic_data_converter)


class Encoded(SpanExporter):
    """Spans become the bytes that a collector would be sent, and are dropped."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def _told() -> list[Any]:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Encoded()))
    return [TaskerPlugin(*TEMPLATES.values(), HELD, telemetry=Telemetry(provider))]


def _measured() -> Runtime:
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address="127.0.0.1:0")))


LIBRARY: Final = Way(
    "library", "this library", _by_library("library"), {}, lambda: [TaskerPlugin(*TEMPLATES.values(), HELD)]
)
TOLD: Final = Way("told", "with telemetry", _by_library("told"), {}, _told, runtime=_measured)
SANDBOXED: Final = _by_hand("sandboxed", "by hand", handwritten.SANDBOXED)
UNSANDBOXED: Final = _by_hand("unsandboxed", "by hand, no sandbox", handwritten.UNSANDBOXED)

WAYS: Final = {way.name: way for way in (LIBRARY, SANDBOXED, UNSANDBOXED)}
LISTENED: Final = {way.name: way for way in (LIBRARY, TOLD)}
"""What telemetry costs: spans to a batching exporter that encodes them, metrics to Prometheus."""


async def work(way: Way, target: str) -> None:
    """Run the way's worker until standard input ends, as it does when the measuring process does."""
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
    async with way.worker(await way.connect(target)):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(work((WAYS | LISTENED)[sys.argv[1]], sys.argv[2]))
    os._exit(0)
