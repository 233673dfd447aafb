"""How a worker process tells what happens: its log, and telemetry if it is asked for."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cache

from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from tasker_temporal.cli.options import Telling
from tasker_temporal.plugin import TaskerPlugin

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def tell_logs(telling: Telling) -> None:
    """Lines of the log go to stderr, as text or as JSON."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    if telling.log_format == "json":
        from tasker_temporal.telemetry import JsonFormatter

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonFormatter())


def tell_telemetry(telling: Telling, plugin: TaskerPlugin) -> None:
    """Set telemetry up before anything connects. An app that brings its own keeps it.

    Raises:
        TelemetryError: an OTEL_ variable says what cannot be.
    """
    forward_logs = telling.log_format == "json"
    if telling.telemetry and plugin.telemetry is None:
        from tasker_temporal.telemetry import from_environment

        plugin.telemetry = from_environment(forward_logs=forward_logs)
    elif forward_logs and plugin.telemetry is None:
        from tasker_temporal.telemetry import forward_core_logs

        forward_core_logs()


@cache
def tell_core_logs() -> None:
    """Warnings of the SDK's own core go where the log goes; where there is none, only its errors are told.

    It would write them to stdout, and in colour. A runtime that was set up before keeps its own way.
    """
    logger = logging.getLogger("temporalio.core")
    if not logger.hasHandlers():
        logger.setLevel(logging.ERROR)
    log = LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=LogForwardingConfig(logger))
    with suppress(RuntimeError):
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=log)))
