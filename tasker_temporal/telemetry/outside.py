"""Tells of what no workflow can tell: how its run was ended from outside, and what was delivered to sinks."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from temporalio.api.history.v1 import HistoryEvent

from tasker_temporal.core.events import Event, RunEnded
from tasker_temporal.core.task import Task
from tasker_temporal.core.waiting import waiting
from tasker_temporal.telemetry.catalogue import HANDED_ON, WAITS, level_of
from tasker_temporal.telemetry.harmless import harmless
from tasker_temporal.telemetry.metrics import Metrics
from tasker_temporal.telemetry.route import Route
from tasker_temporal.telemetry.spans import Spans, is_under_way
from tasker_temporal.telemetry.tracing import Tracing

logger = logging.getLogger("tasker_temporal.task")


class Outside:
    """One worker's."""

    def __init__(self, tracing: Tracing, metrics: Metrics) -> None:
        self._tracing, self._metrics = tracing, metrics
        self.count, self.record = metrics.count, metrics.record

    def ended(self, task: Task, end: Event[RunEnded], started: HistoryEvent, trace: Mapping[str, str]) -> None:
        """The task's last run, which began with the event `started`, could not tell its end.

        Its span, and those of the steps that were under way, have the ids that the run would have given them.
        """
        with harmless():
            self._tell(task, end, started, trace)

    def _tell(self, task: Task, end: Event[RunEnded], started: HistoryEvent, trace: Mapping[str, str]) -> None:
        run, state = started.workflow_execution_started_event_attributes, end.name.partition(".")[2]
        at = datetime.fromisoformat(end.payload.at)
        route = Route(task, run.first_execution_run_id, trace, self._tracing)
        spans = Spans(task, route, self._tracing, self._metrics, end.payload.run_id, _begun(started))
        for line in waiting(task):
            if line.kind in WAITS and line.since is not None:
                self.record("tasker_wait_duration", (at - line.since).total_seconds(), task.template.name, line.kind)
        for step in task.steps.values():
            if is_under_way(step):
                spans.step_over(step, state, step.started_at, at)
        spans.task_over(state, at, state)
        said = {"task_id": task.id, "template": task.template.name, "event": end.name, "trace_id": route.trace_id}
        logger.log(level_of(end.name), "task %s: %s", task.id, end.name, extra=said)


def _begun(started: HistoryEvent) -> int:
    """When Temporal took the task, in nanoseconds: earlier runs have handed it on."""
    header = started.workflow_execution_started_event_attributes.header.fields
    known = json.loads(header[HANDED_ON].data).get("begun") if HANDED_ON in header else None
    return known or int(started.event_time.ToDatetime(UTC).timestamp() * 1_000_000) * 1000
