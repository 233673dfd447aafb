"""The notifiers of approvals become activities: each is told, in one argument, what happened."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tasker_temporal.approval_notice import ApprovalNotice, Notifier
from tasker_temporal.attempt import translated
from tasker_temporal.declare import DeclaredApproval, TaskTemplate
from tasker_temporal.payloads import raw
from tasker_temporal.signature import is_async


def notifier_activities(templates: Iterable[TaskTemplate[Any]], executor: Executor) -> list[Callable[..., Any]]:
    """All notifiers of these templates, the last declared of each activity type."""
    found = {name: notifier for template in templates for name, notifier in _notifiers(template)}
    return [_activity(name, notifier, executor) for name, notifier in found.items()]


def _notifiers(template: TaskTemplate[Any]) -> Iterable[tuple[str, Notifier]]:
    compiled = template.compiled
    if template.notify is not None:
        yield compiled.notifier_type(None), template.notify
    for step in template.declared:
        if isinstance(step, DeclaredApproval) and step.notify is not None:
            for name in (step.name, *step.options.get("formerly", ())):
                yield compiled.notifier_type(name), step.notify


def _activity(name: str, notifier: Notifier, executor: Executor) -> Callable[..., Any]:
    """A plain function runs in a thread."""

    @activity.defn(name=name)
    async def notify(sent: RawValue) -> RawValue:
        told = ApprovalNotice.model_validate_json(sent.payload.data)
        try:
            await _tell(notifier, told, executor)
        except Exception as error:
            raise _translated(error) from error
        return raw(None)

    return notify


async def _tell(notifier: Notifier, told: ApprovalNotice, executor: Executor) -> None:
    if is_async(notifier):
        await notifier(told)
    else:
        context = contextvars.copy_context()
        await asyncio.get_running_loop().run_in_executor(executor, partial(context.run, notifier, told))


def _translated(error: Exception) -> ApplicationError:
    """What handlers raise to steer their retries steers a notifier's too. No failure of one is an incident."""
    said = translated(error)
    after = said.details[0]["retry_after"]
    return ApplicationError(
        said.message,
        type=said.type,
        non_retryable=not said.details[0]["retryable"],
        next_retry_delay=None if after is None else timedelta(seconds=after),
        category=ApplicationErrorCategory.BENIGN,
    )
