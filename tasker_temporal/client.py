"""Starts tasks."""

from __future__ import annotations

import secrets
import uuid
from typing import Any, TypeVar, overload

from temporalio.client import Client
from temporalio.common import RawValue

from tasker_temporal.core.template import PAYLOAD_LIMIT
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.errors import ContextInvalid, UnknownTemplate
from tasker_temporal.handle import TaskHandle
from tasker_temporal.local_activities import KEY_BYTES, check_context
from tasker_temporal.plugin import TaskerPlugin
from tasker_temporal.wire import StartInput

C = TypeVar("C")


@overload
async def start_task(
    client: Client,
    template: TaskTemplate[C],
    context: C,
    *,
    id: str | None = None,
    task_queue: str | None = None,
    actor: str | None = None,
    reason: str = "",
) -> TaskHandle: ...
@overload
async def start_task(
    client: Client,
    template: str,
    context: Any = None,
    *,
    id: str | None = None,
    task_queue: str | None = None,
    actor: str | None = None,
    reason: str = "",
) -> TaskHandle: ...
async def start_task(
    client: Client,
    template: TaskTemplate[Any] | str,
    context: Any = None,
    *,
    id: str | None = None,
    task_queue: str | None = None,
    actor: str | None = None,
    reason: str = "",
) -> TaskHandle:
    """Start one task.

    Args:
        template: The template, or its name. A name that the client's plugin does not know needs `task_queue`: the
            worker then validates the context, and the task ends in `error` if it is not valid.
        context: What the template's `context` type can validate.
        id: The task's id, which is the workflow's; unique unless said.
        task_queue: Where its workflow runs and, unless a step says otherwise, its handlers; the template's own unless
            said.
        actor: Who starts it, for the audit; the client's identity unless said.
        reason: Why, for the audit.

    Raises:
        ContextInvalid: it does not validate; nothing was started.
        TemplateError: the template has mistakes; nothing was started.
        UnknownTemplate: nothing says where tasks of that name run.
        temporalio.exceptions.WorkflowAlreadyStartedError: a task of this id is running.
    """
    name = template if isinstance(template, str) else template.name
    known = _registered(client, name) if isinstance(template, str) else template
    queue = task_queue or (known.compiled.task_queue if known is not None else None)
    if queue is None:
        raise UnknownTemplate(f"nothing says where tasks of {name!r} run: pass task_queue=, or give its template one")
    arguments = _arguments(client, known, context, actor or client.identity, reason)
    task_id = id or f"{name}-{uuid.uuid4()}"
    summary = name if known is None else f"{name} {known.version}"
    handle = await client.start_workflow(name, args=arguments, id=task_id, task_queue=queue, static_summary=summary)
    return TaskHandle(client, handle.id)


def _registered(client: Client, name: str) -> TaskTemplate[Any] | None:
    plugins = (plugin for plugin in client.config(active_config=True)["plugins"] if isinstance(plugin, TaskerPlugin))
    return next((plugin.templates[name] for plugin in plugins if name in plugin.templates), None)


def _arguments(
    client: Client, template: TaskTemplate[Any] | None, context: Any, actor: str, reason: str
) -> list[RawValue]:
    converter = client.data_converter.payload_converter
    if template is None:
        return [RawValue(converter.to_payload(context))]
    payload = converter.to_payload(check_context(template, context))
    start = StartInput.first(template.compiled, secrets.token_bytes(KEY_BYTES), actor, reason).raw()
    size = payload.ByteSize() + start.payload.ByteSize()
    if size > PAYLOAD_LIMIT:
        msg = f"with the template it takes {size} bytes: at most {PAYLOAD_LIMIT} can be sent"
        raise ContextInvalid(template.name, [{"loc": [], "type": "too_large", "msg": msg}])
    return [RawValue(payload), start]
