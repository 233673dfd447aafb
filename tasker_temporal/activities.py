"""A step handler becomes a Temporal activity: its arguments are decoded, its result is checked and encoded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter

from tasker_temporal.attempt import Attempt, StepFailure, failure, translated
from tasker_temporal.core.template import PAYLOAD_LIMIT
from tasker_temporal.declare import DeclaredStep
from tasker_temporal.published import Publications
from tasker_temporal.signature import Binding, adapter, type_name
from tasker_temporal.wire import StepCall


class StepActivity:
    """Runs one handler, once for each execution of its step."""

    def __init__(self, step: DeclaredStep[..., Any, Any], executor: Executor) -> None:
        self._step = step
        self._executor = executor

    async def __call__(self, first: Any, values: Sequence[Any]) -> RawValue:
        """Run the handler within its timeout, heartbeating for it."""
        call = StepCall.read(first)
        attempt = Attempt(call, self._step, self._executor)
        attempt.begin_beating()
        try:
            given = self._decode(call, values)
            result = await attempt.run(given)
            return RawValue(self.encode(result, activity.payload_converter(), attempt.published))
        except StepFailure as error:
            raise attempt.told(error, error) from error.__cause__
        except Exception as error:
            raise attempt.told(translated(error), error) from error
        finally:
            attempt.end_beating()

    def _decode(self, call: StepCall, values: Sequence[Any]) -> dict[str, Any]:
        sent = dict(zip(call.arguments, values, strict=True))
        return {binding.name: self._argument(binding, sent) for binding in self._wanted}

    @cached_property
    def _wanted(self) -> list[Binding]:
        return [binding for binding in self._step.signature.bindings if binding.source != "step_context"]

    def _argument(self, binding: Binding, sent: dict[str, Any]) -> Any:
        if binding.name not in sent:
            message = f"its handler takes {binding.name!r}, which the template that the task began with does not send"
            raise failure("StepInputInvalid", message)
        try:
            return _convert(sent[binding.name], binding.type)
        except Exception as error:
            raise failure("StepInputInvalid", f"its parameter {binding.name!r}: {_explain(error)}") from error

    def encode(self, result: Any, converter: PayloadConverter, published: Publications | None = None) -> Payload:
        """What the handler returned, checked against its type and its size, with what it published.

        Raises:
            StepFailure: it is not of the type that the handler says it returns, or it is too large.
        """
        try:
            checked = self._result_type.validate_python(result)
        except Exception as error:
            message = f"it returned {type(result).__name__}, not {self._expected}: {_explain(error)}"
            raise failure("StepResultInvalid", message) from error
        try:
            payload = converter.to_payload(checked)
        except Exception as error:
            message = f"it returned {self._expected}, which cannot be sent: {_explain(error)}"
            raise failure("StepResultInvalid", message) from error
        if published is not None:
            published.attach(payload)
        if payload.ByteSize() > PAYLOAD_LIMIT:
            message = f"it returned {payload.ByteSize()} bytes: at most {PAYLOAD_LIMIT} can be kept"
            raise failure("StepResultTooLarge", message)
        return payload

    @property
    def _expected(self) -> str:
        return type_name(self._step.signature.result)

    @cached_property
    def _result_type(self) -> TypeAdapter[Any]:
        return adapter(self._step.signature.result)


def _convert(value: Any, wanted: Any) -> Any:
    """The SDK decodes without types if the task sends another number of arguments than the handler now takes."""
    if isinstance(value, RawValue):
        return activity.payload_converter().from_payload(value.payload, wanted)
    return TypeAdapter(wanted).validate_python(value)


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

    run.__annotations__ = {f"argument_{n}": RawValue for n in range(_count(step))} | {"return": RawValue}
    vars(run)["__signature__"] = _raw_signature(step)
    return activity.defn(name=name)(run)


def _raw_signature(step: DeclaredStep[..., Any, Any]) -> inspect.Signature:
    """The SDK hands over undecoded values only to parameters that it can count, so it is not shown `*arguments`."""
    kind = inspect.Parameter.POSITIONAL_ONLY
    names = (f"argument_{n}" for n in range(_count(step)))
    return inspect.Signature([inspect.Parameter(name, kind, annotation=RawValue) for name in names])


def _count(step: DeclaredStep[..., Any, Any]) -> int:
    return 1 + sum(binding.source != "step_context" for binding in step.signature.bindings)
