"""Durable tasks on Temporal: declare a graph of steps, and write one plain function for each.

A public name is imported when it is first asked for, so that `tasker --help` waits for none of them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasker_temporal.approval_notice import ApprovalNotice
    from tasker_temporal.client import schedule_action, start_task
    from tasker_temporal.core.approval import Approval
    from tasker_temporal.core.machine import State
    from tasker_temporal.core.report import StepReport, TaskReport
    from tasker_temporal.core.requests import Identity
    from tasker_temporal.core.retry import Retry
    from tasker_temporal.core.routes import Route
    from tasker_temporal.core.rows import Row
    from tasker_temporal.core.task_types import Move, TaskType
    from tasker_temporal.core.template import Limits
    from tasker_temporal.custom_events import CustomEvent
    from tasker_temporal.declare import TaskTemplate, result_of
    from tasker_temporal.errors import (
        ContextInvalid,
        EventRefused,
        PermanentError,
        RequestRefused,
        RetryableError,
        TaskAlreadyStarted,
        TaskCancelled,
        TaskerError,
        TaskFailed,
        TemplateError,
    )
    from tasker_temporal.failed_step import FailedStep
    from tasker_temporal.handle import TaskHandle
    from tasker_temporal.identity import IdentityInterceptor
    from tasker_temporal.plugin import TaskerPlugin
    from tasker_temporal.step_context import StepContext
    from tasker_temporal.triggers import (
        all_of,
        any_of,
        at_least,
        chosen,
        completed,
        elapsed,
        ended,
        event_of,
        failed,
        failure_of,
        received,
        skipped,
    )
else:
    # Type checkers must not see `__getattr__`: they would let any name pass.
    _HOMES = {
        "Approval": "core.approval",
        "ApprovalNotice": "approval_notice",
        "ContextInvalid": "errors",
        "CustomEvent": "custom_events",
        "EventRefused": "errors",
        "FailedStep": "failed_step",
        "Limits": "core.template",
        "Identity": "core.requests",
        "IdentityInterceptor": "identity",
        "Move": "core.task_types",
        "PermanentError": "errors",
        "RequestRefused": "errors",
        "Retry": "core.retry",
        "RetryableError": "errors",
        "Route": "core.routes",
        "Row": "core.rows",
        "State": "core.machine",
        "StepContext": "step_context",
        "StepReport": "core.report",
        "TaskAlreadyStarted": "errors",
        "TaskCancelled": "errors",
        "TaskFailed": "errors",
        "TaskHandle": "handle",
        "TaskReport": "core.report",
        "TaskTemplate": "declare",
        "TaskType": "core.task_types",
        "TaskerError": "errors",
        "TaskerPlugin": "plugin",
        "TemplateError": "errors",
        "all_of": "triggers",
        "any_of": "triggers",
        "at_least": "triggers",
        "chosen": "triggers",
        "completed": "triggers",
        "elapsed": "triggers",
        "ended": "triggers",
        "event_of": "triggers",
        "failed": "triggers",
        "failure_of": "triggers",
        "received": "triggers",
        "result_of": "declare",
        "schedule_action": "client",
        "skipped": "triggers",
        "start_task": "client",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})


__all__ = [
    "Approval",
    "ApprovalNotice",
    "ContextInvalid",
    "CustomEvent",
    "EventRefused",
    "FailedStep",
    "Identity",
    "IdentityInterceptor",
    "Limits",
    "Move",
    "PermanentError",
    "RequestRefused",
    "Retry",
    "RetryableError",
    "Route",
    "Row",
    "State",
    "StepContext",
    "StepReport",
    "TaskAlreadyStarted",
    "TaskCancelled",
    "TaskFailed",
    "TaskHandle",
    "TaskReport",
    "TaskTemplate",
    "TaskType",
    "TaskerError",
    "TaskerPlugin",
    "TemplateError",
    "all_of",
    "any_of",
    "at_least",
    "chosen",
    "completed",
    "elapsed",
    "ended",
    "event_of",
    "failed",
    "failure_of",
    "received",
    "result_of",
    "schedule_action",
    "skipped",
    "start_task",
]
