"""Telemetry's tests: a real receiver for each, and a client and worker that tell it of tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.server.conftest import client, server
from tests.shell.conftest import cache
from tests.telemetry.receiver import Receiver, receiving

__all__ = ["cache", "client", "server"]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own settings."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def provider(receiver: Receiver) -> Iterator[TracerProvider]:
    """It exports by OTLP to the receiver, for good whenever `force_flush` is called."""
    made = TracerProvider(resource=Resource({"service.name": "test"}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=receiver.endpoint, insecure=True)
    made.add_span_processor(BatchSpanProcessor(exporter))
    yield made
    made.shutdown()
