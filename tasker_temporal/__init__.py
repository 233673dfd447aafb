"""Durable tasks on Temporal: declare a graph of steps, and write one plain function for each."""

from tasker_temporal.client import schedule_action, start_task
from tasker_temporal.core.machine import State
from tasker_temporal.core.report import StepReport, TaskReport
from tasker_temporal.core.rows import Row
from tasker_temporal.core.template import Limits, Retry
from tasker_temporal.declare import TaskTemplate, result_of
from tasker_temporal.errors import (
    ContextInvalid,
    PermanentError,
    RequestRefused,
    RetryableError,
    TaskAlreadyStarted,
    TaskCancelled,
    TaskerError,
    TaskFailed,
    TemplateError,
)
from tasker_temporal.handle import TaskHandle
from tasker_temporal.plugin import TaskerPlugin
from tasker_temporal.step_context import StepContext

__all__ = [
    "ContextInvalid",
    "Limits",
    "PermanentError",
    "RequestRefused",
    "Retry",
    "RetryableError",
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
    "TaskerError",
    "TaskerPlugin",
    "TemplateError",
    "result_of",
    "schedule_action",
    "start_task",
]
