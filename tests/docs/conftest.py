"""One embedded server for all pages, with a namespace for each, so that no page sees another's tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.runtime import Runtime, TelemetryConfig

from tasker_temporal.dev import DevServer
from tests.docs.blocks import namespace, pages

# A page may cancel or terminate what runs; the SDK's core would write warnings about it past pytest's capture.
Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)), error_if_already_set=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def library() -> AsyncIterator[DevServer]:
    """The server on which pages are read."""
    namespaces = [argument for page in pages() for argument in ("--namespace", namespace(page))]
    async with DevServer(ui_port=None, extra_args=namespaces) as server:
        yield server
