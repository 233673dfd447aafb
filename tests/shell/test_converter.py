"""The plugin's converter: the SDK's for pydantic, made when it is needed, and never in the place of a user's own."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.client import ClientConfig
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    WorkflowSerializationContext,
)
from temporalio.worker import Worker

from tasker_temporal import TaskerPlugin, TaskTemplate
from tasker_temporal.converter import LazyPydanticConverter
from tasker_temporal.dev import DevServer
from tasker_temporal.plugin import EAGER_STEPS


class Order(BaseModel):
    id: str
    at: datetime


ORDER = Order(id="A-1", at=datetime(2026, 1, 1, tzinfo=UTC))
VALUES = (ORDER, None, b"bytes", {"a": [1, 2.5]}, "text", Payload(data=b"proto"))
CONTEXT = WorkflowSerializationContext(namespace="default", workflow_id="order-1")


class Theirs(CompositePayloadConverter):
    """A converter of a user's own."""

    def __init__(self) -> None:
        super().__init__(JSONPlainPayloadConverter())


def configured(converter: DataConverter) -> DataConverter:
    config = TaskerPlugin().configure_client(ClientConfig(data_converter=converter))  # type: ignore[typeddict-item]
    return config["data_converter"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_it_encodes_and_decodes_as_the_sdk_does(value: Any) -> None:
    ours, sdk = LazyPydanticConverter(), PydanticPayloadConverter()
    assert ours.to_payload(value) == sdk.to_payload(value)
    assert ours.from_payload(sdk.to_payload(value), type(value)) == value


def test_what_passes_through_undecoded_makes_nothing() -> None:
    converter = LazyPydanticConverter().with_context(CONTEXT)
    passed = RawValue(Payload(data=b"{}", metadata={"encoding": b"json/plain"}))
    assert converter.from_payloads(converter.to_payloads([passed]), [RawValue]) == [passed]
    assert not vars(converter)


def test_each_has_type_adapters_of_its_own() -> None:
    """Workflows in the sandbox load their models anew in each run, and must not leave them behind in a cache."""
    first, second = LazyPydanticConverter(), LazyPydanticConverter()
    assert first.converters[b"json/plain"] is not second.converters[b"json/plain"]


def test_it_can_be_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(LazyPydanticConverter()))
    assert sent.from_payload(sent.to_payload(ORDER), Order) == ORDER


@pytest.mark.parametrize("sdk", [DataConverter.default, pydantic_data_converter], ids=["default", "pydantic"])
def test_it_takes_the_place_of_the_sdks_own(sdk: DataConverter) -> None:
    assert configured(sdk).payload_converter_class is LazyPydanticConverter


@pytest.mark.parametrize("theirs", [Theirs, type("Sub", (DefaultPayloadConverter,), {})], ids=["own", "subclass"])
def test_a_users_own_stays(theirs: type[Any]) -> None:
    assert configured(DataConverter(payload_converter_class=theirs)).payload_converter_class is theirs


@pytest.mark.parametrize(("given", "used"), [(3, EAGER_STEPS), (1, 1), (50, 50)], ids=["sdk's", "fewer", "more"])
async def test_another_number_of_eager_steps_than_the_sdks_stays(server: DevServer, given: int, used: int) -> None:
    client = await server.client(plugins=[TaskerPlugin(TaskTemplate("eager.nothing", context=str))])
    worker = Worker(client, task_queue="eager", max_eager_activity_reservations_per_workflow_task=given)
    assert worker.config(active_config=True).get("max_eager_activity_reservations_per_workflow_task") == used
