"""docker-compose.yml, as far as it can be checked without a container engine.

Checked: that the files load, that Prometheus' own `promtool` accepts its configuration where it is installed, that the
collector's pipelines name what is configured, that images are pinned, files are there, secrets are not, that the
dashboard asks for metrics that the library has, and the script that makes the namespace, with a server of the tests.
Not checked: that the images exist, and that the whole starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from temporalio.client import Client, ScheduleActionStartWorkflow

from examples.order_fulfillment.template import fulfill_order
from tasker_temporal import TaskerPlugin, TaskTemplate, start_task
from tasker_temporal.dev import DevServer, find_server
from tasker_temporal.sinks.sweep import SWEEP
from tasker_temporal.telemetry.catalogue import METRICS
from tasker_temporal.telemetry.environment import VARIABLES
from tests.server.conftest import server, worker
from tests.telemetry.test_metrics import Scraped

__all__ = ["server"]

ROOT = Path(__file__).parents[1]


def read(text: str) -> Any:
    return YAML(typ="safe").load(text)


COMPOSE: dict[str, Any] = read((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DASHBOARD = ROOT / "docker" / "grafana" / "dashboards" / "tasker.json"

RUN_ONCE = {
    name
    for service in SERVICES.values()
    if isinstance(needed := service.get("depends_on", {}), dict)
    for name, how in needed.items()
    if how["condition"] == "service_completed_successfully"
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_how_it_is_or_why_not(name: str) -> None:
    service = SERVICES[name]
    assert "test" in service.get("healthcheck", {}) or service.get("x-no-healthcheck") or name in RUN_ONCE


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", service["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_is_there_and_can_say_that_it_is_ready(name: str) -> None:
    needed = SERVICES[name].get("depends_on", {})
    assert set(needed) <= set(SERVICES)
    for other, how in needed.items() if isinstance(needed, dict) else ():
        assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]


def test_files_that_are_mounted_are_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_nothing_listens_outside_this_machine() -> None:
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", ()))


def test_there_is_no_secret() -> None:
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD|SECRET|TOKEN|KEY", key):
                assert str(value).startswith("${"), key


def test_the_worker_is_told_by_variables_that_are_read() -> None:
    asked = {name for name in SERVICES["worker"]["environment"] if name.startswith("OTEL_")}
    assert asked <= set(VARIABLES)


def test_the_collectors_pipelines_are_made_of_what_is_configured() -> None:
    config = read((ROOT / "docker" / "collector.yaml").read_text())
    assert set(config["service"]["extensions"]) <= set(config["extensions"])
    for pipeline in config["service"]["pipelines"].values():
        for part, names in pipeline.items():
            assert set(names) <= set(config[part])
    for name, exporter in config["exporters"].items():
        assert exporter["endpoint"].split(":")[0] in SERVICES
        assert name.split("/")[0] not in ("otlp", "otlphttp"), "the collector warns of these names since 0.144"


async def test_the_namespace_and_the_sweepers_schedule_are_made_once(server: DevServer, tmp_path: Path) -> None:
    service = SERVICES["temporal-namespace"]
    script = service["command"][0].replace("$$", "$")
    (tmp_path / "temporal").symlink_to(find_server())
    namespace = f"compose-{uuid.uuid4()}"
    own = {"TEMPORAL_ADDRESS": server.target, "TEMPORAL_NAMESPACE": namespace, "HOME": str(tmp_path)}
    environment = service["environment"] | own | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(*service["entrypoint"], script), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
    client = await Client.connect(server.target, namespace=namespace)
    action = (await client.get_schedule_handle("tasker-sweeper").describe()).schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    assert (action.workflow, action.task_queue) == (SWEEP, fulfill_order.compiled.task_queue)


def test_prometheus_asks_services_that_are_there() -> None:
    jobs = read((ROOT / "docker" / "prometheus.yaml").read_text())["scrape_configs"]
    by_name = [name for job in jobs for found in job.get("dns_sd_configs", ()) for name in found["names"]]
    by_port = [target for job in jobs for found in job.get("static_configs", ()) for target in found["targets"]]
    assert {*by_name, *(target.split(":")[0] for target in by_port)} <= set(SERVICES)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_accepts_its_configuration() -> None:
    command = ["promtool", "check", "config", str(ROOT / "docker" / "prometheus.yaml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _queries() -> Iterator[str]:
    dashboard = json.loads(DASHBOARD.read_text())
    yield from (target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    yield from (variable["query"] for variable in dashboard["templating"]["list"])


def test_the_dashboard_asks_for_metrics_and_labels_that_there_are() -> None:
    exported = {f"{name}_{metric.unit or 'total'}": metric for name, metric in METRICS.items()}
    shown = set()
    for query in _queries():
        for name, _, selector in re.findall(r"(tasker_\w+?)(_bucket|_count|_sum)?\b(?:\{([^}]*)\})?", query):
            assert name in exported, query
            assert set(re.findall(r"(\w+)=", selector)) <= set(exported[name].labels), query
            assert _grouped(query) - {"le"} <= set(exported[name].labels), query
            shown.add(name)
    assert shown == set(exported), "every metric has its place on the dashboard"


def _grouped(query: str) -> set[str]:
    return {label for by in re.findall(r"by \(([^)]*)\)", query) for label in re.findall(r"\w+", by)}


def test_a_legend_names_what_its_query_groups_by() -> None:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= _grouped(target["expr"]), panel["title"]


async def test_the_sdks_own_metrics_on_the_dashboard_are_those_of_a_worker(server: DevServer) -> None:
    scraped = Scraped()
    template = TaskTemplate[None]("compose.scraped")
    template.add_step("only", _nothing)
    client = await server.client(plugins=[TaskerPlugin(template)], runtime=scraped.runtime)
    # One that is not started at once with the workflow's own answer, so that it has waited.
    async with worker(client, disable_eager_activity_execution=True) as running:
        await (await start_task(client, template, None, task_queue=running.task_queue)).result()
    found = set(re.findall(r"^(temporal_\w+)\{", scraped.text(), re.MULTILINE))
    asked = {name for query in _queries() for name in re.findall(r"\b(temporal_\w+)", query)}
    assert asked
    assert asked <= found


async def _nothing() -> None: ...


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_can_read_the_dashboards_queries(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": re.sub(r"\$__(rate_interval|range)", "5m", query)}
        for number, query in enumerate(_queries())
        if not query.startswith("label_values")
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _query(title: str) -> str:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    [query] = [target["expr"] for panel in panels if panel["title"] == title for target in panel["targets"]]
    return re.sub(r"\$__(rate_interval|range)", "1h", query).replace("$template", ".*")


SEEN = [
    # Of a series that begins at 2, what it has counted; and of one whose worker began anew, both of its lives.
    ('tasker_waits_begun_total{kind="approval", instance="a", template="t"}', "_ _ 2 3 3 3 3 3"),
    ('tasker_waits_begun_total{kind="approval", instance="b", template="t"}', "_ 0 1 1 0 2 2 2"),
    ('tasker_wait_duration_seconds_count{kind="approval", instance="a", template="t"}', "_ _ _ 1 1 1 1 1"),
    ('tasker_waits_begun_total{kind="pause", instance="a", template="t"}', "0 0 0 0 1 1 1 1"),
    ('tasker_task_duration_seconds_count{state="complete", instance="a", template="t"}', "_ _ _ _ _ _ 1 1"),
    ('tasker_retries_used_up_total{step="charge", instance="a", template="t"}', "_ _ _ 1 1 1 1 1"),
    ('tasker_retries_used_up_total{step="other", instance="a", template="t"}', "0 0 0 0 0 0 0 0"),
]

SHOWN = {
    "Waits that last, by what is waited for": {'{kind="approval"}': 5, '{kind="pause"}': 1},
    "Tasks ended in the last hour": {'{state="complete"}': 1},
    "Retries used up in the last hour": {'{step="charge", template="t"}': 1},
}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_the_dashboard_shows_as_many_as_there_were_the_first_included(tmp_path: Path) -> None:
    """Of a counter that is there at 1 before it was seen at 0, Prometheus' own `increase` is 0."""
    asked = [
        {
            "expr": _query(title),
            "eval_time": "7m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in values.items()],
        }
        for title, values in SHOWN.items()
    ]
    series = [{"series": name, "values": values} for name, values in SEEN]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"evaluation_interval": "1m", "tests": [test]}))
    checked = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_and_its_sources_are_provisioned() -> None:
    folder = ROOT / "docker" / "grafana" / "provisioning"
    sources = read((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    dashboard = json.loads(DASHBOARD.read_text())
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} <= {source["uid"] for source in sources}
    [provider] = read((folder / "dashboards" / "tasker.yaml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
