"""Where telemetry sits in client and worker: it reads and writes headers, and measures what passes by."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Mapping
from functools import cached_property
from typing import Any, Final, NoReturn

from opentelemetry.trace import SpanContext
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from tasker_temporal.core.task import Task
from tasker_temporal.telemetry.attempts import AttemptInbound, Handlers
from tasker_temporal.telemetry.carrier import Headers, context_of, sending, sent, span_of
from tasker_temporal.telemetry.catalogue import HANDED_ON
from tasker_temporal.telemetry.harmless import harmless
from tasker_temporal.telemetry.listener import Listener
from tasker_temporal.telemetry.metrics import Metrics
from tasker_temporal.telemetry.present import Memory, Present
from tasker_temporal.telemetry.route import Route
from tasker_temporal.telemetry.tracing import Times, Tracing
from tasker_temporal.telemetry.waits import Waits

Measured = Mapping[str, frozenset[str]]
"""For each template its own events of the category `telemetry`."""

SIGNALS: Final = frozenset({"transition", "send_event"})
"""Whoever sends a signal names it, so all others share one name."""


class WorkerTelemetry(Interceptor):
    """One worker's.

    Args:
        tasks: The workflow types that are tasks, and of each its own events that are counted.
        handlers: The handlers among the activities.
    """

    def __init__(self, tracing: Tracing, metrics: Metrics, tasks: Measured, handlers: Handlers) -> None:
        self._tracing, self._metrics, self._tasks, self._handlers = tracing, metrics, tasks, handlers

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return AttemptInbound(next, self._tracing, self._metrics, self._handlers)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        tracing, metrics, tasks, memory = self._tracing, self._metrics, self._tasks, Memory()

        class Inbound(TaskInbound):
            def __init__(self, next: WorkflowInboundInterceptor) -> None:
                super().__init__(next, tracing, metrics, tasks, memory)

        return Inbound


class TaskInbound(WorkflowInboundInterceptor):
    """One run's, of whatever workflow: those that are no tasks pass through."""

    def __init__(
        self,
        next: WorkflowInboundInterceptor,
        tracing: Tracing,
        metrics: Metrics,
        tasks: Measured,
        memory: Memory,
    ) -> None:
        super().__init__(next)
        self._tracing, self._metrics, self._tasks = tracing, metrics, tasks
        self.listener: Listener | None = None
        self._memory = memory
        self._signals = 0

    @cached_property
    def _present(self) -> Present:
        return Present(workflow.info().run_id, self._memory)

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(TaskOutbound(outbound, self))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        if workflow.info().workflow_type in self._tasks:
            task: Any = workflow.instance()
            task.listen(self._listens)
        try:
            return await super().execute_workflow(input)
        finally:
            if self.listener is not None:
                self.listener.close()

    def _listens(self, task: Task, trace: Mapping[str, str]) -> Listener:
        info = workflow.info()
        header, known = sent(info.headers), _known(info.headers)
        route = Route(task, info.first_execution_run_id, trace or header, self._tracing)
        asked = span_of(context_of(header)) if trace else None
        self.listener = Listener(
            task,
            route,
            self._tracing,
            self._metrics,
            Waits({name: (kind, since) for name, (kind, since) in known.get("waits", {}).items()}),
            self._present,
            known.get("begun") or int(info.workflow_start_time.timestamp() * 1_000_000) * 1000,
            () if asked is None else (asked,),
            self._tasks[info.workflow_type],
        )
        return self.listener

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        handled = super().handle_update_handler(input)
        return await self._requested(input.update, input.id, input.headers, handled)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:
        """What it refuses never reaches the handler."""
        begun = time.time_ns()
        try:
            super().handle_update_validator(input)
        except ApplicationError as error:
            if self._present.tells("request", input.id):
                self._tell(input.update, input.id, input.headers, begun, error.type or "ApplicationError")
            raise

    async def handle_signal(self, input: HandleSignalInput) -> None:
        # A signal has no id; its place among the run's signals is the same in every replay.
        self._signals += 1
        id = f"{workflow.info().run_id}/{self._signals}"
        name = input.signal if input.signal in SIGNALS else "unknown"
        await self._requested(name, id, input.headers, super().handle_signal(input))

    async def _requested(self, name: str, id: str, headers: Headers, handled: Awaitable[Any]) -> Any:
        begun = time.time_ns() if self._present.is_now() else workflow.time_ns()
        error: str | None = None
        try:
            return await handled
        except ApplicationError as raised:
            error = raised.type or "ApplicationError"
            raise
        finally:
            if self._present.tells("request", id):
                self._tell(name, id, headers, begun, error)

    def _tell(self, name: str, id: str, headers: Headers, begun: int, error: str | None) -> None:
        with harmless():
            caller: SpanContext | None = span_of(context_of(sent(headers)))
            if self.listener is not None:
                self.listener.asked(name, id, Times(begun, time.time_ns()), caller, error)


def _known(headers: Headers) -> dict[str, Any]:
    payload = headers.get(HANDED_ON)
    return {} if payload is None else json.loads(payload.data)


class TaskOutbound(WorkflowOutboundInterceptor):
    """Sends the trace on, to handlers and to the next run."""

    def __init__(self, next: WorkflowOutboundInterceptor, inbound: TaskInbound) -> None:
        super().__init__(next)
        self._inbound = inbound

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        listener = self._inbound.listener
        if listener is not None:
            with harmless():
                step = (input.activity_id or "").rpartition(":")[0]
                input.headers = sending(input.headers, listener.leading_to(step))
        return super().start_activity(input)

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        listener = self._inbound.listener
        if listener is not None:
            handed = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(listener.handed_on()).encode())
            input.headers = {**sending(input.headers, listener.route.carrier), HANDED_ON: handed}
        super().continue_as_new(input)
