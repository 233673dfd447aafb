"""Who listens to what: the whole flow of a task on one page.

A subscriber is a pure function of an event and the task: it changes nothing, and yields what should follow. Take a line
out, and the flow stops there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from tasker_temporal.core.events import Event
from tasker_temporal.core.messages import Message
from tasker_temporal.core.subscribers.canceller import cancel_steps, go_on_cancelling
from tasker_temporal.core.subscribers.error_handler import handle_failure, handle_passed_deadline
from tasker_temporal.core.subscribers.orchestrator import announce_step_over, announce_task_started, initialize_steps
from tasker_temporal.core.subscribers.retry_scheduler import await_handler, schedule_retry
from tasker_temporal.core.subscribers.step_executor import run_step, start_steps
from tasker_temporal.core.subscribers.task_finalizer import close_task, fail_blocked, fail_unclear, finalize
from tasker_temporal.core.subscribers.timekeeper import resume_timers, start_deadline, stop_timers
from tasker_temporal.core.subscribers.viable_step_discovery import discover
from tasker_temporal.core.task import Task

Subscriber = Callable[[Event[Any], Task], Iterator[Message]]
Subscriptions = Mapping[str, Sequence[Subscriber]]

SUBSCRIPTIONS: Final[Subscriptions] = {
    "task.initialize_requested": [initialize_steps],
    "task.start_requested": [announce_task_started],
    "workflow.task_started": [discover],
    "workflow.viable_steps_discovered": [start_steps],
    "step.execution_requested": [start_deadline, run_step],
    "step.completed": [stop_timers, announce_step_over],
    "step.skipped": [stop_timers, announce_step_over],
    "workflow.step_completed": [discover],
    "step.failed": [handle_failure],
    "error.retry_wanted": [schedule_retry],
    "step.backoff": [discover],
    "step.retry_requested": [discover],
    "step.deadline_exceeded": [handle_passed_deadline],
    "step.max_retries_reached": [stop_timers, discover],
    "step.failed_permanently": [stop_timers, discover],
    "step.handler_missing": [await_handler],
    "step.redispatched": [run_step],
    "workflow.no_viable_steps": [finalize],
    "error.task_blocked": [fail_blocked],
    "workflow.task_state_unclear": [fail_unclear],
    "task.cancel_requested": [cancel_steps],
    "step.cancelled": [stop_timers, go_on_cancelling],
    "task.completed": [close_task],
    "task.failed": [close_task],
    "task.cancelled": [close_task],
    "workflow.run_continued": [resume_timers, discover],
}
