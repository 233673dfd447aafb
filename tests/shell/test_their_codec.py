"""The user's own codec stays: the server sees nothing of a task, and everything reads as ever."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from tasker_temporal import (
    PermanentError,
    RequestRefused,
    TaskCancelled,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.server.conftest import worker
from tests.shell.kit import Gate, said, stored


class Sealed(PayloadCodec):
    """Every payload encrypted with AES-GCM."""

    def __init__(self) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(256))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        nonce = os.urandom(12)
        sealed = nonce + self._cipher.encrypt(nonce, payload.SerializeToString(), None)
        return Payload(metadata={"encoding": b"binary/sealed"}, data=sealed)

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != b"binary/sealed":
            return payload
        return Payload.FromString(self._cipher.decrypt(payload.data[:12], payload.data[12:], None))


class Order(BaseModel):
    customer: str


CONTEXT, RESULT, ERROR, TEMPLATE, RULE = "Ann Smith", "sourdough", "card 4711", "crusty", "in_progress: 'skip' is legal"


def secretive(gate: Gate) -> TaskTemplate[Order]:
    template = TaskTemplate("beside.secretive", context=Order)

    @template.step
    async def knead(order: Order) -> str:
        return f"{RESULT} for {order.customer}"

    @template.step(description=TEMPLATE, heartbeat_timeout=timedelta(seconds=1.5))
    async def bake(dough: str = result_of(knead)) -> str:
        await gate.passage()
        return f"bread of {dough}"

    @template.step(after=[bake])
    async def charge(order: Order) -> None:
        raise PermanentError(f"{ERROR} of {order.customer} is empty")

    @template.step(after=[bake])
    async def wave() -> None: ...

    return template


@pytest.fixture(params=[True, False], ids=["sealed", "open"])
def converter(request: pytest.FixtureRequest) -> DataConverter:
    """Theirs, which encrypts; and one that does not, to show that the tests would see it."""
    if not request.param:
        return DataConverter.default
    failures = DefaultFailureConverterWithEncodedAttributes
    return dataclasses.replace(DataConverter.default, payload_codec=Sealed(), failure_converter_class=failures)


def is_sealed(converter: DataConverter) -> bool:
    return converter.payload_codec is not None


@pytest.fixture
async def baking(server: DevServer, converter: DataConverter) -> AsyncIterator[tuple[TaskHandle, Gate]]:
    """A task of the secretive bakery, with its bread in the oven."""
    gate = Gate()
    template = secretive(gate)
    connected = await server.client(plugins=[TaskerPlugin(template)], data_converter=converter)
    async with worker(connected) as running:
        order = Order(customer=CONTEXT)
        task = await start_task(connected, template, order, task_queue=running.task_queue, actor="clerk")
        await gate.reached.wait()
        yield task, gate


async def leaks(task: TaskHandle) -> set[str]:
    raw = await stored(task)
    words = (CONTEXT, RESULT, ERROR, TEMPLATE, RULE, "execution_requested")
    return {word for word in words if word.encode() in raw}


async def test_their_codec_hides_context_results_errors_template_and_record_from_the_server(
    baking: tuple[TaskHandle, Gate], converter: DataConverter
) -> None:
    task, gate = baking
    await task.workflow.signal("transition", {"request": "skip", "step": "bake", "actor": "clerk", "reason": "rain"})
    gate.open()
    with pytest.raises(TaskFailed, match=f"step 'charge' failed: PermanentError: {ERROR} of {CONTEXT} is empty"):
        await task.result()
    everything = {CONTEXT, RESULT, ERROR, TEMPLATE, RULE, "execution_requested"}
    assert await leaks(task) == (set() if is_sealed(converter) else everything)


async def test_behind_their_codec_a_closed_task_reads_as_ever(
    baking: tuple[TaskHandle, Gate], converter: DataConverter
) -> None:
    task, gate = baking
    while_open = await task.audit()
    gate.open()
    with pytest.raises(TaskFailed):
        await task.result()
    rows, report = await task.audit(), await task.report()
    assert rows[: len(while_open)] == while_open
    assert said(rows)[-1] == "task.failed"
    assert report.counts == {"total": 4, "complete": 3, "error": 1}
    assert report.steps["charge"].last_error is not None
    assert report.steps["charge"].last_error.message == f"{ERROR} of {CONTEXT} is empty"
    assert await task.result_of("bake") == f"bread of {RESULT} for {CONTEXT}"


async def test_behind_their_codec_requests_are_planned_answered_and_refused_as_ever(
    baking: tuple[TaskHandle, Gate],
) -> None:
    task, _ = baking
    wish = {"request": "skip", "step": "wave", "actor": "clerk", "reason": "rain"}
    assert said(await task.plan(wish)) == ["step.skipped wave"]
    assert said(await task.audit())[-1] == "step.execution_requested bake"
    answer = await task.skip("wave", actor="clerk", reason="rain")
    assert [row["event"] for row in answer["rows"]] == ["step.skipped"]
    with pytest.raises(RequestRefused, match="'skip' is legal for one that is pending or error") as refused:
        await task.skip("bake", actor="clerk", reason="rain")
    assert refused.value.legal == ("complete_step",)
    with pytest.raises(RequestRefused, match="'skip' is legal for one that is pending or error") as planned:
        await task.plan(wish | {"step": "bake"})
    assert (planned.value.rule, planned.value.legal) == (refused.value.rule, refused.value.legal)


async def test_behind_their_codec_a_cancelled_task_tells_who_and_why(
    baking: tuple[TaskHandle, Gate], converter: DataConverter
) -> None:
    task, _ = baking
    await task.cancel(actor="clerk", reason="rain")
    with pytest.raises(TaskCancelled) as cancelled:
        await task.result()
    assert cancelled.value.report.state == "cancelled"
    last = (await task.audit())[-1]
    assert (last.event, last.actor, last.reason) == ("task.cancelled", "clerk", "rain")
    assert not (await leaks(task) if is_sealed(converter) else set())
