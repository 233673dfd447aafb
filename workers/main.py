"""A worker process for the orders of `examples/order_fulfillment`: start yours from a copy of this file.

`python -m workers.main` runs it. Where the server is comes from Temporal's own environment variables, TEMPORAL_ADDRESS
and the like, and where telemetry goes from OpenTelemetry's, OTEL_EXPORTER_OTLP_ENDPOINT and the like. The command
`tasker worker --telemetry --app examples.order_fulfillment.template:fulfill_order` does the same without this file; a
file of your own is the place for what a command line cannot say: codecs, interceptors, limits.
"""

from __future__ import annotations

import os
from datetime import timedelta

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

from examples.order_fulfillment.template import fulfill_order
from tasker_temporal import TaskerPlugin
from tasker_temporal.cli.process import run
from tasker_temporal.cli.workers import run_workers
from tasker_temporal.telemetry import from_environment


async def main() -> int:
    """Work until SIGTERM. Handlers that run then have half a minute to end."""
    # Before the first client. Where nothing says what is to be told, nothing is.
    telemetry = from_environment() if any(name.startswith("OTEL_") for name in os.environ) else None
    connection = ClientConfig.load_client_connect_config()
    connection.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**connection, plugins=[TaskerPlugin(fulfill_order, telemetry=telemetry)])
    worker = Worker(
        client,
        task_queue="order-fulfillment",
        max_concurrent_activities=50,
        graceful_shutdown_timeout=timedelta(seconds=30),
    )
    return await run_workers(worker)


if __name__ == "__main__":
    run(main())
