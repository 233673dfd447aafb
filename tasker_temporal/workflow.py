"""The shell around the core: carries out its commands, and tells it what came of them. It holds no rule.

The main coroutine only waits. Everything else happens in callbacks of activities, timers and messages, each of which
feeds one message to the engine. A bug in the core stops the workflow task, visibly, and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ApplicationError

from tasker_temporal import outcomes, requests, views
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    Ask,
    CancelTask,
    CloseTask,
    Command,
    Drain,
    Fact,
    Refused,
    RunContinued,
    RunStep,
    Start,
    StartTimer,
    StepStopped,
    StopStep,
    StopTimer,
    Timer,
    TimerFired,
    seconds_until,
)
from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused
from tasker_temporal.local_activities import CANCEL, PREPARE, RECORD, WHO_CANCELLED
from tasker_temporal.record import CHUNK, INLINE_LIMIT, outcome, written
from tasker_temporal.wire import (
    BACKSTOP,
    Prepared,
    StartInput,
    chunks,
    content_of,
    raw,
    read_raw,
    step_call,
    unpack,
    unpacked_template,
)

LOST_WORKER_ATTEMPTS = 3
"""How often Temporal itself starts an execution whose worker was lost."""

LOCAL_TIMEOUT = timedelta(seconds=30)


class TaskWorkflow:
    """One run of a task. A subclass of its own is generated for each template (`workflow_class`)."""

    def __init__(self, context: Any = None, start: Any = None) -> None:
        self._context = _as_raw(context)
        plain = None if start is None else read_raw(_as_raw(start))
        self._start = None if plain is None else StartInput.model_validate(plain)
        self._engine: Engine | None = None if self._start is None else Engine(self._task(self._start))
        self._begun = False
        self._closed: State | None = None
        self._broken: Exception | None = None
        self._may_end = self._recording = False
        self._recorded = -1
        self._cached: tuple[int, str] | None = None
        self._running: dict[tuple[str, int], workflow.ActivityHandle[RawValue]] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._errands: list[asyncio.Task[None]] = []

    def _task(self, start: StartInput) -> Task:
        context = content_of(self._context.payload)
        if start.snapshot:
            return restore(unpack(start.snapshot), context)
        template = unpacked_template(start.template)
        return Task(workflow.info().workflow_id, template, context, bytes.fromhex(start.key))

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            raise ApplicationError("the task is being prepared: ask again in a moment", type="NotReady")
        return self._engine

    async def execute(self) -> Any:
        """The whole run, from its first message to its written record."""
        self._go(self._begin(), "begin")
        while not self._may_end:
            try:
                await workflow.wait_condition(self._has_news)
            except asyncio.CancelledError:
                self._go(self._cancelled_natively(), "who cancelled?")
                continue
            if self._broken is not None:
                raise self._broken
            if self._is_recorded():
                self._may_end = True
            elif not self._recording:
                self._go(self._record(), "written record")
        return self._end() if self._closed is not None else self._continue_as_new()

    def _has_news(self) -> bool:
        return self._broken is not None or (not self._recording and (self._closed is not None or self._must_leave()))

    def _go(self, errand: Coroutine[Any, Any, None], name: str) -> None:
        async def run() -> None:
            try:
                await errand
            except Exception as error:
                self._broken = error

        self._errands.append(asyncio.create_task(run(), name=name))

    # How it begins.

    async def _begin(self) -> None:
        problems: tuple[dict[str, Any], ...] = ()
        if self._start is None:
            prepared = Prepared.model_validate(read_raw(await self._local(PREPARE, self._context)))
            self._start, problems = prepared.start, prepared.problems
            self._engine = Engine(self._task(self._start))
        start = self._start
        if start.previous_run:
            self._feed(RunContinued(start.previous_run))
        else:
            early = None if workflow.cancellation_reason() is None else await self._who_cancelled()
            self._feed(Start(start.actor, start.reason, problems, early))
        self._begun = True

    async def _local(self, name: str, *arguments: RawValue) -> RawValue:
        handle = workflow.start_local_activity(
            name,
            args=arguments,
            result_type=RawValue,
            schedule_to_close_timeout=None,
            start_to_close_timeout=LOCAL_TIMEOUT,
            cancellation_type=workflow.ActivityCancellationType.ABANDON,
            summary=name,
        )
        result: RawValue = await handle
        return result

    # What comes in, what goes out.

    def _feed(self, message: Ask | Fact) -> None:
        """Give the engine one message, and carry out what it orders."""
        for command in self.engine.apply(message, workflow.now()):
            self._perform(command)
        self._watch_history()

    def _feed_safely(self, message: Fact) -> None:
        try:
            self._feed(message)
        except Exception as error:
            self._broken = error

    def _perform(self, command: Command) -> None:
        match command:
            case RunStep():
                self._run_step(command)
            case StopStep(step, execution):
                self._stop_step(step, execution)
            case StartTimer(timer):
                self._timers[timer.id] = asyncio.create_task(self._wait(timer), name=f"timer: {timer.id}")
            case StopTimer(timer_id):
                self._timers.pop(timer_id).cancel()
            case CloseTask(state):
                self._closed = state

    def _run_step(self, command: RunStep) -> None:
        template = self.engine.task.steps[command.step].template
        attempts = 1 if not template.retryable else LOST_WORKER_ATTEMPTS
        handle = workflow.start_activity(
            self.engine.task.template.activity_type(command.step),
            args=step_call(self.engine.task, template, command.attempt, command.execution),
            activity_id=f"{command.step}:{command.execution}",
            task_queue=template.task_queue,
            result_type=RawValue,
            start_to_close_timeout=template.timeout + BACKSTOP,
            heartbeat_timeout=template.heartbeat_timeout,
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=attempts),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"attempt {command.attempt}/{template.max_attempts}",
        )
        self._running[command.step, command.execution] = handle
        handle.add_done_callback(partial(self._ended, command))

    def _ended(self, command: RunStep, handle: asyncio.Task[RawValue]) -> None:
        del self._running[command.step, command.execution]
        if not handle.cancelled():
            handler = self.engine.task.template.activity_type(command.step)
            self._feed_safely(outcomes.fact(command, handle, handler))

    def _stop_step(self, step: str, execution: int) -> None:
        if (handle := self._running.get((step, execution))) is not None:
            handle.cancel()
        else:
            stopped = partial(self._feed_safely, StepStopped(step, execution))
            asyncio.get_running_loop().call_soon(stopped)

    async def _wait(self, timer: Timer) -> None:
        await workflow.sleep(seconds_until(timer.due, workflow.now()), summary=views.timer_summary(timer))
        del self._timers[timer.id]
        self._feed_safely(TimerFired(timer.id))

    # How it is cancelled from outside.

    async def _cancelled_natively(self) -> None:
        """The engine knows already if a request came first, as from `TaskHandle.cancel`."""
        await workflow.wait_condition(lambda: self._begun)
        if self.engine.task.cancelling is None and self.engine.task.is_open:
            actor, reason = await self._who_cancelled()
            # It may have ended, or somebody's request may have come, while its author was looked for.
            with suppress(RequestRefused):
                self._feed(CancelTask(actor=actor, reason=reason))

    async def _who_cancelled(self) -> tuple[str, str]:
        found = read_raw(await self._local(WHO_CANCELLED))
        reason = found.get("reason") or workflow.cancellation_reason() or "cancelled without a reason"
        return found.get("actor") or "unknown", reason

    # How it ends, or goes on in a new run.

    def _watch_history(self) -> None:
        task, info = self.engine.task, workflow.info()
        events, size = info.get_current_history_length(), info.get_current_history_size()
        limits = task.template.limits
        if task.is_open and not task.draining and (events >= limits.drain_events or size >= limits.drain_bytes):
            self._feed(Drain(events, size))

    def _must_leave(self) -> bool:
        if not self._begun or self._running or not self.engine.task.is_open:
            return False
        return self.engine.task.draining or workflow.info().is_continue_as_new_suggested()

    def _is_recorded(self) -> bool:
        """Nothing happened since the record was written. One that fits travels with the result, and needs no marker."""
        task = self.engine.task
        if not workflow.all_handlers_finished():
            return False
        if self._closed in (State.COMPLETE, State.ERROR) and len(self._packed()) <= INLINE_LIMIT:
            return True
        return self._recorded == task.sort_key and (self._closed is None or self._is_cancelled_natively())

    def _is_cancelled_natively(self) -> bool:
        return self._closed is not State.CANCELLED or workflow.cancellation_reason() is not None

    def _packed(self) -> str:
        if self._cached is None or self._cached[0] != self.engine.task.sort_key:
            self._cached = self.engine.task.sort_key, written(self.engine.task)
        return self._cached[1]

    async def _record(self) -> None:
        """Leave the record in markers. Rows may come meanwhile: then a later record takes the place of this one."""
        self._recording = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._closed is None and not self.engine.task.draining:
            info = workflow.info()
            self._feed(Drain(info.get_current_history_length(), info.get_current_history_size()))
        if self._closed not in (State.COMPLETE, State.ERROR) or len(self._packed()) > INLINE_LIMIT:
            await self._write_markers()
        if not self._is_cancelled_natively():
            await self._ask_for_native_cancellation()
        self._recording = False

    async def _write_markers(self) -> None:
        last = self.engine.task.sort_key
        parts = chunks(self._packed(), CHUNK)
        for number, data in enumerate(parts):
            await self._local(RECORD, raw({"part": number, "parts": len(parts), "last": last, "data": data}))
            if number % 2:
                await workflow.sleep(timedelta(milliseconds=1), summary="the record is long")
        self._recorded = last

    async def _ask_for_native_cancellation(self) -> None:
        """Only a run that Temporal was asked to cancel can end as Canceled, and a request by itself does not ask it."""
        actor, reason = self.engine.task.cancelled_by
        await self._local(CANCEL, raw(f"{actor}: {reason}"))
        await workflow.wait_condition(lambda: workflow.cancellation_reason() is not None)

    def _end(self) -> Any:
        task, packed = self.engine.task, self._packed()
        if task.state is State.CANCELLED:
            raise asyncio.CancelledError("the task was cancelled")
        result = outcome(task, packed if len(packed) <= INLINE_LIMIT else None)
        if task.state is State.COMPLETE:
            return raw(result)
        raise ApplicationError(views.failure_message(task), result, type="TaskFailed", non_retryable=True)

    def _continue_as_new(self) -> Any:
        task, info = self.engine.task, workflow.info()
        start = StartInput.later(task, snapshot(task), info.run_id)
        workflow.continue_as_new(args=[self._context, start.raw()])

    # What people and programs ask.

    def current_details(self) -> str:
        """The task as Markdown, for Temporal's UI."""
        return "being prepared" if self._engine is None else views.details(self._engine.task)

    @workflow.query(description="Where the task stands: states, counts, times, errors.")
    def report(self) -> Any:
        return raw(views.report(self._engine))

    @workflow.query(description='The audit of this run, by pages: {"after": sort_key, "limit": rows}.')
    def audit(self, page: Any = None) -> Any:
        return raw(views.audit(self.engine, page))

    @workflow.query(description="The steps and what each waits for, with their states.")
    def graph(self) -> Any:
        return raw(views.graph(self.engine))

    @workflow.query(description="What the task waits for, since when, until when, and what could be asked.")
    def waiting(self) -> Any:
        return raw(views.waiting(self._engine))

    @workflow.query(description='The rows that a request would write: {"request": "skip", "step": ..., ...}.')
    def plan(self, request: Any = None) -> Any:
        return raw(requests.plan(self.engine, request, workflow.now()))

    @workflow.query(description='The result of one step: "charge".')
    def result(self, step: Any = None) -> Any:
        return views.result(self.engine, step)

    @workflow.update(description='Cancel the task: {"actor": ..., "reason": ...}.')
    async def cancel(self, request: Any = None) -> Any:
        return await self._ask("cancel", request)

    @workflow.update(description='Go on without a step: {"step": ..., "actor": ..., "reason": ...}.')
    async def skip(self, request: Any = None) -> Any:
        return await self._ask("skip", request)

    @cancel.validator
    def _may_cancel(self, request: Any = None) -> None:
        self._check("cancel", request)

    @skip.validator
    def _may_skip(self, request: Any = None) -> None:
        self._check("skip", request)

    def _check(self, name: str, request: Any) -> None:
        asked = requests.parse(name, request)
        if self._begun:
            requests.check(self.engine, asked, workflow.now())

    async def _ask(self, name: str, request: Any) -> Any:
        await workflow.wait_condition(lambda: self._begun)
        asked = requests.parse(name, request)
        return raw(requests.ask(self.engine, asked, self._feed))

    @workflow.signal(description='Any request, unanswered: {"request": "cancel", "actor": ..., "reason": ...}.')
    async def transition(self, request: Any = None, *extra: Any) -> None:
        """A signal that cannot be taken would stop the task, so this one takes whatever comes."""
        await workflow.wait_condition(lambda: self._begun)
        refused = requests.tell(self.engine, [request, *extra] if extra else request, self._feed)
        if refused is not None:
            self._feed(refused)

    @workflow.signal(dynamic=True, description="Whatever else is sent is noted in the audit.")
    async def unknown(self, name: str, args: Sequence[RawValue]) -> None:
        await workflow.wait_condition(lambda: self._begun)
        self._feed(Refused("no such signal", name=name[:100]))


ABSENT: Any = None
"""Temporal's UI starts a workflow with one argument, or with none."""


def _as_raw(value: Any) -> RawValue:
    """The SDK decodes without types if another number of arguments comes than `run` has."""
    return value if isinstance(value, RawValue) else RawValue(workflow.payload_converter().to_payload(value))


def workflow_class(name: str) -> type[TaskWorkflow]:
    """The workflow of one template: the same for all, under a workflow type of its own.

    So Temporal's UI, filters and metrics tell kinds of task apart.
    """

    async def run(self: TaskWorkflow, context: RawValue = ABSENT, start: RawValue = ABSENT) -> Any:
        return await self.execute()

    def init(self: TaskWorkflow, context: RawValue = ABSENT, start: RawValue = ABSENT) -> None:
        TaskWorkflow.__init__(self, context, start)

    title = "".join(part.capitalize() for part in name.replace("-", "_").replace(".", "_").split("_")) + "Workflow"
    run.__qualname__, init.__qualname__ = f"{title}.run", f"{title}.__init__"
    init.__name__ = "__init__"
    body = {"run": workflow.run(run), "__init__": workflow.init(init), "__module__": __name__, "__qualname__": title}
    return workflow.defn(name=name, sandboxed=False)(type(title, (TaskWorkflow,), body))
