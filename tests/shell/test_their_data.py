"""The user's own types, and his payload converter for them, stay; none of their code runs in a workflow."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer, model_validator
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
)

from tasker_temporal import (
    PermanentError,
    Retry,
    TaskerPlugin,
    TaskHandle,
    TaskTemplate,
    received,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import said, stored


class Weight(BaseModel):
    grams: int


class WeightConverter(EncodingPayloadConverter):
    """Weights as a word. A workflow of ours must never call it: it could be any code."""

    @property
    def encoding(self) -> str:
        return "their/weight"

    def to_payload(self, value: Any) -> Payload | None:
        if not isinstance(value, Weight):
            return None
        _refuse_workflows()
        return Payload(metadata={"encoding": self.encoding.encode()}, data=f"{value.grams} g".encode())

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Weight:
        _refuse_workflows()
        return Weight(grams=int(payload.data.removesuffix(b" g")))


def _refuse_workflows() -> None:
    if workflow.in_workflow():
        raise AssertionError("user code runs in the workflow")


class TheirConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(WeightConverter(), *DefaultPayloadConverter().converters.values())


weighed = TaskTemplate("beside.weighed", context=Weight)


@weighed.step
async def halve(whole: Weight) -> Weight:
    return Weight(grams=whole.grams // 2)


@weighed.step
def quarter(half: Weight = result_of(halve)) -> Weight:
    return Weight(grams=half.grams // 2)


async def test_their_payload_converter_stays_and_runs_nowhere_in_a_workflow(server: DevServer) -> None:
    theirs = dataclasses.replace(DataConverter.default, payload_converter_class=TheirConverter)
    connected = await server.client(plugins=[TaskerPlugin(weighed)], data_converter=theirs)
    async with worker(connected, max_cached_workflows=0) as running:
        task = await start_task(connected, weighed, Weight(grams=1000), task_queue=running.task_queue)
        await task.result()
    assert (await task.result_of(quarter)).grams == 250
    assert said(await task.audit())[-1] == "task.completed"
    assert b"250 g" in await stored(task)


# Their models: validators and serializers are code.

VALIDATED: set[str] = set()


class Watched(BaseModel):
    name: str

    @model_validator(mode="after")
    def _validate(self) -> Watched:
        _refuse_workflows()
        VALIDATED.add(self.name)
        return self

    @model_serializer(mode="wrap")
    def _serialize(self, written: SerializerFunctionWrapHandler) -> Any:
        _refuse_workflows()
        return written(self)


def watched() -> TaskTemplate[Watched]:
    """Whatever a task is given is of the model: its context, results, forms of votes, payloads of events."""
    made = TaskTemplate("beside.watched", context=Watched, on_error="hold")
    arrived = made.event("arrived", Watched)

    @made.step
    async def first(context: Watched) -> Watched:
        return Watched(name="a result")

    @made.step(retry=Retry(attempts=1))
    async def broken(given: Watched = result_of(first)) -> Watched:
        raise PermanentError("closed")

    review = made.approval("review", form=Watched, after=[broken], approvers=["ann"])
    wait = made.wait_for("wait", received(arrived, match="event.name != context.name"), after=[broken])

    @made.step(when="result.broken.name == 'by hand'")
    async def last(
        by_hand: Watched = result_of(broken), vote: Watched = result_of(review), came: Watched = result_of(wait)
    ) -> Watched:
        return Watched(name=f"{by_hand.name}, {vote.name}, {came.name}")

    return made


async def test_no_validator_of_theirs_runs_in_a_workflow(client: Connect) -> None:
    template, by = watched(), {"actor": "ann", "reason": "it is fine"}
    connected = await client(template)
    async with worker(connected, max_cached_workflows=0) as running:
        task, queue = TaskHandle(connected, f"watched-{uuid.uuid4()}"), running.task_queue
        await connected.start_workflow(template.name, {"name": "a context"}, id=task.id, task_queue=queue)
        await task.settled()
        await task.complete_step("broken", {"name": "by hand"}, **by)
        await task.approve("review", {"name": "a vote"}, **by)
        await task.send_event("arrived", {"name": "an event"})
        await task.result()
    assert await task.result_of("last") == {"name": "by hand, a vote, an event"}
    assert {"a context", "a result", "by hand", "a vote", "an event"} <= VALIDATED
    await replayed(task, template)
