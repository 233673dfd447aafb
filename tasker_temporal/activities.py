"""A step handler becomes a Temporal activity: arguments in, result out, time kept, errors translated.

Business failures leave the activity as non-retryable, because the core decides on every attempt; only a lost worker is
retried by Temporal itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from tasker_temporal.core.template import PAYLOAD_LIMIT
from tasker_temporal.declare import DeclaredStep
from tasker_temporal.errors import PermanentError, RetryableError
from tasker_temporal.retry_after import seconds_of
from tasker_temporal.signature import Binding
from tasker_temporal.step_context import StepContext, StopRequested
from tasker_temporal.wire import StepCall, read_raw


class StepActivity:
    """Runs one handler, once for each execution of its step."""

    def __init__(self, step: DeclaredStep[..., Any, Any], executor: Executor) -> None:
        self._step = step
        self._executor = executor

    async def __call__(self, first: Any, values: Sequence[Any]) -> RawValue:
        """Run the handler within its timeout, heartbeating for it."""
        call = StepCall.model_validate(read_raw(first) if isinstance(first, RawValue) else first)
        attempt = Attempt(call, self._step, self._executor)
        beating = asyncio.create_task(attempt.beat(), name=f"heartbeat: {call.step}")
        try:
            given = self._decode(call, values)
            return RawValue(self._encode(await attempt.run(given)))
        except StepFailure as error:
            raise attempt.told(error) from error.__cause__
        except Exception as error:
            raise attempt.told(translated(error)) from error
        finally:
            beating.cancel()

    def _decode(self, call: StepCall, values: Sequence[Any]) -> dict[str, Any]:
        sent = dict(zip(call.arguments, values, strict=True))
        wanted = [binding for binding in self._step.signature.bindings if binding.source != "step_context"]
        return {binding.name: self._argument(binding, sent) for binding in wanted}

    def _argument(self, binding: Binding, sent: dict[str, Any]) -> Any:
        if binding.name not in sent:
            message = f"its handler takes {binding.name!r}, which the template that the task began with does not send"
            raise failure("StepInputInvalid", message)
        try:
            return _convert(sent[binding.name], binding.type)
        except Exception as error:
            raise failure("StepInputInvalid", f"its parameter {binding.name!r}: {_explain(error)}") from error

    def _encode(self, result: Any) -> Payload:
        try:
            checked = self._result_type.validate_python(result)
            payload = activity.payload_converter().to_payload(checked)
        except Exception as error:
            message = f"it returned {type(result).__name__}, not {self._step.signature.result}: {_explain(error)}"
            raise failure("StepResultInvalid", message) from error
        if payload.ByteSize() > PAYLOAD_LIMIT:
            message = f"it returned {payload.ByteSize()} bytes: at most {PAYLOAD_LIMIT} can be kept"
            raise failure("StepResultTooLarge", message)
        return payload

    @cached_property
    def _result_type(self) -> TypeAdapter[Any]:
        hint = self._step.signature.result
        try:
            return TypeAdapter(hint)
        except (PydanticSchemaGenerationError, PydanticUserError):
            return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _convert(value: Any, wanted: Any) -> Any:
    """The SDK decodes without types if the task sends another number of arguments than the handler now takes."""
    if isinstance(value, RawValue):
        return activity.payload_converter().from_payload(value.payload, wanted)
    return TypeAdapter(wanted).validate_python(value)


class Attempt:
    """One execution of one handler."""

    def __init__(self, call: StepCall, step: DeclaredStep[..., Any, Any], executor: Executor) -> None:
        self._call, self._step, self._executor = call, step, executor
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._details: tuple[Any, ...] = tuple(activity.info().heartbeat_details)

    async def run(self, given: dict[str, Any]) -> Any:
        """Call the handler, and hold it to its timeout."""
        arguments = given | {
            binding.name: self._context()
            for binding in self._step.signature.bindings
            if binding.source == "step_context"
        }
        handler = partial(_call, self._step.function, arguments)
        try:
            async with asyncio.timeout(self._call.timeout) as clock:
                return await (handler() if self._step.is_async else self._in_thread(handler))
        except TimeoutError as error:
            if not clock.expired():
                raise
            message = f"attempt {self._call.attempt} was not over within {timedelta(seconds=self._call.timeout)}"
            raise failure("StepTimeout", message, retryable=True) from error

    async def _in_thread(self, handler: Callable[[], Any]) -> Any:
        """A thread cannot be stopped. Told to stop, it may end by itself, and its outcome is then the true one."""
        context = contextvars.copy_context()
        running = self._loop.run_in_executor(self._executor, context.run, handler)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            self._stop.set()
            if not activity.is_cancelled():
                raise
            with suppress(StopRequested):
                return await running
            raise

    def _context(self) -> StepContext:
        call = self._call
        return StepContext(
            task_id=call.task_id,
            step=call.step,
            attempt=call.attempt,
            attempts_left=max(call.attempts - call.attempt, 0),
            execution=call.execution,
            idempotency_key=f"{call.task_id}/{call.step}/{call.round}",
            config=call.config,
            heartbeat_details=self._details,
            tell=self._tell if self._step.is_async else self._tell_from_thread,
        )

    def _tell(self, *details: Any) -> None:
        self._details = details
        activity.heartbeat(*details)

    def _tell_from_thread(self, *details: Any) -> None:
        if self._stop.is_set():
            raise StopRequested(f"step {self._call.step!r} was told to stop")
        self._loop.call_soon_threadsafe(self._tell, *details)

    def told(self, error: StepFailure) -> StepFailure:
        """An attempt that another follows is no incident: one line instead of the SDK's stack trace."""
        call = self._call
        if call.attempt < call.attempts and error.details[0]["retryable"]:
            said = (call.step, call.attempt, call.attempts, error)
            self._context().logger.warning("step %s: attempt %d of %d failed: %s", *said)
            return StepFailure(
                error.message,
                *error.details,
                type=error.type,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,
            )
        return error

    async def beat(self) -> None:
        """Say that the worker lives, three times in each heartbeat timeout, with what the handler last told."""
        while True:
            activity.heartbeat(*self._details)
            await asyncio.sleep(self._call.heartbeat_timeout / 3)


def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Positional-only parameters have names too, but cannot be given by them."""
    parameters = inspect.signature(function).parameters
    fixed = [arguments.pop(name) for name, p in parameters.items() if p.kind is p.POSITIONAL_ONLY and name in arguments]
    return function(*fixed, **arguments)


class StepFailure(ApplicationError):
    """A business failure on the wire. To the server it is always final: the core decides on another attempt."""


def failure(type: str, message: str, *, retryable: bool = False, retry_after: float | None = None) -> StepFailure:
    """`retry_after` is in seconds."""
    return StepFailure(message, {"retryable": retryable, "retry_after": retry_after}, type=type, non_retryable=True)


def translated(error: Exception) -> StepFailure:
    """What a handler raised, on the wire. Whatever is not said to be permanent can be retried."""
    if isinstance(error, ApplicationError):
        delay = seconds_of(error.next_retry_delay)
        kind = error.type or "ApplicationError"
        return failure(kind, error.message, retryable=not error.non_retryable, retry_after=delay)
    after = seconds_of(error.retry_after) if isinstance(error, RetryableError) else None
    return failure(type(error).__name__, str(error), retryable=not isinstance(error, PermanentError), retry_after=after)


def _explain(error: Exception) -> str:
    """Without the input, which may be personal."""
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if not isinstance(cause, ValidationError):
        return f"{type(error).__name__}: {error}"
    problems = cause.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'the whole'}: {p['msg']}" for p in problems)


def step_activity(step: DeclaredStep[..., Any, Any], name: str, executor: Executor) -> Callable[..., Any]:
    """The step's handler as the activity `name`."""
    runner = StepActivity(step, executor)

    async def run(*arguments: Any) -> RawValue:
        return await runner(arguments[0], arguments[1:])

    vars(run)["__annotations__"] = {f"argument_{n}": RawValue for n in range(_count(step))}
    vars(run)["__signature__"] = _raw_signature(step)
    return activity.defn(name=name)(run)


def _raw_signature(step: DeclaredStep[..., Any, Any]) -> inspect.Signature:
    """The SDK hands over undecoded values only to parameters that it can count, so it is not shown `*arguments`."""
    kind = inspect.Parameter.POSITIONAL_ONLY
    names = (f"argument_{n}" for n in range(_count(step)))
    return inspect.Signature([inspect.Parameter(name, kind, annotation=RawValue) for name in names])


def _count(step: DeclaredStep[..., Any, Any]) -> int:
    return 1 + sum(binding.source != "step_context" for binding in step.signature.bindings)
