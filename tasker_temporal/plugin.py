"""Everything that a Temporal client, worker or replayer must know to run tasks, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.client import ClientConfig
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter, DefaultPayloadConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    HandleQueryInput,
    Interceptor,
    WorkerConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from tasker_temporal.activities import step_activity
from tasker_temporal.declare import DeclaredStep, TaskTemplate
from tasker_temporal.errors import TemplateError, UnknownTemplate
from tasker_temporal.local_activities import local_activities
from tasker_temporal.workflow import TaskWorkflow, workflow_class

if TYPE_CHECKING:
    # OpenTelemetry is loaded only where somebody listens.
    from tasker_temporal.telemetry import Telemetry

HEARTBEAT_THROTTLE = timedelta(seconds=10)
"""How late, at most, a running handler hears of its cancellation. The SDK's own default is 60 seconds."""


class TaskerPlugin(SimplePlugin):
    """Pass it as `plugins=[TaskerPlugin(template, ...)]` when you connect the client; its workers take it from there.

    What you configured stays: your data converter keeps its codec and, if it is not the SDK's default one, its payload
    converter; your workflows keep their sandbox; your activities and interceptors stand beside the library's.

    Args:
        templates: Those whose tasks this process starts or runs. Of several versions, new tasks that were started
            without a template begin with the one that is named last.
        sync_handlers: How many handlers that are plain functions may run at once, each in a thread.
        telemetry: Listens to what happens to tasks. Without it nobody does, and nothing of it is loaded.

    Raises:
        TemplateError: a template has mistakes, or two versions have different handlers for one step.
    """

    def __init__(
        self, *templates: TaskTemplate[Any], sync_handlers: int = 100, telemetry: Telemetry | None = None
    ) -> None:
        self.telemetry = telemetry
        self.templates: Mapping[str, TaskTemplate[Any]] = {template.name: template for template in templates}
        executor = ThreadPoolExecutor(sync_handlers, thread_name_prefix="tasker-step")
        self._handlers = handlers = _handlers(templates)
        super().__init__(
            "tasker_temporal.TaskerPlugin",
            data_converter=_with_pydantic,
            interceptors=[CurrentDetails()],
            workflows=[workflow_class(name) for name in self.templates],
            activities=[
                *local_activities(self.templates),
                *(step_activity(step, name, executor) for name, step in handlers.items()),
            ],
        )

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        configured = super().configure_client(config)
        if self.telemetry is not None:
            listening = self.telemetry.of_client(self.templates)
            configured["interceptors"] = [*configured.get("interceptors", ()), listening]
        return configured

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        configured = super().configure_worker(config)
        if self.telemetry is not None:
            runtime = configured["client"].service_client.config.runtime
            templates = {name: template.compiled for name, template in self.templates.items()}
            handlers = {kind: (step.template.name, step.name) for kind, step in self._handlers.items()}
            listening = self.telemetry.of_worker(runtime, templates, handlers)
            configured["interceptors"] = [*configured.get("interceptors", ()), listening]
        throttle = configured.get("max_heartbeat_throttle_interval", HEARTBEAT_THROTTLE)
        configured["max_heartbeat_throttle_interval"] = min(throttle, HEARTBEAT_THROTTLE)
        return configured

    def template(self, name: str) -> TaskTemplate[Any]:
        """The template of that name.

        Raises:
            UnknownTemplate: this plugin has none.
        """
        try:
            return self.templates[name]
        except KeyError:
            known = ", ".join(self.templates) or "none"
            raise UnknownTemplate(f"no template {name!r} is registered here; registered are: {known}") from None


def _handlers(templates: Sequence[TaskTemplate[Any]]) -> dict[str, DeclaredStep[..., Any, Any]]:
    """The handlers by activity type."""
    found: dict[str, DeclaredStep[..., Any, Any]] = {}
    for template in templates:
        compiled = template.compiled
        for step in template.declared:
            for name in (step.name, *step.options.get("formerly", ())):
                known = found.setdefault(compiled.activity_type(name), step)
                if known.function is not step.function:
                    raise TemplateError(template.name, [_clash(name, known, step)])
    return found


def _clash(name: str, known: DeclaredStep[..., Any, Any], step: DeclaredStep[..., Any, Any]) -> str:
    versions = f"{known.template.version} and {step.template.version}"
    return f"step {name!r}: versions {versions} have different handlers: expected one function, or another step name"


def _with_pydantic(converter: DataConverter | None) -> DataConverter:
    """Pydantic's JSON in the place of the SDK's default; a payload converter of the user's own stays."""
    configured = converter or DataConverter.default
    if configured.payload_converter_class is not DefaultPayloadConverter:
        return configured
    return replace(configured, payload_converter_class=PydanticPayloadConverter)


class CurrentDetails(Interceptor):
    """Renders a task's table for Temporal's UI when somebody looks, and at no other time."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return _CurrentDetailsInbound


class _CurrentDetailsInbound(WorkflowInboundInterceptor):
    async def handle_query(self, input: HandleQueryInput) -> Any:
        answer = await super().handle_query(input)
        task = workflow.instance()
        if input.query == "__temporal_workflow_metadata" and isinstance(task, TaskWorkflow):
            answer.current_details = task.current_details()
        return answer
