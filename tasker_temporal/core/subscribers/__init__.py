"""Who listens to what: the whole flow of a task on one page.

A subscriber is a pure function of an event and the task: it changes nothing, and says what should follow. Take a line
out, and the flow stops there. Those that nearly always have nothing to say return it, and make no generator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from tasker_temporal.core.events import Event
from tasker_temporal.core.messages import Message
from tasker_temporal.core.subscribers.approver import (
    count_votes,
    escalate,
    notify_decided,
    notify_escalated,
    notify_opened,
    request_approval,
    request_task_approval,
    settle,
)
from tasker_temporal.core.subscribers.canceller import cancel_steps, go_on_cancelling
from tasker_temporal.core.subscribers.error_handler import handle_failure, handle_passed_deadline
from tasker_temporal.core.subscribers.event_receiver import end_waits, take_early
from tasker_temporal.core.subscribers.failure_handler import handle_failures
from tasker_temporal.core.subscribers.orchestrator import (
    announce_step_over,
    announce_task_started,
    initialize_steps,
    retry_unblocked_task,
)
from tasker_temporal.core.subscribers.retry_scheduler import await_handler, restart_task, schedule_retry
from tasker_temporal.core.subscribers.router import route
from tasker_temporal.core.subscribers.step_executor import run_step, start_steps
from tasker_temporal.core.subscribers.task_finalizer import (
    close_task,
    end_hold,
    fail_blocked,
    fail_unclear,
    finalize,
    hold_reopened,
    move_on,
)
from tasker_temporal.core.subscribers.timekeeper import (
    fire_overdue,
    resume_timers,
    start_deadline,
    stop_approval,
    stop_backoff,
    stop_clocks,
    stop_hold,
    stop_timers,
)
from tasker_temporal.core.subscribers.viable_step_discovery import discover
from tasker_temporal.core.task import Task

Subscriber = Callable[[Event[Any], Task], Iterable[Message]]
Subscriptions = Mapping[str, Sequence[Subscriber]]

SUBSCRIPTIONS: Final[Subscriptions] = {
    "task.initialize_requested": [route, initialize_steps],
    "task.start_requested": [announce_task_started],
    "workflow.task_started": [discover],
    "workflow.viable_steps_discovered": [start_steps],
    "step.execution_requested": [stop_clocks, start_deadline, handle_failures, take_early, run_step, request_approval],
    "step.failure_handled": [discover],
    "step.condition_met": [discover],
    "step.time_elapsed": [discover],
    "external.received": [end_waits, discover],
    "step.completed": [stop_timers, announce_step_over],
    "step.completed_manually": [stop_timers, announce_step_over, retry_unblocked_task],
    "step.resolved_manually": [stop_timers, announce_step_over, retry_unblocked_task],
    "step.skipped": [stop_timers, announce_step_over, retry_unblocked_task],
    "workflow.step_completed": [discover],
    "step.failed": [handle_failure],
    "error.retry_wanted": [schedule_retry],
    "step.backoff": [discover],
    "step.retry_requested": [stop_backoff, discover, retry_unblocked_task],
    "workflow.round_begun": [retry_unblocked_task, discover],
    "approval.requested": [count_votes, notify_opened],
    "approval.voted": [count_votes],
    "approval.escalated": [escalate, notify_escalated],
    "approval.decided": [notify_decided, settle],
    "task.approval_requested": [request_task_approval],
    "task.moved": [stop_approval, move_on],
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
    "task.resumed": [fire_overdue, discover],
    "task.retry_requested": [stop_hold, restart_task],
    "task.resolved_manually": [close_task],
    "task.hold_ended": [end_hold],
    "task.completed": [close_task],
    "task.failed": [close_task],
    "task.cancelled": [close_task],
    "workflow.run_continued": [resume_timers, discover],
    "workflow.run_reopened": [hold_reopened],
}
