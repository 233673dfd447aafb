"""Everything that a Temporal client, worker or replayer must know to run tasks, in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

from pydantic import Field
from temporalio import workflow
from temporalio.client import ClientConfig
from temporalio.converter import DataConverter, DefaultPayloadConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    HandleQueryInput,
    Interceptor,
    ReplayerConfig,
    Worker,
    WorkerConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tasker_temporal.activities import step_activity
from tasker_temporal.converter import with_pydantic
from tasker_temporal.core.wording import shown
from tasker_temporal.declare import DeclaredStep, TaskTemplate
from tasker_temporal.errors import OptionError, TemplateError, UnknownSink, UnknownTemplate
from tasker_temporal.identity import Headers
from tasker_temporal.local_activities import local_activities
from tasker_temporal.namespace import Listing, Wanted
from tasker_temporal.notifiers import notifier_activities
from tasker_temporal.options import check_options
from tasker_temporal.runner import Activations, TaskRunner
from tasker_temporal.sinks.deliver import deliver_activity
from tasker_temporal.sinks.delivery import Delivery
from tasker_temporal.sinks.handlers import SinkHandlers
from tasker_temporal.sinks.sweep import Sweep, sweep_activity
from tasker_temporal.stalls import Stalls
from tasker_temporal.undecodable import TolerantRunner
from tasker_temporal.workflow import TaskWorkflow, workflow_class

if TYPE_CHECKING:
    # OpenTelemetry is loaded only where somebody listens.
    from tasker_temporal.telemetry import Telemetry

HEARTBEAT_THROTTLE = timedelta(seconds=10)
"""How late, at most, a running handler hears of its cancellation. The SDK's own default is 60 seconds."""

SDK_EAGER_STEPS, EAGER_STEPS = 3, 10
"""Of the steps that one workflow task starts, so many may begin at once in the worker that decided on them, if it has
free slots: those need no dispatch, neither on the server nor in the worker. The rest go to whoever polls first. The
SDK's own default is 3; another number that you give your worker stays.
"""


PASSED_THROUGH = ("cel_expr_python",)
"""Of what the library imports, the modules that cannot be imported twice in one process, as a sandbox would."""


def _with_passthrough(runner: WorkflowRunner | None) -> WorkflowRunner:
    """The user's own runner. His sandboxed workflows may stand in a module that imports a template."""
    known = SandboxedWorkflowRunner() if runner is None else runner
    if not isinstance(known, SandboxedWorkflowRunner):
        return known
    return replace(known, restrictions=known.restrictions.with_passthrough_modules(*PASSED_THROUGH))


class PluginOptions(TypedDict, total=False):
    """The keyword arguments of `TaskerPlugin`."""

    sinks: Mapping[str, Any]
    sync_handlers: Annotated[int, Field(ge=1)]
    identity_key: Annotated[bytes, Field(min_length=1, repr=False)]
    search_attributes: Literal[True, False, "auto"]


class TaskerPlugin(SimplePlugin):
    """Pass it as `plugins=[TaskerPlugin(template, ...)]` when you connect the client; its workers take it from there.

    What you configured stays: your data converter keeps its codec and, if it is not the SDK's default one, its payload
    converter; your workflows keep their sandbox; your activities and interceptors stand beside the library's.

    Args:
        templates: Those whose tasks this process starts or runs. Of several versions, new tasks that were started
            without a template begin with the one that is named last.
        sinks: How each sink is reached that templates name: `Webhook`, `Postgres`, `JsonLines` of
            `tasker_temporal.sinks`, or a function of yours that takes a list of `TaskEvent`.
        sync_handlers: How many handlers that are plain functions may run at once, each in a thread.
        identity_key: That of the clients' `IdentityInterceptor`: an identity that is not signed with it is refused.
            Without it, every identity in a header is believed.
        search_attributes: Whether new tasks tell lists what they wait for. `auto` (as it comes): if the namespace has
            what `tasker setup` adds, which is asked once. A task keeps for its whole life what was decided at its
            start, whatever its workers say.
        telemetry: Listens to what happens to tasks. Without it nobody does, and nothing of it is loaded.

    Raises:
        OptionError: an option has a value that it cannot have.
        TemplateError: a template has mistakes, or two versions have different handlers for one step.
    """

    def __init__(
        self,
        *templates: TaskTemplate[Any],
        sinks: SinkHandlers | None = None,
        sync_handlers: int = 100,
        identity_key: bytes | None = None,
        search_attributes: Wanted = "auto",
        telemetry: Telemetry | None = None,
    ) -> None:
        said = {"sinks": sinks, "sync_handlers": sync_handlers, "identity_key": identity_key}
        check_options("TaskerPlugin", PluginOptions, said | {"search_attributes": search_attributes})
        if found := [*_strangers(templates), *_deaf(sinks or {}), *_mute(telemetry)]:
            raise OptionError("TaskerPlugin", found)
        self.telemetry = telemetry
        self.listing = Listing(search_attributes)
        self.sinks: SinkHandlers = dict(sinks or {})
        self.templates: Mapping[str, TaskTemplate[Any]] = {template.name: template for template in templates}
        executor = ThreadPoolExecutor(sync_handlers, thread_name_prefix="tasker-step")
        self._handlers = handlers = _handlers(templates)
        super().__init__(
            "tasker_temporal.TaskerPlugin",
            data_converter=with_pydantic,
            workflow_runner=_with_passthrough,
            interceptors=[CurrentDetails(), Headers()],
            workflows=[*(workflow_class(name) for name in self.templates), Delivery, Sweep],
            activities=[
                *local_activities(self.templates, self.listing.decide_anyway, identity_key),
                deliver_activity(self.sinks),
                sweep_activity(self.templates),
                *(step_activity(step, name, executor) for name, step in handlers.items()),
                *notifier_activities(templates, executor),
            ],
        )

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        configured = super().configure_client(config)
        if self.telemetry is not None:
            listening = self.telemetry.of_client(self.templates)
            configured["interceptors"] = [*configured.get("interceptors", ()), listening]
        return configured

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Called by the worker.

        Raises:
            UnknownSink: a template names a sink that this worker would have to reach, and cannot.
            OptionError: its client has no such plugin, or has one beside this one.
        """
        self._check_sinks()
        _check_client(config)
        configured = super().configure_worker(config)
        if self.telemetry is not None:
            listening = self._listening(configured, self.telemetry)
            configured["interceptors"] = [*configured.get("interceptors", ()), listening]
        _with_runner(configured)
        throttle = configured.get("max_heartbeat_throttle_interval", HEARTBEAT_THROTTLE)
        configured["max_heartbeat_throttle_interval"] = min(throttle, HEARTBEAT_THROTTLE)
        if configured.get("max_eager_activity_reservations_per_workflow_task", SDK_EAGER_STEPS) == SDK_EAGER_STEPS:
            configured["max_eager_activity_reservations_per_workflow_task"] = EAGER_STEPS
        return configured

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Called by the replayer, which carries tasks out as a worker does."""
        configured = super().configure_replayer(config)
        runner = _runner(configured["unsandboxed_workflow_runner"], configured["data_converter"])
        configured["unsandboxed_workflow_runner"] = runner
        configured["workflow_task_executor"] = Activations(runner, None)
        return configured

    def _listening(self, config: WorkerConfig, telemetry: Telemetry) -> Interceptor:
        templates = {name: template.compiled for name, template in self.templates.items()}
        handlers = {kind: (step.template.name, step.name) for kind, step in self._handlers.items()}
        measured = {
            name: frozenset(event.name for event in template.custom_events if event.category == "telemetry")
            for name, template in self.templates.items()
        }
        return telemetry.of_worker(config["client"].service_client.config.runtime, templates, handlers, measured)

    def _check_sinks(self) -> None:
        for template in self.templates.values():
            for sink in template.compiled.sinks:
                if sink.name not in self.sinks and sink.task_queue is None:
                    raise UnknownSink(
                        f"template {template.name!r} names sink {sink.name!r}, which this worker does not know; "
                        f"it knows: {', '.join(self.sinks) or 'none'}; "
                        f"pass TaskerPlugin(..., sinks={{{sink.name!r}: ...}}), "
                        "or give the sink a task_queue whose workers know it"
                    )

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Called by the worker.

        Raises:
            SearchAttributesMissing: they are to be told, and the namespace does not have them.
        """
        if self.listing.is_wanted:
            await self.listing.decide(worker.client)
        stalls = Stalls(asyncio.get_running_loop())
        try:
            await super().run_worker(worker, next)
        finally:
            stalls.end()
            _end_threads(worker)

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


def _strangers(templates: Sequence[Any]) -> Iterator[str]:
    for template in templates:
        if not isinstance(template, TaskTemplate):
            yield f"it takes task templates, each as an argument of its own, and was given {shown(template)}"


def _deaf(sinks: Mapping[str, Any]) -> Iterator[str]:
    for sink, handler in sinks.items():
        if not callable(handler) or isinstance(handler, type):
            yield f"its sink {sink!r} is {shown(handler)}: expected a function that takes events, or a Webhook(...)"


def _mute(telemetry: Any) -> Iterator[str]:
    """Its class is not looked up: that would load OpenTelemetry."""
    if telemetry is not None and (isinstance(telemetry, type) or not hasattr(telemetry, "of_worker")):
        yield f"its telemetry is {shown(telemetry)}: expected Telemetry(...)"


def _check_client(config: WorkerConfig) -> None:
    """The converter is the client's. And two plugins would bring the library's own activities twice, which the SDK
    tells of in words that nobody knows.
    """
    if config["client"].data_converter.payload_converter_class is DefaultPayloadConverter:
        told = "the worker's client has none: pass it where the client is connected, and not to the worker"
        raise OptionError("TaskerPlugin", [told])
    if any(workflow is Delivery for workflow in config.get("workflows", ())):
        told = "this worker has two: expected one with all templates, that of its client, which it takes over"
        raise OptionError("TaskerPlugin", [told])


def _with_runner(config: WorkerConfig) -> None:
    """Tasks are run in the library's own way; an executor of the user's stays."""
    runner = _runner(config["unsandboxed_workflow_runner"], config["client"].data_converter)
    config["unsandboxed_workflow_runner"] = runner
    if config.get("workflow_task_executor") is None:
        config["workflow_task_executor"] = Activations(runner, config.get("max_concurrent_workflow_tasks"))


def _runner(runner: WorkflowRunner, converter: DataConverter) -> TaskRunner:
    return TaskRunner(TolerantRunner(runner), converter)


def _end_threads(worker: Worker) -> None:
    """The SDK ends only those of an executor that it has made itself."""
    executor = worker.config(active_config=True).get("workflow_task_executor")
    if isinstance(executor, Activations):
        executor.shutdown(wait=False)


def _handlers(templates: Sequence[TaskTemplate[Any]]) -> dict[str, DeclaredStep[..., Any, Any]]:
    """The handlers by activity type."""
    found: dict[str, DeclaredStep[..., Any, Any]] = {}
    known: dict[tuple[str, str], TaskTemplate[Any]] = {}
    for template in templates:
        compiled = template.compiled
        if known.setdefault((template.name, compiled.version), template).compiled != compiled:
            raise TemplateError(template.name, [TWICE.format(compiled.version)])
        for step in (one for one in template.declared if one.awaits == "handler"):
            for name in (step.name, *step.options.get("formerly", ())):
                other = found.setdefault(compiled.activity_type(name), step)
                if other.function is not step.function:
                    raise TemplateError(template.name, [_clash(name, other, step)])
    return found


TWICE = "two templates have this name, version {0}, and are not the same: expected another name, or another version"


def _clash(name: str, known: DeclaredStep[..., Any, Any], step: DeclaredStep[..., Any, Any]) -> str:
    old, new = known.template.version, step.template.version
    if old == new and known.template is not step.template:
        return TWICE.format(new)
    return (
        f"step {name!r}: versions {old} and {new} have different handlers: expected one function, or another step name"
    )


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
