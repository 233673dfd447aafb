"""Telemetry as OpenTelemetry's own environment variables say: OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT, ..."""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any, Final
from urllib.parse import unquote

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    OpenTelemetryConfig,
    OpenTelemetryMetricTemporality,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from tasker_temporal.errors import TelemetryError
from tasker_temporal.telemetry.catalogue import BUCKETS, METRICS
from tasker_temporal.telemetry.settings import Telemetry

Environment = Mapping[str, str]

SERVICE: Final = "tasker"
"""The service's name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has one."""

VARIABLES: Final[Mapping[str, str]] = {
    "OTEL_SDK_DISABLED": "`true` turns telemetry off",
    "OTEL_SERVICE_NAME": "the service's name in traces and metrics; `tasker` unless said",
    "OTEL_RESOURCE_ATTRIBUTES": "more about the service: `deployment.environment.name=test,...`",
    "OTEL_TRACES_EXPORTER": "`otlp` (as it comes), `console` or `none`",
    "OTEL_TRACES_SAMPLER": "which traces are kept, with OTEL_TRACES_SAMPLER_ARG; all of them unless said",
    "OTEL_METRICS_EXPORTER": "`otlp` (as it comes), `prometheus` or `none`",
    "OTEL_LOGS_EXPORTER": "`none` (as it comes) or `otlp`: the lines that Python's root logger gets",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "where the collector is; `..._TRACES_ENDPOINT` and such win",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "`grpc` (as it comes) or `http/protobuf`; `..._TRACES_PROTOCOL` and such win",
    "OTEL_EXPORTER_OTLP_HEADERS": "`key=value,...`, as a collector's token",
    "OTEL_METRIC_EXPORT_INTERVAL": "milliseconds between exports of metrics; 60000 unless said",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "`cumulative` (as it comes) or `delta`",
    "OTEL_EXPORTER_PROMETHEUS_HOST": "the address at which `/metrics` is served; `localhost` unless said",
    "OTEL_EXPORTER_PROMETHEUS_PORT": "its port; 9464 unless said",
}
"""Those that are read here. The exporters read theirs besides, as OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_BSP_..."""


def from_environment(*, forward_logs: bool = False) -> Telemetry | None:
    """Set up what the variables ask for. Call it before the first client of the process is connected.

    Spans of handlers go the same way, because the tracer provider becomes the process's own. The runtime becomes the
    default one of clients, so that the SDK's metrics and the tasks' are exported together.

    Args:
        forward_logs: Hand the warnings of the SDK's own core to Python's logging, under `temporalio.core`.

    Returns:
        What `TaskerPlugin(telemetry=...)` takes; None if OTEL_SDK_DISABLED says so.

    Raises:
        TelemetryError: a variable has a value that it cannot have, a package is missing, or a client was there before.
    """
    environ = os.environ
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    provider = None if disabled else _provider(environ)
    exporting = None if disabled else log_handler(environ)
    _set_runtime(runtime(environ, forward_logs=forward_logs, metrics=not disabled))
    if provider is not None:
        trace.set_tracer_provider(provider)
    if exporting is not None:
        logging.getLogger().addHandler(exporting)
    return None if disabled else Telemetry(provider)


def forward_core_logs() -> None:
    """Hand the warnings of the SDK's own core to Python's logging, without any telemetry.

    Raises:
        TelemetryError: a client was there before.
    """
    _set_runtime(runtime(os.environ, forward_logs=True, metrics=False))


def runtime(environ: Environment, *, forward_logs: bool = False, metrics: bool = True) -> Runtime:
    """Temporal's runtime with the exporter of metrics that the variables ask for."""
    forwarding = LogForwardingConfig(logging.getLogger("temporalio.core")) if forward_logs else None
    log = LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding)
    config = metrics_config(environ) if metrics else None
    tags = {"service_name": str(_resource(environ).attributes["service.name"])}
    telemetry = TelemetryConfig(logging=log, metrics=config, attach_service_name=False, global_tags=tags)
    try:
        return Runtime(telemetry=telemetry)
    except Exception as error:
        raise TelemetryError(f"the exporter of metrics cannot be started: {error}") from error


def metrics_config(environ: Environment) -> OpenTelemetryConfig | PrometheusConfig | None:
    """Where Temporal's runtime is to send its metrics."""
    made: OpenTelemetryConfig | PrometheusConfig | None
    made = _chosen(environ, "OTEL_METRICS_EXPORTER", METRIC_EXPORTERS)(environ)
    return made


def log_handler(environ: Environment) -> logging.Handler | None:
    """What exports lines of the log, if the variables ask for it."""
    made: logging.Handler | None = _chosen(environ, "OTEL_LOGS_EXPORTER", LOG_EXPORTERS)(environ)
    return made


def _set_runtime(made: Runtime) -> None:
    try:
        Runtime.set_default(made)
    except RuntimeError as error:
        raise TelemetryError("telemetry is set up before the first client is connected: do it earlier") from error


def _provider(environ: Environment) -> TracerProvider | None:
    exporter = _chosen(environ, "OTEL_TRACES_EXPORTER", TRACE_EXPORTERS)(environ)
    if exporter is None:
        return None
    made = TracerProvider(resource=_resource(environ))
    made.add_span_processor(BatchSpanProcessor(exporter))
    return made


def _resource(environ: Environment) -> Resource:
    """The service's name, and what OTEL_RESOURCE_ATTRIBUTES says of it."""
    pairs = _pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    name = environ.get("OTEL_SERVICE_NAME") or pairs.get("service.name") or SERVICE
    return Resource.create({**pairs, "service.name": name})


def _chosen(environ: Environment, variable: str, choices: Mapping[str, Callable[[Environment], Any]]) -> Any:
    value = environ.get(variable) or next(iter(choices))
    if value not in choices:
        raise TelemetryError(
            f"{variable} is {value!r}: expected {', '.join(list(choices)[:-1])} or {list(choices)[-1]}"
        )
    return choices[value]


def _protocol(environ: Environment, signal: str) -> str:
    """`grpc` or `http/protobuf`."""
    own, common = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    variable = own if environ.get(own) else common
    value = environ.get(variable) or "grpc"
    if value not in PACKAGES:
        raise TelemetryError(f"{variable} is {value!r}: expected grpc or http/protobuf")
    return value


PACKAGES: Final[Mapping[str, str]] = {
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
}


def _otlp(environ: Environment, signal: str, module: str, exporter: str) -> Any:
    """The exporter reads its endpoint, headers, timeout and certificates itself."""
    try:
        return getattr(import_module(f"{PACKAGES[_protocol(environ, signal)]}.{module}"), exporter)()
    except ImportError as error:
        raise TelemetryError("OTLP needs more packages: pip install 'tasker-temporal[telemetry]'") from error


def _otlp_spans(environ: Environment) -> Any:
    return _otlp(environ, "TRACES", "trace_exporter", "OTLPSpanExporter")


def _otlp_logs(environ: Environment) -> logging.Handler:
    """At the process's end, the provider exports what is left."""
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    from tasker_temporal.telemetry.exported_logs import ExportingHandler

    made = LoggerProvider(resource=_resource(environ))
    exporter = _otlp(environ, "LOGS", "_log_exporter", "OTLPLogExporter")
    made.add_log_record_processor(BatchLogRecordProcessor(exporter))
    return ExportingHandler(made)


def _otlp_metrics(environ: Environment) -> OpenTelemetryConfig:
    http = _protocol(environ, "METRICS") == "http/protobuf"
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or f"http://localhost:{4318 if http else 4317}"
    url = environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") or (base.rstrip("/") + "/v1/metrics" if http else base)
    headers = environ.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    preference = environ.get("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative").lower()
    temporality = OpenTelemetryMetricTemporality
    return OpenTelemetryConfig(
        url=url if "://" in url else f"http://{url}",
        headers=_pairs(headers),
        metric_periodicity=timedelta(milliseconds=_number(environ, "OTEL_METRIC_EXPORT_INTERVAL", 60_000)),
        metric_temporality=temporality.DELTA if preference == "delta" else temporality.CUMULATIVE,
        durations_as_seconds=True,
        http=http,
        histogram_bucket_overrides=_BUCKETS,
    )


def _prometheus(environ: Environment) -> PrometheusConfig:
    host = environ.get("OTEL_EXPORTER_PROMETHEUS_HOST") or "localhost"
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise TelemetryError(f"OTEL_EXPORTER_PROMETHEUS_HOST is {host!r}: expected an IP address") from error
    port = _number(environ, "OTEL_EXPORTER_PROMETHEUS_PORT", 9464)
    return PrometheusConfig(
        bind_address=f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=_BUCKETS,
    )


_BUCKETS: Final = {name: BUCKETS for name, metric in METRICS.items() if metric.kind == "histogram"}

TRACE_EXPORTERS: Final[Mapping[str, Callable[[Environment], Any]]] = {
    "otlp": _otlp_spans,
    "console": lambda _: ConsoleSpanExporter(),
    "none": lambda _: None,
}

LOG_EXPORTERS: Final[Mapping[str, Callable[[Environment], Any]]] = {
    "none": lambda _: None,
    "otlp": _otlp_logs,
}

METRIC_EXPORTERS: Final[Mapping[str, Callable[[Environment], Any]]] = {
    "otlp": _otlp_metrics,
    "prometheus": _prometheus,
    "none": lambda _: None,
}


def _number(environ: Environment, variable: str, otherwise: int) -> int:
    value = environ.get(variable) or str(otherwise)
    if not value.isdigit():
        raise TelemetryError(f"{variable} is {value!r}: expected a whole number")
    return int(value)


def _pairs(text: str) -> dict[str, str]:
    """`key=value,...`, percent-encoded as in the headers of W3C Baggage."""
    found = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in found}
