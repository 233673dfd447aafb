"""Where a worker runs tasks: on its own loop as long as that takes no time, and beside all that is the user's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from time import thread_time
from typing import Any, Self

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    PayloadCodec,
    SerializationContext,
    StorageDriverStoreContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInterceptorClassInput,
)

from tasker_temporal import TaskerPlugin, TaskTemplate, start_task
from tasker_temporal.converter import LazyPydanticConverter
from tasker_temporal.dev import DevServer
from tasker_temporal.runner import SHORT, SMALL, Activations, TaskInstance, TaskRunner, heeds_context
from tests.server.conftest import Connect, replayed, worker

letters = TaskTemplate("runner.letters", context=str)


@letters.step
async def count(letter: str) -> int:
    return len(letter)


@workflow.defn(sandboxed=False)
class Theirs:
    """A user's own, beside the library's."""

    @workflow.run
    async def run(self) -> str:
        return "done"


class Inbound(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        THREADS[workflow.info().workflow_id] = threading.get_ident()
        return await super().execute_workflow(input)


class Looking(Interceptor):
    """Notes in which thread each workflow begins."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return Inbound


THREADS: dict[str, int] = {}


async def thread_of(client: Client, letter: str, **options: Any) -> int:
    """Where the task of that letter begins."""
    async with worker(client, interceptors=[Looking()], **options) as running:
        task = await start_task(client, letters, letter, task_queue=running.task_queue)
        await task.result()
    await replayed(task, letters)
    return THREADS[task.id]


async def test_a_task_is_run_on_the_workers_own_loop(client: Connect) -> None:
    assert await thread_of(await client(letters), "short") == threading.get_ident()


async def test_a_task_that_begins_with_much_does_not_hold_up_the_loop(client: Connect) -> None:
    assert await thread_of(await client(letters), "x" * SMALL) != threading.get_ident()


async def test_a_task_is_replayed_as_it_was_run(client: Connect) -> None:
    connected = await client(letters)
    async with worker(connected) as running:
        task = await start_task(connected, letters, "again", task_queue=running.task_queue)
        await task.result()
    replayer = Replayer(workflows=[], plugins=[TaskerPlugin(letters)], interceptors=[Looking()])
    await replayer.replay_workflow(await task.workflow.fetch_history())
    assert THREADS[task.id] == threading.get_ident()


async def test_a_users_executor_stays(client: Connect) -> None:
    with ThreadPoolExecutor(2) as executor:
        assert await thread_of(await client(letters), "short", workflow_task_executor=executor) != threading.get_ident()


async def test_a_users_workflow_stays_in_a_thread(client: Connect) -> None:
    connected = await client(letters)
    async with worker(connected, workflows=[Theirs], interceptors=[Looking()]) as running:
        assert await connected.execute_workflow(Theirs.run, id="runner-theirs", task_queue=running.task_queue) == "done"
    assert THREADS["runner-theirs"] != threading.get_ident()


async def test_a_worker_that_has_ended_leaves_no_threads(server: DevServer) -> None:
    client = await server.client(plugins=[TaskerPlugin(letters)])
    ended = Worker(client, task_queue="runner-ended")
    async with ended:
        executor = ended.config(active_config=True).get("workflow_task_executor")
        assert isinstance(executor, Activations)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(print)


AROUND: ContextVar[str] = ContextVar("AROUND", default="nothing")


class Inner(WorkflowInstance):
    """An instance of the SDK's, that takes so many seconds of CPU time, and then perhaps fails."""

    def __init__(self, seconds: float = 0.0, error: BaseException | None = None) -> None:
        self.seconds, self.error, self.seen = seconds, error, ""

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        end = thread_time() + self.seconds
        while thread_time() < end:
            pass
        asyncio._set_running_loop(None)
        self.seen = AROUND.get()
        if self.error is not None:
            raise self.error
        return WorkflowActivationCompletion(run_id=act.run_id)

    def get_serialization_context(self, command_info: Any) -> SerializationContext:
        return CONTEXT

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        raise NotImplementedError

    def get_info(self) -> workflow.Info:
        raise NotImplementedError


ACT, CONTEXT = WorkflowActivation(run_id="run-1"), WorkflowSerializationContext(namespace="default", workflow_id="1")


def test_a_run_that_took_long_once_is_not_waited_for_again() -> None:
    inner = Inner(seconds=SHORT)
    short, long = TaskInstance(Inner(), heeded=False), TaskInstance(inner, heeded=False)
    for instance in (short, long):
        assert instance.is_short(ACT)
    long.activate(ACT)
    assert not long.is_short(ACT)
    inner.seconds = 0.0
    long.activate(ACT)
    assert not long.is_short(ACT)


@pytest.mark.parametrize("error", [None, RuntimeError("its tasks remain")], ids=["done", "failed"])
async def test_what_becomes_of_an_activation_is_handed_on_and_the_loop_goes_on(error: Exception | None) -> None:
    runner = TaskRunner(None, DataConverter.default)  # type: ignore[arg-type]
    instance = runner.runs["run-1"] = TaskInstance(Inner(error=error), heeded=False)
    ended = Activations(runner, None).submit(instance.activate, ACT)
    await asyncio.wait([ended])
    assert asyncio.get_running_loop() is ended.get_loop()
    assert ended.exception() is error
    assert error is not None or ended.result().run_id == "run-1"


async def test_a_run_sees_nothing_of_what_stands_around_its_worker() -> None:
    AROUND.set("a worker")
    runner, inner = TaskRunner(None, DataConverter.default), Inner()  # type: ignore[arg-type]
    instance = runner.runs["run-1"] = TaskInstance(inner, heeded=False)
    await Activations(runner, None).submit(instance.activate, ACT)
    assert inner.seen == "nothing"


# How long a large task may take.


class Held(Inner):
    """An instance whose activation ends when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        self.let_go.wait()
        return WorkflowActivationCompletion(run_id=act.run_id)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.let_go.set()


async def given_up(held: Held) -> asyncio.Task[Any]:
    """A large task's activation, once the SDK has given it up."""
    runner = TaskRunner(None, DataConverter.default)  # type: ignore[arg-type]
    instance = runner.runs["run-1"] = TaskInstance(held, heeded=False)
    large = WorkflowActivation(run_id="run-1", jobs=[{"initialize_workflow": {"workflow_type": "x" * SMALL}}])  # type: ignore[list-item]
    ended = asyncio.get_running_loop().run_in_executor(Activations(runner, 1), instance.activate, large)
    waiting = asyncio.create_task(asyncio.wait_for(ended, 0))
    await asyncio.sleep(0)
    return waiting


async def test_a_large_task_on_a_busy_machine_gets_more_time_than_a_deadlock(held: Held) -> None:
    waiting = await given_up(held)
    held.let_go.set()
    assert (await waiting).run_id == "run-1"


async def test_a_task_that_never_returns_is_given_up_in_the_end(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasker_temporal.runner.MORE", 0)
    with pytest.raises(TimeoutError):
        await (await given_up(held))


async def test_what_fails_in_a_thread_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Inner(error=RuntimeError("its tasks remain"))
    runner = TaskRunner(None, DataConverter.default)  # type: ignore[arg-type]
    instance = runner.runs["run-1"] = TaskInstance(inner, heeded=False)
    monkeypatch.setattr(TaskInstance, "is_short", lambda *_: False)
    with pytest.raises(RuntimeError, match="its tasks remain"):
        await Activations(runner, 1).submit(instance.activate, ACT)


# For whom the payloads are.


class Codec(PayloadCodec):
    """Does nothing."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


class Heeding(Codec, WithSerializationContext):
    def with_context(self, context: SerializationContext) -> Self:
        return self


class HeedingFailures(DefaultFailureConverter, WithSerializationContext):
    def with_context(self, context: SerializationContext) -> Self:
        return self


OURS = DataConverter(payload_converter_class=LazyPydanticConverter)


@pytest.mark.parametrize(
    ("converter", "heeds"),
    [
        (OURS, False),
        (DataConverter(payload_converter_class=LazyPydanticConverter, payload_codec=Codec()), False),
        (DataConverter(payload_converter_class=LazyPydanticConverter, payload_codec=Heeding()), True),
        (
            DataConverter(payload_converter_class=LazyPydanticConverter, failure_converter_class=HeedingFailures),
            True,
        ),
        (DataConverter(payload_converter_class=type("Own", (DefaultPayloadConverter,), {})), True),
    ],
    ids=["ours", "codec", "heeding codec", "heeding failures", "their converter"],
)
def test_who_may_heed_a_context_is_told_it(converter: DataConverter, *, heeds: bool) -> None:
    assert heeds_context(converter) == heeds


def test_a_context_is_made_only_where_somebody_heeds_it() -> None:
    assert TaskInstance(Inner(), heeded=False).get_serialization_context(None) is None
    assert TaskInstance(Inner(), heeded=True).get_serialization_context(None) is CONTEXT
