"""The client's side: a task is started, or asked something, in the caller's trace."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, get_args

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode
from temporalio.client import (
    Interceptor,
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.common import RawValue

from tasker_temporal.core.requests import Request
from tasker_temporal.telemetry.carrier import carried_by, sending
from tasker_temporal.telemetry.tracing import KINDS, Tracing, name_of

REQUESTS: Final = frozenset(kind.model_fields["request"].default for kind in get_args(get_args(Request)[0]))


class ClientTelemetry(Interceptor):
    """One client's.

    Args:
        tasks: The workflow types that are tasks.
    """

    def __init__(self, tracing: Tracing, tasks: Container[str]) -> None:
        self._tracing, self._tasks = tracing, tasks

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return Calls(next, self._tracing, self._tasks)


class Calls(OutboundInterceptor):
    """Sends the caller's context with every start, signal and update. Those of tasks get a span of their own."""

    def __init__(self, next: OutboundInterceptor, tracing: Tracing, tasks: Container[str]) -> None:
        super().__init__(next)
        self._tracing, self._tasks = tracing, tasks

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        is_task = input.workflow in self._tasks or (len(input.args) == 2 and isinstance(input.args[1], RawValue))
        about = {"tasker.task.id": input.id, "tasker.template.name": input.workflow}
        with self._span("start", about, is_task, template=input.workflow):
            input.headers = sending(input.headers, carried_by())
            return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:
        input.headers = sending(input.headers, carried_by())
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:
        is_request = input.update in REQUESTS and all(isinstance(argument, RawValue) for argument in input.args)
        about = {"tasker.task.id": input.id, "tasker.request.name": input.update}
        with self._span("ask", about, is_request, request=input.update):
            input.headers = sending(input.headers, carried_by())
            return await super().start_workflow_update(input)

    @contextmanager
    def _span(self, kind: str, attributes: Mapping[str, str], is_ours: bool, **said: str) -> Iterator[None]:
        tracer = self._tracing.tracer
        if tracer is None or not is_ours:
            yield
            return
        span = tracer.start_span(name_of(kind, **said), kind=KINDS[kind], attributes=attributes)
        token = contexts.attach(trace.set_span_in_context(span))
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            contexts.detach(token)
            span.end()
