"""Counts and durations, by the meter of Temporal's runtime.

It serves Prometheus and OTLP alike, beside the SDK's own figures, and needs no thread of Python's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from temporalio.common import MetricCounter, MetricHistogramFloat, MetricMeter

from tasker_temporal.core.machine import STEP_TABLE
from tasker_temporal.core.template import Template
from tasker_temporal.telemetry.catalogue import METRICS, STEPS_NAMED, WAITS

MANY = "*"
"""The label of a step in a template of many."""


def step_label(template: Template, step: str) -> str:
    """A step's name, as long as there are few of them."""
    return step if len(template.steps) <= STEPS_NAMED else MANY


def foreseen(template: Template, measured: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """The counters that tasks of the template can come to need: of each its name, and the values of its labels."""
    tables = {"tasker_task_transitions": template.type.table, "tasker_step_transitions": STEP_TABLE}
    for name, table in tables.items():
        yield from ((name, template.name, "none" if source is None else source, to) for source, to in table)
    yield from (("tasker_waits_begun", template.name, kind) for kind in WAITS)
    steps = {step_label(template, step.name) for step in template.steps if step.runs}
    yield from (("tasker_retries_used_up", template.name, step) for step in sorted(steps))
    for sink in template.sinks:
        yield from (("tasker_sink_deliveries", template.name, sink.name, way) for way in ("delivered", "failed"))
    yield from (("tasker_events_published", template.name, event) for event in sorted(measured))


class Metrics:
    """Records what `METRICS` lists. An instrument is made with its labels when it is first needed, and kept."""

    def __init__(self, meter: MetricMeter) -> None:
        self._meter = meter
        self._counters: dict[tuple[str, ...], MetricCounter] = {}
        self._histograms: dict[tuple[str, ...], MetricHistogramFloat] = {}

    def foresee(self, template: Template, measured: Iterable[str]) -> None:
        """Have counters stand at 0 before anything is counted: of one that begins at 1, Prometheus sees no increase."""
        for name, *labels in foreseen(template, measured):
            self.count(name, *labels, by=0)

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add to a counter. `labels` are the values of the metric's labels, in their order."""
        key = (name, *labels)
        counter = self._counters.get(key)
        if counter is None:
            metric = METRICS[name]
            made = self._meter.create_counter(name, metric.description, metric.unit)
            counter = made.with_additional_attributes(dict(zip(metric.labels, labels, strict=True)))
            self._counters[key] = counter
        counter.add(by)

    def record(self, name: str, seconds: float, *labels: str) -> None:
        """Record a duration."""
        key = (name, *labels)
        histogram = self._histograms.get(key)
        if histogram is None:
            metric = METRICS[name]
            made = self._meter.create_histogram_float(name, metric.description, metric.unit)
            histogram = made.with_additional_attributes(dict(zip(metric.labels, labels, strict=True)))
            self._histograms[key] = histogram
        histogram.record(max(seconds, 0.0))
