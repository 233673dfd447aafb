"""Counts and durations, by the meter of Temporal's runtime.

It serves Prometheus and OTLP alike, beside the SDK's own figures, and needs no thread of Python's.
"""

from __future__ import annotations

from temporalio.common import MetricCounter, MetricHistogramFloat, MetricMeter

from tasker_temporal.core.template import Template
from tasker_temporal.telemetry.catalogue import METRICS, STEPS_NAMED

MANY = "*"
"""The label of a step in a template of many."""


def step_label(template: Template, step: str) -> str:
    """A step's name, as long as there are few of them."""
    return step if len(template.steps) <= STEPS_NAMED else MANY


class Metrics:
    """Records what `METRICS` lists. An instrument is made with its labels when it is first needed, and kept."""

    def __init__(self, meter: MetricMeter) -> None:
        self._meter = meter
        self._counters: dict[tuple[str, ...], MetricCounter] = {}
        self._histograms: dict[tuple[str, ...], MetricHistogramFloat] = {}

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
