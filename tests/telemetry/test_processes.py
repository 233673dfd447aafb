"""Telemetry over processes: one that is killed, the command, one that does not listen, and settings that cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.runtime import OpenTelemetryConfig, PrometheusConfig

from tasker_temporal import TaskerPlugin, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import TelemetryError
from tasker_temporal.telemetry import Telemetry
from tasker_temporal.telemetry.environment import (
    LOG_EXPORTERS,
    METRIC_EXPORTERS,
    TRACE_EXPORTERS,
    VARIABLES,
    log_handler,
    metrics_config,
    runtime,
)
from tests.cli.kit import Running, write
from tests.server.conftest import worker
from tests.telemetry.picture import picture
from tests.telemetry.receiver import Receiver, plain
from tests.telemetry.test_metrics import free_port
from tests.telemetry.victim import VICTIM, killed

ROOT = Path(__file__).parents[2]

SURVIVED = """\
start killed.task
  task killed.task (complete)
    step killed.task.before (complete)
      attempt killed.task.before (1)
    step killed.task.during (complete)
      attempt killed.task.during (1)"""


async def test_a_killed_workers_task_is_one_tree_with_what_both_workers_told(
    receiver: Receiver, provider: TracerProvider, server: DevServer
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    client = await server.client(plugins=[TaskerPlugin(killed, telemetry=Telemetry(provider))])
    task = await start_task(client, killed, "x", task_queue=queue)
    variables = {
        VICTIM: "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    command = [sys.executable, "-m", "tests.telemetry.victim", server.target, queue]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, env={**os.environ, **variables})
    assert process.stdout is not None
    assert await process.stdout.readline() == b"half-way\n"
    await asyncio.to_thread(receiver.until, lambda: "step killed.task.before" in receiver.names(), "the first step")
    process.kill()
    await process.wait()
    brief = timedelta(seconds=0.3)
    async with worker(client, task_queue=queue, sticky_queue_schedule_to_start_timeout=brief):
        await task.result()
    provider.force_flush()
    assert picture(receiver.spans) == SURVIVED
    [attempt] = [span for span in receiver.spans if span.name == "attempt killed.task.during"]
    assert plain(attempt.attributes)["tasker.attempt.delivery"] == 2


SHOP = """
from tasker_temporal import TaskTemplate

sell = TaskTemplate("shop.sell", task_queue="{queue}")

@sell.step
async def wrap() -> str:
    return "wrapped"
"""


async def test_the_command_tells_of_tasks_as_the_variables_say(
    receiver: Receiver, provider: TracerProvider, server: DevServer, tmp_path: Path
) -> None:
    queue, port = f"queue-{uuid.uuid4()}", free_port()
    folder = write(tmp_path, {"shop.py": SHOP.replace("{queue}", queue)})
    arguments = ["worker", "--address", server.target, "--app", "shop:sell", "--telemetry", "--log-format", "json"]
    variables = {
        "OTEL_SERVICE_NAME": "the-shop",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "OTEL_LOGS_EXPORTER": "otlp",
    }
    async with Running(*arguments, folder=folder, **variables) as running:
        await running.until("Ctrl-C")
        client = await server.client()
        task = await start_task(client, "shop.sell", task_queue=queue)
        await task.result()
        text = await asyncio.to_thread(_scrape, port)
        running.tell()
        ended = await running.ended()
    assert 'tasker_task_duration_seconds_count{state="complete",template="shop.sell",service_name="the-shop"} 1' in text
    assert "temporal_request_total" in text
    # What was not exported yet when it was told to stop is exported before it ends.
    assert "task shop.sell" in receiver.names()
    assert {"service.name": "the-shop", "deployment.environment.name": "test"}.items() <= receiver.resources[0].items()
    lines = [json.loads(line) for line in ended.err.splitlines()]
    events = [line["event"] for line in lines if line.get("task_id") == task.id and "event" in line]
    assert events == ["task.initialize_requested", "task.start_requested", "task.completed"]
    exported = [(log.event_name, plain(log.attributes).get("tasker.task.id")) for log in receiver.logs]
    assert [event for event, task_id in exported if task_id == task.id and event] == events


def _scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text: str = answer.read().decode()
        return text


async def test_a_variable_that_cannot_be_is_one_line_of_complaint(server: DevServer, tmp_path: Path) -> None:
    folder = write(tmp_path, {"shop.py": SHOP.replace("{queue}", "q")})
    arguments = ["worker", "--address", server.target, "--app", "shop:sell", "--telemetry"]
    async with Running(*arguments, folder=folder, OTEL_TRACES_EXPORTER="zipkin") as running:
        ended = await running.ended()
    expected = "Error: OTEL_TRACES_EXPORTER is 'zipkin': expected otlp, console or none"
    assert (ended.code, ended.out, ended.err.splitlines()) == (2, "", [expected])


WRONG = {
    "OTEL_METRICS_EXPORTER=statsd": "OTEL_METRICS_EXPORTER is 'statsd': expected otlp, prometheus or none",
    "OTEL_EXPORTER_OTLP_PROTOCOL=http/json": "OTEL_EXPORTER_OTLP_PROTOCOL is 'http/json': "
    "expected grpc or http/protobuf",
    "OTEL_METRIC_EXPORT_INTERVAL=1m": "OTEL_METRIC_EXPORT_INTERVAL is '1m': expected a whole number",
}


@pytest.mark.parametrize("setting", WRONG)
def test_a_setting_that_cannot_be_says_what_was_expected(setting: str) -> None:
    name, _, value = setting.partition("=")
    with pytest.raises(TelemetryError) as caught:
        metrics_config({name: value})
    assert str(caught.value) == WRONG[setting]


def test_logs_are_exported_only_if_they_are_asked_for() -> None:
    assert log_handler({}) is None
    with pytest.raises(TelemetryError, match="OTEL_LOGS_EXPORTER is 'console': expected none or otlp"):
        log_handler({"OTEL_LOGS_EXPORTER": "console"})


def test_prometheus_is_served_at_an_address_that_is_one() -> None:
    with pytest.raises(TelemetryError, match="'worker': expected an IP address"):
        metrics_config({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST": "worker"})
    config = metrics_config({"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_HOST": "::"})
    assert isinstance(config, PrometheusConfig)
    assert config.bind_address == "[::]:9464"


def test_a_port_that_is_taken_is_named() -> None:
    port = free_port()
    variables = {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": str(port)}
    first = runtime(variables)
    with pytest.raises(TelemetryError, match="the exporter of metrics cannot be started"):
        runtime(variables)
    del first


OTLP = {
    (): ("http://localhost:4317", False),
    (("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),): ("http://localhost:4318/v1/metrics", True),
    (("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"),): ("http://c:4317", False),
    (
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/"),
    ): ("https://c/v1/metrics", True),
    (("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "c:1"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")): (
        "http://c:1",
        False,
    ),
}


@pytest.mark.parametrize("variables", OTLP)
def test_metrics_go_where_the_variables_say(variables: tuple[tuple[str, str], ...]) -> None:
    config = metrics_config(dict(variables))
    assert isinstance(config, OpenTelemetryConfig)
    assert (config.url, config.http) == OTLP[variables]


def test_a_token_reaches_the_collector() -> None:
    config = metrics_config({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x, a=b"})
    assert isinstance(config, OpenTelemetryConfig)
    assert config.headers == {"authorization": "Bearer x", "a": "b"}


def test_the_variables_are_documented_with_the_values_they_can_have() -> None:
    exporters = {"TRACES": TRACE_EXPORTERS, "METRICS": METRIC_EXPORTERS, "LOGS": LOG_EXPORTERS}
    for variable, choices in ((f"OTEL_{signal}_EXPORTER", choices) for signal, choices in exporters.items()):
        assert all(f"`{choice}`" in VARIABLES[variable] for choice in choices)


LISTENING = """
import sys
import tasker_temporal.plugin, tasker_temporal.client, tasker_temporal.handle, tasker_temporal.telemetry.deliveries
from tasker_temporal import TaskerPlugin
TaskerPlugin()
loaded = [name for name in sys.modules if name.startswith("opentelemetry.")]
print(sorted(name for name in sys.modules if name.startswith("tasker_temporal.telemetry.")), loaded)
"""


def test_without_telemetry_nothing_of_it_is_loaded() -> None:
    found = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True)
    assert found.stdout == "['tasker_temporal.telemetry.deliveries'] []\n"


async def test_a_disabled_sdk_turns_everything_off() -> None:
    code = "from tasker_temporal.telemetry import from_environment as f; print(f())"
    variables = {**os.environ, "OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "zipkin"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables)
    assert found.stdout == "None\n"


def test_setting_up_too_late_says_so() -> None:
    code = (
        "from temporalio.runtime import Runtime; Runtime.default()\n"
        "from tasker_temporal.telemetry import from_environment\n"
        "from_environment()"
    )
    variables = {**os.environ, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables)
    assert found.stderr.splitlines()[-1].endswith(
        "telemetry is set up before the first client is connected: do it earlier"
    )
