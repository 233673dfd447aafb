"""What cannot be decoded reaches tasks, and only tasks, as it came."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails

from tasker_temporal.undecodable import Tolerant, TolerantRunner
from tasker_temporal.workflow import workflow_class

BROKEN = Payload(metadata={"encoding": b"json/plain"}, data=b"{nope")
FOREIGN = Payload(metadata={"encoding": b"their/own"}, data=b"\x00")
SOUND = Payload(metadata={"encoding": b"json/plain"}, data=b"7")


@workflow.defn(sandboxed=False)
class Theirs:
    @workflow.run
    async def run(self) -> None: ...


class Recorder(UnsandboxedWorkflowRunner):
    """Tells which converter an instance would have got."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        self.made = det.payload_converter_factory()
        raise LookupError("nothing else is there that an instance needs")


def converter_of(kind: type) -> PayloadConverter:
    recorder = Recorder()
    known: dict[str, Any] = dict.fromkeys(WorkflowInstanceDetails.__dataclass_fields__)
    known |= {"defn": workflow._Definition.must_from_class(kind), "payload_converter_factory": PydanticPayloadConverter}
    with pytest.raises(LookupError):
        TolerantRunner(recorder).create_instance(WorkflowInstanceDetails(**known))
    return recorder.made


def test_only_tasks_get_what_cannot_be_decoded() -> None:
    assert isinstance(converter_of(workflow_class("runner.task")), Tolerant)
    assert type(converter_of(Theirs)) is PydanticPayloadConverter


@pytest.mark.parametrize("hints", [None, [Any] * 3])
def test_what_cannot_be_decoded_comes_raw_beside_what_can(hints: Any) -> None:
    broken, sound, foreign = Tolerant(PydanticPayloadConverter()).from_payloads([BROKEN, SOUND, FOREIGN], hints)
    assert (broken, sound, foreign) == (RawValue(BROKEN), 7, RawValue(FOREIGN))


def test_where_a_type_is_expected_the_failure_stays_one() -> None:
    with pytest.raises(ValueError, match="Invalid JSON"):
        Tolerant(PydanticPayloadConverter()).from_payloads([SOUND, BROKEN], [int, int])


class Named(PydanticPayloadConverter, WithSerializationContext):
    """A converter of a user's, which is told the workflow."""

    name = "nobody"

    def with_context(self, context: SerializationContext) -> Named:
        made = Named()
        made.name = context.workflow_id if isinstance(context, WorkflowSerializationContext) else "nobody"
        return made

    def from_payloads(self, payloads: Any, type_hints: Any = None) -> list[Any]:
        return [self.name for _ in payloads]


def test_a_converter_of_the_users_goes_on_to_be_told_its_workflow() -> None:
    told = Tolerant(Named()).with_context(WorkflowSerializationContext(namespace="default", workflow_id="order-1"))
    assert told.from_payload(SOUND) == "order-1"
    plain = Tolerant(PydanticPayloadConverter())
    assert (
        plain.with_context(WorkflowSerializationContext(namespace="default", workflow_id="x")).from_payload(SOUND) == 7
    )
