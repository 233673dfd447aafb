"""Spans, metrics and logs of tasks. Telemetry only listens; without `TaskerPlugin(telemetry=...)` nothing of it runs.

A name is imported when it is first asked for, so that OpenTelemetry is loaded only where somebody listens.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker_temporal.telemetry.environment import forward_core_logs, from_environment
    from tasker_temporal.telemetry.logs import JsonFormatter
    from tasker_temporal.telemetry.settings import Telemetry
else:
    _HOMES = {
        "JsonFormatter": "logs",
        "Telemetry": "settings",
        "forward_core_logs": "environment",
        "from_environment": "environment",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value


__all__ = ["JsonFormatter", "Telemetry", "forward_core_logs", "from_environment"]
