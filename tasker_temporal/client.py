"""Starts tasks: once for each identity, at once or later, by template or by name."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, Literal, TypedDict, TypeVar, Unpack, overload

from pydantic import Field
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.common import Priority, RawValue, TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.converter import PayloadConverter
from temporalio.exceptions import WorkflowAlreadyStartedError

from tasker_temporal.compile import sink_mistakes
from tasker_temporal.converter import converter_of
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.requests import ACTOR_LIMIT, Actor, StartReason, clipped
from tasker_temporal.core.routes import Course, Mode
from tasker_temporal.core.template import PAYLOAD_LIMIT, Sink, Template
from tasker_temporal.core.values import QueueName
from tasker_temporal.core.wording import shown
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.errors import ContextInvalid, OptionError, TaskAlreadyStarted, TemplateError, UnknownTemplate
from tasker_temporal.handle import TaskHandle
from tasker_temporal.local_activities import KEY_BYTES, check_context
from tasker_temporal.options import check_options
from tasker_temporal.plugin import TaskerPlugin
from tasker_temporal.wire import MEMO_ACTOR, MEMO_REASON, StartInput

C = TypeVar("C")

TaskId = Annotated[str, Field(min_length=1, max_length=1000)]
"""The server takes ids of at most 1,000 bytes."""


class StartOptions(TypedDict, total=False):
    """How a task is started.

    Keys:
        id: The task's id, which is the workflow's.
        identity: Without an `id`: `unique` (as it comes) draws one; `strict` makes it of the template's name, its
            version and the context, so that the same order is never processed twice.
        on_duplicate: If there is a task of this id: `raise` `TaskAlreadyStarted` (as it comes), or `return` its handle.
        id_reuse_policy: Whether the id of a task that is over may be used again; as it comes, it may not.
        task_queue: Where its workflow runs and, unless a step says otherwise, its handlers; the template's own unless
            said.
        actor: Who starts it, for the audit; the client's identity unless said. At most 200 characters, no control
            characters, as with every request.
        reason: Why, for the audit: at most 2,000 characters.
        start_delay: How long the task waits before it begins.
        priority: Temporal's priority and fairness, for its workflow and its handlers.
        memo: Kept with the task, shown in lists.
        search_attributes: Those of your own that the cluster knows.
        mode: How its steps are processed: `concurrent`, `sequential_only`, or `high_priority`. It needs the template.
        max_concurrency: Steps that run at once. It needs the template.
        sinks: Who is told of this task's rows, in the place of those that its template names. It needs the template.
    """

    id: TaskId
    identity: Literal["unique", "strict"]
    on_duplicate: Literal["raise", "return"]
    id_reuse_policy: WorkflowIDReusePolicy
    task_queue: QueueName
    actor: Actor
    reason: StartReason
    start_delay: Annotated[timedelta, Field(ge=timedelta(0))]
    priority: Priority
    memo: Mapping[str, Any]
    search_attributes: TypedSearchAttributes
    sinks: Sequence[Sink]
    mode: Mode
    max_concurrency: Annotated[int, Field(ge=1)]


class ActionOptions(TypedDict, total=False):
    """The keyword arguments of `schedule_action`."""

    id: TaskId
    task_queue: QueueName


@overload
async def start_task(
    client: Client, template: TaskTemplate[C], context: C, **options: Unpack[StartOptions]
) -> TaskHandle: ...
@overload
async def start_task(
    client: Client, template: str, context: Any = None, **options: Unpack[StartOptions]
) -> TaskHandle: ...
async def start_task(
    client: Client, template: TaskTemplate[Any] | str, context: Any = None, **options: Unpack[StartOptions]
) -> TaskHandle:
    """Start one task: `task = await start_task(client, sell, Order(...), id="order-7")`.

    It returns as soon as the server has the task, whether or not a worker runs. `await task.result()` waits for its
    end. `StartOptions` lists the options.

    Args:
        template: The template, or its name. A name that the client's plugin does not know needs `task_queue`: the
            worker then validates the context, and the task ends in `error` if it is not valid.
        context: What the template's `context` type can validate.

    Raises:
        ContextInvalid: it does not validate; nothing was started.
        OptionError: an option is none, or has a value that it cannot have; nothing was started.
        SearchAttributesMissing: the plugin is to have them told, and the namespace lacks them; nothing was started.
        TaskAlreadyStarted: there is a task of this id, running or over; nothing was started.
        TemplateError: the template has mistakes; nothing was started.
        UnknownTemplate: nothing says where tasks of that name run.
    """
    check_options("start_task", StartOptions, options)
    name, known = _known("start_task", client, template)
    by = _starter(client, options)
    checked = context if known is None else check_context(known, context)
    listed = known is not None and await _is_listed(client)
    arguments = _arguments(client, known, checked, options, by, listed)
    task_id = options.get("id") or _identity(client, name, known, checked, options.get("identity", "unique"))
    try:
        await client.start_workflow(
            name,
            args=arguments,
            id=task_id,
            task_queue=_queue(client, name, known, options.get("task_queue")),
            static_summary=name if known is None else f"{name} {known.version}",
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=options.get("id_reuse_policy", WorkflowIDReusePolicy.REJECT_DUPLICATE),
            start_delay=options.get("start_delay"),
            memo=_memo(known, options, by),
            search_attributes=options.get("search_attributes"),
            priority=options.get("priority", Priority.default),
        )
    except WorkflowAlreadyStartedError as error:
        if options.get("on_duplicate", "raise") == "raise":
            raise TaskAlreadyStarted(task_id) from error
    return TaskHandle(client, task_id)


def schedule_action(
    client: Client,
    template: TaskTemplate[C] | str,
    context: C | Any = None,
    *,
    id: str | None = None,
    task_queue: str | None = None,
) -> ScheduleActionStartWorkflow:
    """What a Temporal schedule does to start tasks: `client.create_schedule(id, Schedule(action=..., spec=...))`.

    Each task takes the template that its worker has when it begins. `id` is the prefix of the tasks' ids; Temporal adds
    the time.

    Raises:
        ContextInvalid: the context does not validate.
        OptionError: an option has a value that it cannot have.
        UnknownTemplate: nothing says where tasks of that name run.
    """
    check_options("schedule_action", ActionOptions, {"id": id, "task_queue": task_queue})
    name, known = _known("schedule_action", client, template)
    checked = context if known is None else check_context(known, context)
    payload = converter_of(client).to_payload(checked)
    queue = _queue(client, name, known, task_queue)
    return ScheduleActionStartWorkflow(name, args=[RawValue(payload)], id=id or name, task_queue=queue)


def _known(call: str, client: Client, template: TaskTemplate[Any] | str) -> tuple[str, TaskTemplate[Any] | None]:
    if isinstance(template, TaskTemplate):
        return template.name, template
    given: Any = template
    if not isinstance(given, str) or not given:
        raise OptionError(call, [f"its template is {shown(template)}: expected a task template, or its name"])
    return template, next((p.templates[template] for p in _plugins(client) if template in p.templates), None)


def _plugins(client: Client) -> Iterator[TaskerPlugin]:
    return (plugin for plugin in client.config(active_config=True)["plugins"] if isinstance(plugin, TaskerPlugin))


async def _is_listed(client: Client) -> bool:
    """A client without the plugin starts tasks that tell no search attributes."""
    return any([await plugin.listing.decide(client) for plugin in _plugins(client)])


def _queue(client: Client, name: str, known: TaskTemplate[Any] | None, asked: str | None) -> str:
    queue = asked or (known.compiled.task_queue if known is not None else None)
    if queue is not None:
        return queue
    raise UnknownTemplate(f"nothing says where tasks of {name!r} run: pass task_queue=, or {_remedy(client, known)}")


def _remedy(client: Client, known: TaskTemplate[Any] | None) -> str:
    if known is not None:
        return "give the template one"
    has = [name for plugin in _plugins(client) for name in plugin.templates]
    if not has:
        return "connect the client with plugins=[TaskerPlugin(template)]"
    return f"name a template that the client's plugin has: {', '.join(has)}"


def _starter(client: Client, options: StartOptions) -> tuple[str, str]:
    """Who starts the task, and why. A client's identity is no name that was chosen for an audit."""
    actor = options.get("actor") or clipped(client.identity, ACTOR_LIMIT)
    return actor, options.get("reason") or ""


def _memo(known: TaskTemplate[Any] | None, options: StartOptions, by: tuple[str, str]) -> Mapping[str, Any] | None:
    """A task that takes its template from its worker finds there who started it, and why."""
    if known is not None:
        return options.get("memo")
    return {**options.get("memo", {}), MEMO_ACTOR: by[0], MEMO_REASON: by[1]}


def _identity(client: Client, name: str, known: TaskTemplate[Any] | None, context: Any, identity: str) -> str:
    """A strict identity hashes the context as JSON with sorted keys, so their order does not matter."""
    if identity == "unique":
        return f"{name}-{uuid.uuid4()}"
    version = "" if known is None else known.version
    data = converter_of(client).to_payload(context).data
    with suppress(ValueError):  # What is not JSON is its own canonical form.
        data = json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(b"\n".join([name.encode(), version.encode(), data]))
    return f"{name}-{digest.hexdigest()[:32]}"


def _arguments(
    client: Client,
    template: TaskTemplate[Any] | None,
    context: Any,
    options: StartOptions,
    by: tuple[str, str],
    listed: bool,
) -> list[RawValue]:
    converter = converter_of(client)
    if template is None:
        if strange := [name for name in ("sinks", "mode", "max_concurrency") if name in options]:
            message = f"{strange[0]}= needs a task's template: pass the template, or leave it to the template's own"
            raise UnknownTemplate(message)
        return [RawValue(converter.to_payload(context))]
    compiled = template.compiled if "sinks" not in options else _with_sinks(template, options["sinks"])
    key = secrets.token_bytes(KEY_BYTES)
    start = StartInput.first(compiled, key, *by, _course(options), listed=listed)
    return start_arguments(converter, template, context, start)


def _course(options: StartOptions) -> Course | None:
    course = Course(mode=options.get("mode"), max_concurrency=options.get("max_concurrency"))
    return None if course == Course() else course


def _with_sinks(template: TaskTemplate[Any], sinks: Sequence[Sink]) -> Template:
    """The template for one task only. A copy would take over what was computed of the old one."""
    known = template.compiled
    made = Template(**{name: getattr(known, name) for name in Template.model_fields} | {"sinks": tuple(sinks)})
    custom = [event.name for event in template.custom_events]
    if found := [*mistakes(made), *sink_mistakes(made.sinks, custom)]:
        raise TemplateError(template.name, found)
    return made


def start_arguments(
    converter: PayloadConverter, template: TaskTemplate[Any], checked: Any, start: StartInput
) -> list[RawValue]:
    """The workflow's arguments: the checked context, and what the library adds.

    Raises:
        ContextInvalid: the context is too large.
    """
    payload, added = converter.to_payload(checked), start.raw()
    size = payload.ByteSize() + added.payload.ByteSize()
    if size > PAYLOAD_LIMIT:
        msg = f"with the template it takes {size} bytes: at most {PAYLOAD_LIMIT} can be sent"
        raise ContextInvalid(template.name, [{"loc": [], "type": "too_large", "msg": msg}])
    return [RawValue(payload), added]
