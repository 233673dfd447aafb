"""Hands a task what cannot be decoded as it came, where the SDK would fail the workflow task or drop the signal.

The SDK decodes an argument before any of our code runs. One that no converter knows would fail the workflow task again
and again, or be lost in silence; so the task gets it raw, refuses it, and a row says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter, SerializationContext, WithSerializationContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from tasker_temporal.workflow import TaskWorkflow

UNTYPED: Final = (None, Any)
"""Where nothing says what is expected, the receiver looks at what it got."""


class Tolerant(PayloadConverter, WithSerializationContext):
    """The user's payload converter, which gives back raw what it cannot decode and nobody has named a type for."""

    def __init__(self, inner: PayloadConverter) -> None:
        self._inner = inner

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        return self._inner.to_payloads(values)

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        try:
            return self._inner.from_payloads(payloads, type_hints)
        except Exception:
            hints: Sequence[Any] = type_hints or [None] * len(payloads)
            if any(hint not in UNTYPED for hint in hints):
                raise
            return [self._decoded(payload) for payload in payloads]

    def _decoded(self, payload: Payload) -> Any:
        try:
            return self._inner.from_payload(payload)
        except Exception:
            return RawValue(payload)

    def with_context(self, context: SerializationContext) -> Tolerant:
        known = self._inner
        told = known.with_context(context) if isinstance(known, WithSerializationContext) else known
        return self if told is known else Tolerant(told)


class TolerantRunner(WorkflowRunner):
    """The configured runner of unsandboxed workflows, which all tasks are; other workflows notice nothing of it."""

    def __init__(self, inner: WorkflowRunner) -> None:
        self._inner = inner

    def prepare_workflow(self, defn: Any) -> None:
        self._inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        if issubclass(det.defn.cls, TaskWorkflow):
            known = det.payload_converter_factory
            det = replace(det, payload_converter_factory=lambda: Tolerant(known()))
        return self._inner.create_instance(det)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._inner.set_worker_level_failure_exception_types(types)
