"""The library beside what is the user's own: workflows, activities, codec, converter, interceptors. All of it stays."""

from __future__ import annotations

import base64
import dataclasses
import os
import uuid
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer, model_validator
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import OutboundInterceptor, StartWorkflowInput, WorkflowHandle
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    EncodingPayloadConverter,
    PayloadCodec,
)
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Replayer,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)
from temporalio.worker import Interceptor as WorkerInterceptor

from tasker_temporal import (
    PermanentError,
    RequestRefused,
    Retry,
    TaskCancelled,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    received,
    result_of,
    start_task,
)
from tasker_temporal.dev import DevServer
from tests.server.conftest import Connect, histories, replayed, worker
from tests.shell.kit import Gate, said
from tests.shell.theirs import Theirs, bakery, greet, thread_of

# Their workflows and activities.


async def test_their_workflows_and_activities_run_beside_ours_as_they_did(client: Connect) -> None:
    connected = await client(bakery)
    theirs: dict[str, Any] = {"workflows": [Theirs], "activities": [greet, thread_of]}
    with ThreadPoolExecutor(5, thread_name_prefix="theirs") as executor:
        async with worker(connected, **theirs, activity_executor=executor) as running:
            task = await start_task(connected, bakery, "ann", task_queue=running.task_queue)
            own = await connected.start_workflow(Theirs.run, "bob", id=f"own-{task.id}", task_queue=running.task_queue)
            greeting, thread, is_sandboxed = await own.result()
            report = await task.result()
    assert greeting == "hello bob"
    assert thread.startswith("theirs")
    assert is_sandboxed
    assert report.counts == {"total": 2, "complete": 2}
    await replayed(task, bakery)


async def test_the_plugin_on_the_client_is_all_that_worker_and_replayer_need(server: DevServer) -> None:
    plain = await server.client(plugins=[TaskerPlugin(bakery)])
    async with Worker(plain, task_queue="beside.plain"):
        task = await start_task(plain, bakery, "ann", task_queue="beside.plain")
        await task.result()
    assert await task.result_of("bake") == "bread of dough for ann"
    replayer = Replayer(workflows=[], plugins=[TaskerPlugin(bakery)])
    [history] = await histories(task)
    assert (await replayer.replay_workflow(history)).replay_failure is None


# Their codec.


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


async def stored(task: TaskHandle) -> bytes:
    """All that the server keeps of the task, and what a curious reader could unpack of it."""
    raw = b"".join(event.SerializeToString() for history in await histories(task) for event in history.events)
    return raw + b"".join(_unpacked(raw))


def _unpacked(raw: bytes) -> Iterator[bytes]:
    for piece in raw.split(b'"'):
        try:
            yield zlib.decompress(base64.b64decode(piece, validate=True))
        except (ValueError, zlib.error):
            continue


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


# Their payload converter.


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


# Their interceptors.


class Watching(ClientInterceptor, WorkerInterceptor):
    """One interceptor of theirs, for client and worker, that notes what passes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _WatchingClient(next, self)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _WatchingActivity(next, self)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        seen = self.seen

        class WatchingWorkflow(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                seen.append(("run", workflow.info().workflow_type))
                return await super().execute_workflow(input)

        return WatchingWorkflow


class _WatchingClient(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, watching: Watching) -> None:
        super().__init__(next)
        self._watching = watching

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        self._watching.seen.append(("start", input.workflow))
        return await super().start_workflow(input)


class _WatchingActivity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, watching: Watching) -> None:
        super().__init__(next)
        self._watching = watching

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        self._watching.seen.append(("activity", input.fn.__name__))
        return await super().execute_activity(input)


async def test_their_interceptors_see_every_call(client: Connect) -> None:
    watching = Watching()
    connected = await client(bakery, interceptors=[watching])
    async with worker(connected) as running:
        task = await start_task(connected, bakery, "ann", task_queue=running.task_queue)
        await task.result()
    kinds = [kind for kind, _ in watching.seen]
    assert kinds == ["start", "run", "activity", "activity"]
    assert watching.seen[:2] == [("start", "beside.bakery"), ("run", "beside.bakery")]
