"""One execution of one handler: time kept, heartbeats sent, errors translated.

Business failures leave the activity as non-retryable, because the core decides on every attempt; only a lost worker is
retried by Temporal itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tasker_temporal.declare import DeclaredStep
from tasker_temporal.errors import PermanentError, RetryableError, StopRequested
from tasker_temporal.published import Publications
from tasker_temporal.retry_after import seconds_of
from tasker_temporal.step_context import StepContext
from tasker_temporal.wire import BACKSTOP, StepCall, execution_of


class Attempt:
    """One execution of one handler."""

    def __init__(self, call: StepCall, step: DeclaredStep[..., Any, Any], executor: Executor) -> None:
        self._call, self._step, self._executor = call, step, executor
        self._told_to_stop = False
        self._loop = asyncio.get_running_loop()
        self._beating: asyncio.TimerHandle | None = None
        self._info = info = activity.info()
        assert info.start_to_close_timeout is not None
        assert info.heartbeat_timeout is not None
        self._timeout = info.start_to_close_timeout - BACKSTOP
        self._beat_every = info.heartbeat_timeout.total_seconds() / 3
        self._details: tuple[Any, ...] = tuple(info.heartbeat_details)
        self.published = Publications(step.template.custom_events, step.template.name)

    async def run(self, given: dict[str, Any]) -> Any:
        """Call the handler, and hold it to its timeout."""
        arguments = given | {name: self._context() for name in _contexts(self._step)}
        handler = partial(_call, self._step, arguments)
        try:
            async with asyncio.timeout(self._timeout.total_seconds()) as clock:
                return await (handler() if self._step.is_async else self._in_thread(handler))
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise timed_out(self._call.attempt, self._timeout) from error

    async def _in_thread(self, handler: Callable[[], Any]) -> Any:
        """A thread cannot be stopped. Told to stop, it may end by itself, and its outcome is then the true one."""
        context = contextvars.copy_context()
        running = self._loop.run_in_executor(self._executor, context.run, handler)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._told_to_stop = True
            if not activity.is_cancelled():
                raise
            with suppress(StopRequested):
                return await running
            raise

    def _context(self) -> StepContext:
        call, task_id = self._call, self._info.workflow_id or ""
        step, execution = execution_of(self._info.activity_id)
        return StepContext(
            task_id=task_id,
            step=step,
            attempt=call.attempt,
            attempts_left=max(call.attempts - call.attempt, 0),
            execution=execution,
            idempotency_key=f"{task_id}/{step}/{call.round}",
            config=call.config,
            heartbeat_details=self._details,
            say=self.published.publish,
            tell=self._tell if self._step.is_async else self._tell_from_thread,
        )

    def _tell(self, *details: Any) -> None:
        self._details = details
        activity.heartbeat(*details)

    def _tell_from_thread(self, *details: Any) -> None:
        if self._told_to_stop:
            raise StopRequested(f"step {self._context().step!r} was told to stop")
        self._loop.call_soon_threadsafe(self._tell, *details)

    def told(self, error: StepFailure, raised: Exception) -> StepFailure:
        """One line for what a handler expects to happen, the SDK's stack trace for the rest.

        An attempt that another follows, and a `PermanentError`, are no incidents; a bug that used up the attempts is.
        """
        call = self._call
        error = self._with_published(error)
        follows = call.attempt < call.attempts and error.details[0]["retryable"]
        if not follows and not isinstance(raised, PermanentError):
            return error
        context = self._context()
        # What the error says may be personal: the report has it, and the log does not.
        said = (context.task_id, context.step, call.attempt, call.attempts, error.type)
        context.logger.warning("task %s, step %s: attempt %d of %d failed: %s", *said)
        details, benign = error.details, ApplicationErrorCategory.BENIGN
        return StepFailure(error.message, *details, type=error.type, non_retryable=True, category=benign)

    def _with_published(self, error: StepFailure) -> StepFailure:
        said = self.published.detail()
        details = {**error.details[0], **said} if said else error.details[0]
        return StepFailure(error.message, details, type=error.type, non_retryable=True) if said else error

    def begin_beating(self) -> None:
        """Say that the worker lives, three times in each heartbeat timeout, with what the handler last told.

        A timer and no task, because most handlers are over before the first beat.
        """
        self._beating = self._loop.call_later(self._beat_every, self._beat)

    def _beat(self) -> None:
        activity.heartbeat(*self._details)
        self.begin_beating()

    def end_beating(self) -> None:
        if self._beating is not None:
            self._beating.cancel()


def _call(step: DeclaredStep[..., Any, Any], arguments: dict[str, Any]) -> Any:
    """Positional-only parameters have names too, but cannot be given by them."""
    fixed = [arguments.pop(name) for name in _positional_only(step) if name in arguments]
    return step.function(*fixed, **arguments)


@lru_cache(maxsize=4096)
def _contexts(step: DeclaredStep[..., Any, Any]) -> tuple[str, ...]:
    return tuple(binding.name for binding in step.signature.bindings if binding.source == "step_context")


@lru_cache(maxsize=4096)
def _positional_only(step: DeclaredStep[..., Any, Any]) -> tuple[str, ...]:
    parameters = inspect.signature(step.function).parameters
    return tuple(name for name, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_ONLY)


MESSAGE_LIMIT = 10_000
"""Characters."""

NO_MESSAGE = "raised without a message"
"""The SDK itself would put "Application error" in the place of an empty one."""


class StepFailure(ApplicationError):
    """A business failure on the wire. To the server it is always final: the core decides on another attempt."""


def failure(type: str, message: str, *, retryable: bool = False, retry_after: float | None = None) -> StepFailure:
    """`retry_after` is in seconds. The message is kept in reports and snapshots, so it is cut if it is very long."""
    said = message if len(message) <= MESSAGE_LIMIT else f"{message[:MESSAGE_LIMIT]} … ({len(message)} characters)"
    said = said or NO_MESSAGE
    return StepFailure(said, {"retryable": retryable, "retry_after": retry_after}, type=type, non_retryable=True)


def timed_out(attempt: int, timeout: timedelta) -> StepFailure:
    return failure("StepTimeout", f"attempt {attempt} was not over within {timeout}", retryable=True)


def translated(error: Exception) -> StepFailure:
    """What a handler raised, on the wire. Whatever is not said to be permanent can be retried."""
    if isinstance(error, ApplicationError):
        delay = seconds_of(error.next_retry_delay)
        kind = error.type or "ApplicationError"
        return failure(kind, error.message, retryable=not error.non_retryable, retry_after=delay)
    after = seconds_of(error.retry_after) if isinstance(error, RetryableError) else None
    return failure(type(error).__name__, str(error), retryable=not isinstance(error, PermanentError), retry_after=after)
