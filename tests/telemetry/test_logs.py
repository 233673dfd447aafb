"""Lines of the log say what they are about, once, and nothing of what a task holds."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import context as contexts
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

from tasker_temporal import Retry, StepContext, TaskerPlugin, TaskFailed, TaskTemplate, result_of, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.telemetry import JsonFormatter, Telemetry
from tasker_temporal.telemetry.catalogue import LEVELS, level_of
from tasker_temporal.telemetry.exported_logs import ExportingHandler
from tasker_temporal.telemetry.logs import FIELDS
from tests.server.conftest import worker
from tests.telemetry.picture import one
from tests.telemetry.receiver import Receiver, plain
from tests.telemetry.test_metrics import quiet

SECRET = "4111-1111-1111-1111"

Lines = list[dict[str, Any]]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged at INFO and above, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def lines(stream: io.StringIO) -> Lines:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def paying() -> TaskTemplate[str]:
    """Each of its steps meets the secret in another way."""
    template = TaskTemplate("pays.task", context=str)

    @template.step
    async def read(card: str, ctx: StepContext) -> str:
        logging.getLogger("shop").warning("reading a card")
        ctx.logger.info("read")
        return card

    @template.step(retry=Retry(attempts=2, base_delay=timedelta(milliseconds=1), jitter="none"))
    def pay(card: str = result_of(read)) -> None:
        raise ValueError(f"no money on {card}")

    return template


async def test_lines_are_told_once_and_hold_no_secret(
    server: DevServer, receiver: Receiver, provider: TracerProvider, written: io.StringIO, cache: int
) -> None:
    template = paying()
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
    plugin = TaskerPlugin(template, telemetry=Telemetry(provider))
    client = await server.client(plugins=[plugin], runtime=quiet(variables))
    async with worker(client, max_cached_workflows=cache) as working:
        task = await start_task(client, template, SECRET, task_queue=working.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
        receiver.until(lambda: "tasker_task_duration" in receiver.metrics, "the task's duration")
    provider.force_flush()
    found = [line for line in lines(written) if line.get("task_id") == task.id]
    said = [
        (line["level"], line.get("step"), line.get("event") or line["message"].partition(": ")[2]) for line in found
    ]
    assert [line for line in said if line[2].startswith(("task.", "step.", "attempt"))] == [
        ("INFO", None, "task.initialize_requested"),
        ("INFO", None, "task.start_requested"),
        ("WARNING", "pay", "attempt 1 of 2 failed: ValueError"),
        ("WARNING", "pay", "step.max_retries_reached"),
        ("WARNING", None, "task.failed"),
    ]
    trace_id = one(receiver.spans, "task pays.task").trace_id.hex()
    ours = [line for line in found if line["logger"].startswith(("tasker_temporal", "shop"))]
    assert {line["trace_id"] for line in ours} == {trace_id}
    assert all(set(line) <= set(FIELDS) for line in lines(written))
    assert SECRET not in written.getvalue()
    assert not any(SECRET.encode() in sent for sent in receiver.raw)


async def test_what_a_handler_logs_says_whose_it_is(
    server: DevServer, receiver: Receiver, provider: TracerProvider, written: io.StringIO
) -> None:
    template = paying()
    client = await server.client(plugins=[TaskerPlugin(template, telemetry=Telemetry(provider))])
    async with worker(client) as working:
        task = await start_task(client, template, SECRET, task_queue=working.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
    provider.force_flush()
    span = one(receiver.spans, "attempt pays.task.read").span_id.hex()
    theirs = [line for line in lines(written) if line["logger"] in ("shop", "tasker_temporal.step")][:2]
    for line in theirs:
        assert (line["task_id"], line["step"], line["attempt"], line["span_id"]) == (task.id, "read", 1, span)


def test_an_exceptions_text_stays_out(written: io.StringIO) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("shop").exception("it failed")
    [line] = lines(written)
    assert (line["message"], line["error"], line["level"]) == ("it failed", "ValueError", "ERROR")
    assert "test_an_exceptions_text_stays_out" in line["stack"]
    assert SECRET not in written.getvalue()


# Exported.


@pytest.fixture
def exporting(receiver: Receiver) -> Iterator[LoggerProvider]:
    """What is logged at INFO and above goes to the receiver by OTLP."""
    made = LoggerProvider(shutdown_on_exit=False)
    made.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=receiver.endpoint, insecure=True)))
    root, handler = logging.getLogger(), ExportingHandler(made)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield made
    root.removeHandler(handler)
    root.setLevel(level)
    made.shutdown()


async def test_exported_lines_are_told_once_with_their_trace_and_hold_no_secret(
    server: DevServer, receiver: Receiver, provider: TracerProvider, exporting: LoggerProvider, cache: int
) -> None:
    template = paying()
    client = await server.client(plugins=[TaskerPlugin(template, telemetry=Telemetry(provider))])
    async with worker(client, max_cached_workflows=cache) as working:
        task = await start_task(client, template, SECRET, task_queue=working.task_queue)
        with pytest.raises(TaskFailed):
            await task.result()
    provider.force_flush()
    exporting.force_flush()
    ours = [log for log in receiver.logs if plain(log.attributes).get("tasker.task.id") == task.id]
    assert [(log.severity_text, log.event_name) for log in ours if log.event_name] == [
        ("INFO", "task.initialize_requested"),
        ("INFO", "task.start_requested"),
        ("WARNING", "step.max_retries_reached"),
        ("WARNING", "task.failed"),
    ]
    [theirs] = [log for log in ours if log.body.string_value == "reading a card"]
    assert theirs.span_id == one(receiver.spans, "attempt pays.task.read").span_id
    assert plain(theirs.attributes) == {
        "tasker.task.id": task.id,
        "tasker.step.name": "read",
        "tasker.attempt.number": 1,
    }
    told = [log for log in ours if log.event_name or log is theirs]
    assert {log.trace_id for log in told} == {one(receiver.spans, "task pays.task").trace_id}
    assert not any(SECRET.encode() in sent for sent in receiver.raw)


def test_an_exported_exceptions_text_stays_out_and_the_exporters_own_lines_too(
    receiver: Receiver, exporting: LoggerProvider
) -> None:
    logging.getLogger("opentelemetry.exporter").error("it could not be exported")
    marked = contexts.attach(contexts.set_value(contexts._SUPPRESS_INSTRUMENTATION_KEY, True))
    logging.getLogger("urllib3").warning("it is tried again")
    contexts.detach(marked)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logging.getLogger("shop").exception("it failed")
    exporting.force_flush()
    assert not {"it could not be exported", "it is tried again"} & {log.body.string_value for log in receiver.logs}
    [log] = [log for log in receiver.logs if "exception.type" in plain(log.attributes)]
    said = plain(log.attributes)
    assert (log.body.string_value, log.severity_number, said["exception.type"]) == ("it failed", 17, "ValueError")
    assert "test_an_exported_exceptions_text" in said["exception.stacktrace"]
    assert not any(SECRET.encode() in sent for sent in receiver.raw)


def test_loud_is_what_somebody_should_look_at() -> None:
    assert level_of("step.completed") == logging.DEBUG
    assert level_of("task.completed") == logging.INFO
    assert all(level_of(event) >= logging.WARNING for event in LEVELS)


def _what(line: dict[str, Any]) -> str:
    """The event, or what is said of an attempt."""
    said: str = line.get("event") or line["message"].rpartition("step pay: ")[2]
    return said
