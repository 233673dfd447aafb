"""Carries out the core's commands with Temporal's means, and feeds back what came of them. It holds no rule.

Everything happens in callbacks of activities, timers and messages, each of which feeds one message to the engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RawValue, RetryPolicy
from temporalio.exceptions import ActivityError

from tasker_temporal import outcomes, views
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    CloseTask,
    Command,
    Drain,
    Fact,
    NotifierFailed,
    Notify,
    RunStep,
    StartTimer,
    StepStopped,
    StopStep,
    StopTimer,
    Timer,
    TimerFired,
    seconds_until,
)
from tasker_temporal.core.requests import Ask
from tasker_temporal.core.snapshot import snapshot
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import PAYLOAD_LIMIT
from tasker_temporal.payloads import pack, raw
from tasker_temporal.wire import BACKSTOP, activity_id, notice, step_call

LOST_WORKER_ATTEMPTS = 3
"""How often Temporal itself starts an execution whose worker was lost."""

FIRST = 1
"""The priority key of what goes first."""

AGAIN, ONCE = (
    RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_attempts=attempts,
        # What the SDK says of a handler that the worker does not have: the core waits for one that has it.
        non_retryable_error_types=["NotFoundError"],
    )
    for attempts in (LOST_WORKER_ATTEMPTS, 1)
)

LOOK_AGAIN_EVENTS, LOOK_AGAIN_BYTES = 1_000, 1_000_000
"""How much a history grows before its run is looked at again, if its snapshot was too large to continue as new."""

NOTIFIER_TIMEOUT, NOTIFIER_PATIENCE = timedelta(minutes=1), timedelta(minutes=10)
"""One attempt of a notifier, and all of them."""

NOTIFIER_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=8,
)

LOCAL_TIMEOUT = timedelta(seconds=30)


class Driver:
    """Drives one engine inside one workflow run.

    Attributes:
        closed: The state in which the task ended; None while it is open.
        broken: A bug. The workflow raises it, so that its task stops, visibly, and nothing is lost.
        watch_rows: Called after each message, if the task has sinks.
        watch_task: Called after each message, if the task tells search attributes.
    """

    def __init__(self) -> None:
        self.prepared: Engine | None = None
        self.closed: State | None = None
        self.broken: Exception | None = None
        self.watch_rows: Callable[[], None] = _nobody
        self.watch_task: Callable[[], None] = _nobody
        self._running: dict[tuple[str, int], workflow.ActivityHandle[RawValue]] = {}
        self._notifying: dict[str, workflow.ActivityHandle[RawValue]] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._errands: list[asyncio.Task[None]] = []
        self._measured = (-1, True)
        self._postponed: tuple[int, int] | None = None

    @property
    def engine(self) -> Engine:
        assert self.prepared is not None
        return self.prepared

    @property
    def task(self) -> Task:
        return self.engine.task

    @property
    def is_idle(self) -> bool:
        """No handler runs, and no notifier."""
        return not self._running and not self._notifying

    @property
    def notifies(self) -> bool:
        """People are being told of an approval: the run does not end before they are, or cannot be."""
        return bool(self._notifying)

    def feed(self, message: Ask | Fact) -> None:
        """Give the engine one message, and carry out what it orders."""
        for command in self.engine.apply(message, workflow.now()):
            self._perform(command)
        self._watch_history()
        if self.task.outboxes:
            self.watch_rows()
        if self.task.listed:
            self.watch_task()

    def go(self, errand: Coroutine[Any, Any, None], name: str) -> None:
        """Run something beside the main coroutine, which only waits."""

        async def run() -> None:
            try:
                await errand
            except Exception as error:
                self.broken = error

        self._errands.append(asyncio.create_task(run(), name=name))

    def drain(self) -> None:
        """Start nothing new, so that the run can continue as new."""
        if not self.task.draining:
            info = workflow.info()
            self.feed(Drain(info.get_current_history_length(), info.get_current_history_size()))

    def fits_new_run(self) -> bool:
        """The snapshot is small enough to be handed to a new run, beside the context."""
        if self._measured[0] != self.task.sort_key:
            size = len(pack(snapshot(self.task))) + self.task.context.size
            self._measured = self.task.sort_key, size <= PAYLOAD_LIMIT
        return self._measured[1]

    def _watch_history(self) -> None:
        """A run that cannot continue as new goes on, while the server lets it."""
        task, info = self.task, workflow.info()
        limits = task.template.limits
        events, size = self._postponed or (limits.drain_events, limits.drain_bytes)
        length, weight = info.get_current_history_length(), info.get_current_history_size()
        if (length < events and weight < size) or not task.is_open or task.draining:
            return
        if self.fits_new_run():
            self.drain()
        else:
            self._postponed = length + LOOK_AGAIN_EVENTS, weight + LOOK_AGAIN_BYTES

    def _feed_safely(self, message: Fact) -> None:
        try:
            self.feed(message)
        except Exception as error:
            self.broken = error

    def _perform(self, command: Command) -> None:
        match command:
            case RunStep():
                self._run_step(command)
            case StopStep(step, execution):
                self._stop_step(step, execution)
            case StartTimer(timer):
                self._stop_timer(timer.id)
                self._timers[timer.id] = asyncio.create_task(self._wait(timer), name=f"timer: {timer.id}")
            case StopTimer(timer_id):
                self._stop_timer(timer_id)
            case Notify():
                self._notify(command)
            case CloseTask(state):
                self.closed = state

    def _run_step(self, command: RunStep) -> None:
        template = self.task.steps[command.step].template
        handle = workflow.start_activity(
            self.task.template.activity_type(command.step),
            args=step_call(self.task, template, command.attempt),
            activity_id=activity_id(command.step, command.execution),
            task_queue=template.task_queue or self.task.course.task_queue,
            result_type=RawValue,
            start_to_close_timeout=template.timeout + BACKSTOP,
            heartbeat_timeout=template.heartbeat_timeout,
            retry_policy=AGAIN if template.retryable else ONCE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=views.attempt_summary(command.attempt, template.max_attempts),
            priority=_priority(self.task),
        )
        self._running[command.step, command.execution] = handle
        handle.add_done_callback(partial(self._ended, command))

    def _ended(self, command: RunStep, handle: asyncio.Task[RawValue]) -> None:
        """A handle that left the worker's cache is cancelled itself, or ends with no `Exception`: it tells nothing."""
        del self._running[command.step, command.execution]
        if not handle.cancelled() and isinstance(handle.exception(), Exception | None):
            handler = self.task.template.activity_type(command.step)
            self._feed_safely(outcomes.fact(command, handle, handler))

    def _notify(self, command: Notify) -> None:
        """Tried again for two minutes or so: it holds up the end of the run, and its going on as a new one, alone."""
        name = f"notify:{command.approval}:{command.kind}"
        handle = workflow.start_activity(
            self.task.template.notifier_type(command.step),
            args=[raw(notice(self.task, command))],
            activity_id=name,
            result_type=RawValue,
            start_to_close_timeout=NOTIFIER_TIMEOUT,
            schedule_to_close_timeout=NOTIFIER_PATIENCE,
            retry_policy=NOTIFIER_RETRIES,
            summary=f"{command.approval} was {command.kind}",
        )
        self._notifying[name] = handle
        handle.add_done_callback(partial(self._notified, name, command))

    def _notified(self, name: str, command: Notify, handle: asyncio.Task[RawValue]) -> None:
        del self._notifying[name]
        if not handle.cancelled() and isinstance(error := handle.exception(), Exception):
            failure = outcomes.failure_of(error.cause if isinstance(error, ActivityError) else error)
            self._feed_safely(NotifierFailed(command.step, command.approval, command.kind, failure))

    def _stop_step(self, step: str, execution: int) -> None:
        if (handle := self._running.get((step, execution))) is not None:
            handle.cancel()
        else:
            stopped = partial(self._feed_safely, StepStopped(step, execution))
            asyncio.get_running_loop().call_soon(stopped)

    def _stop_timer(self, timer_id: str) -> None:
        """One that came due while the task was paused does not run any more."""
        if (running := self._timers.pop(timer_id, None)) is not None:
            running.cancel()

    async def _wait(self, timer: Timer) -> None:
        await workflow.sleep(seconds_until(timer.due, workflow.now()), summary=views.timer_summary(timer))
        del self._timers[timer.id]
        self._feed_safely(TimerFired(timer.id))


def _nobody() -> None:
    pass


def _priority(task: Task) -> Priority:
    """What is None is as the workflow's own."""
    asked = task.course.priority or (FIRST if task.mode == "high_priority" else None)
    if asked is None and task.course.fairness_key is None:
        return Priority.default
    return Priority(priority_key=asked, fairness_key=task.course.fairness_key)


async def local(name: str, *arguments: RawValue) -> RawValue:
    """Run one of the library's local activities."""
    result: RawValue = await workflow.start_local_activity(
        name,
        args=arguments,
        result_type=RawValue,
        start_to_close_timeout=LOCAL_TIMEOUT,
        cancellation_type=workflow.ActivityCancellationType.ABANDON,
        summary=name,
    )
    return result
