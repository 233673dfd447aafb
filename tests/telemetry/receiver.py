"""A real receiver of OTLP over gRPC: what a collector would be sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.patience import PATIENCE

Points = dict[tuple[tuple[str, str], ...], float]
"""For each set of labels the last value, of histograms the count."""


@dataclass
class Receiver:
    """What came so far."""

    port: int = 0
    spans: list[Span] = field(default_factory=list)
    metrics: dict[str, Points] = field(default_factory=dict)
    logs: list[LogRecord] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def until(self, enough: Callable[[], Any], what: str) -> None:
        """Wait for what is exported."""
        with self.came:
            assert self.came.wait_for(enough, timeout=PATIENCE), (
                f"never came: {what}; there are {self.names()} {self.metrics}"
            )

    def names(self) -> list[str]:
        return sorted(span.name for span in self.spans)

    def take_spans(self, request: ExportTraceServiceRequest, _: Any) -> ExportTraceServiceResponse:
        with self.came:
            self.raw.append(request.SerializeToString())
            for resource in request.resource_spans:
                self.resources.append(plain(resource.resource.attributes))
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
            self.came.notify_all()
        return ExportTraceServiceResponse()

    def take_logs(self, request: ExportLogsServiceRequest, _: Any) -> ExportLogsServiceResponse:
        with self.came:
            self.raw.append(request.SerializeToString())
            for resource in request.resource_logs:
                for scope in resource.scope_logs:
                    self.logs.extend(scope.log_records)
            self.came.notify_all()
        return ExportLogsServiceResponse()

    def take_metrics(self, request: ExportMetricsServiceRequest, _: Any) -> ExportMetricsServiceResponse:
        with self.came:
            self.raw.append(request.SerializeToString())
            for resource in request.resource_metrics:
                self.resources.append(plain(resource.resource.attributes))
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self.metrics.setdefault(metric.name, {}).update(points(metric))
            self.came.notify_all()
        return ExportMetricsServiceResponse()


def plain(attributes: Any) -> dict[str, Any]:
    """The attributes of a span, a resource or a point."""
    return {pair.key: _value(pair) for pair in attributes}


def _value(pair: KeyValue) -> Any:
    return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")


def points(metric: Metric) -> Points:
    if metric.WhichOneof("data") == "histogram":
        return {_labels(point): float(point.count) for point in metric.histogram.data_points}
    return {_labels(point): point.as_double or float(point.as_int) for point in metric.sum.data_points}


def _labels(point: Any) -> tuple[tuple[str, str], ...]:
    """Without the service's name, which the runtime adds to all of them."""
    return tuple(sorted(item for item in plain(point.attributes).items() if item[0] != "service_name"))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for the block, on a port of its own."""
    found = Receiver()
    server = grpc.server(ThreadPoolExecutor(4))
    services: dict[str, tuple[Any, Any, Any]] = {
        "opentelemetry.proto.collector.trace.v1.TraceService": (
            found.take_spans,
            ExportTraceServiceRequest,
            ExportTraceServiceResponse,
        ),
        "opentelemetry.proto.collector.logs.v1.LogsService": (
            found.take_logs,
            ExportLogsServiceRequest,
            ExportLogsServiceResponse,
        ),
        "opentelemetry.proto.collector.metrics.v1.MetricsService": (
            found.take_metrics,
            ExportMetricsServiceRequest,
            ExportMetricsServiceResponse,
        ),
    }
    for name, (take, asked, answer) in services.items():
        export = grpc.unary_unary_rpc_method_handler(
            take, request_deserializer=asked.FromString, response_serializer=answer.SerializeToString
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": export}),))
    found.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield found
    finally:
        server.stop(grace=None).wait()
