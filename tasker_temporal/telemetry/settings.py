"""What `TaskerPlugin(telemetry=...)` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry.trace import TracerProvider
from temporalio.runtime import Runtime

from tasker_temporal.core.template import Template
from tasker_temporal.core.wording import shown
from tasker_temporal.errors import OptionError
from tasker_temporal.telemetry.calls import ClientTelemetry
from tasker_temporal.telemetry.interceptors import WorkerTelemetry
from tasker_temporal.telemetry.metrics import Metrics, step_label
from tasker_temporal.telemetry.tracing import Tracing


@dataclass(frozen=True)
class Telemetry:
    """Tells of tasks by OpenTelemetry. It only listens: with or without it, tasks do the same.

    Spans go to a tracer provider of OpenTelemetry's SDK, metrics to the Temporal runtime that the client was connected
    with, lines of the log to the logger `tasker_temporal.task`.

    Args:
        tracer_provider: Where spans go; the process's own, as `opentelemetry.trace` has it, unless said.

    Raises:
        OptionError: it is no tracer provider.
    """

    tracer_provider: TracerProvider | None = None
    _tracing: Tracing = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.tracer_provider is not None and not callable(getattr(self.tracer_provider, "get_tracer", None)):
            raise OptionError(
                "Telemetry", [f"its tracer_provider is {shown(self.tracer_provider)}: expected a TracerProvider"]
            )
        object.__setattr__(self, "_tracing", Tracing(self.tracer_provider))

    def of_client(self, templates: Mapping[str, object]) -> ClientTelemetry:
        """The interceptor of a client that knows these templates by name."""
        return ClientTelemetry(self._tracing, templates)

    def of_worker(
        self,
        runtime: Runtime | None,
        templates: Mapping[str, Template],
        handlers: Mapping[str, tuple[str, str]],
        measured: Mapping[str, frozenset[str]],
    ) -> WorkerTelemetry:
        """The interceptor of a worker.

        Args:
            runtime: The client's.
            templates: By name.
            handlers: For each activity type, the names of its template and step.
            measured: For each template, its own events of the category `telemetry`.
        """
        metrics = Metrics((runtime or Runtime.default()).metric_meter)
        for name, template in templates.items():
            metrics.foresee(template, measured[name])
        labelled = {name: (known, step, step_label(templates[known], step)) for name, (known, step) in handlers.items()}
        return WorkerTelemetry(self._tracing, metrics, measured, labelled)
