"""How a worker runs tasks: where the SDK's event loop stands, and without contexts that nobody heeds.

The SDK hands each activation of a workflow to a thread, because a workflow of its users may never return, and asks each
workflow for whom its payloads are encoded. A task runs no code of users, and most of its activations take less than the
way to another thread and back. What takes longer goes there all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from time import thread_time
from typing import Any, Final
from weakref import WeakValueDictionary

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import (
    DataConverter,
    SerializationContext,
    StorageDriverStoreContext,
    WithSerializationContext,
)
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info

from tasker_temporal.converter import LazyPydanticConverter
from tasker_temporal.workflow import TaskWorkflow

SHORT: Final = 0.005
"""Seconds of CPU time: as long as Python lets one thread keep the others waiting. A run that took longer once is not
waited for again, because a large task has more such activations."""

SMALL: Final = 16 * 1024
"""Bytes. A run that is handed more at its beginning may be a large task, and is not waited for."""

MORE: Final = 8.0
"""Seconds that a task's activation in a thread gets beyond the two after which the SDK speaks of a deadlock. The server
waits for its answer no longer than these ten."""

SDK_THREADS: Final = 500
"""The most threads for workflows, if the worker does not say how many of their tasks it takes at once."""


class TaskInstance(WorkflowInstance):
    """One run of a task in a worker's cache.

    Args:
        heeded: The client's converter works differently for different workflows and activities.
    """

    def __init__(self, instance: WorkflowInstance, *, heeded: bool) -> None:
        self._instance, self._heeded = instance, heeded
        self._is_new = self._is_short = True

    def is_short(self, act: WorkflowActivation) -> bool:
        """The activation will probably be over in a moment."""
        return self._is_short and (not self._is_new or act.ByteSize() < SMALL)

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        start = thread_time()
        try:
            return self._instance.activate(act)
        finally:
            self._is_new = False
            self._is_short = self._is_short and thread_time() - start < SHORT

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        """For whom the payloads of a command are. The SDK asks up to six times for each of them."""
        return self._instance.get_serialization_context(command_info) if self._heeded else None

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


class TaskRunner(WorkflowRunner):
    """Makes the runs of tasks; other workflows are left to `runner`, the worker's own."""

    def __init__(self, runner: WorkflowRunner, converter: DataConverter) -> None:
        self._runner, self._heeded = runner, heeds_context(converter)
        self.runs: WeakValueDictionary[str, TaskInstance] = WeakValueDictionary()

    def prepare_workflow(self, defn: Any) -> None:
        self._runner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self._runner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = self._runner.create_instance(det)
        if not issubclass(det.defn.cls, TaskWorkflow):
            return instance
        made = self.runs[det.info.run_id] = TaskInstance(instance, heeded=self._heeded)
        return made


def heeds_context(converter: DataConverter) -> bool:
    """It may encode one value differently for different workflows and activities."""
    parts = (converter.payload_codec, converter.failure_converter, converter.external_storage)
    plain = issubclass(converter.payload_converter_class, LazyPydanticConverter)
    return not plain or any(isinstance(part, WithSerializationContext) for part in parts)


class Activations(ThreadPoolExecutor):
    """Where activations are carried out: those of tasks on the worker's own loop, all others in threads."""

    def __init__(self, runner: TaskRunner, threads: int | None) -> None:
        super().__init__(threads or SDK_THREADS, thread_name_prefix="temporal_workflow_")
        self._runs = runner.runs

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """What the SDK hands over is `(activate, activation)`."""
        act = args[0] if len(args) == 1 and isinstance(args[0], WorkflowActivation) else None
        run = None if act is None else self._runs.get(act.run_id)
        if act is None or run is None:
            return super().submit(fn, *args, **kwargs)
        return _on_this_loop(fn, act) if run.is_short(act) else _unhurried(super().submit(fn, act))


def _on_this_loop(activate: Callable[..., Any], act: WorkflowActivation) -> asyncio.Future[Any]:
    """As the SDK does it for debuggers: not within its own task, because a workflow's tasks cannot begin within one.

    And as it would be in a thread: nothing is seen of the context variables that stand around the worker.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def run() -> None:
        try:
            done.set_result(activate(act))
        except BaseException as error:
            done.set_exception(error)
        finally:
            # A workflow is a loop of its own, and leaves none behind.
            asyncio._set_running_loop(loop)

    loop.call_soon(run, context=Context())
    return done


class Unhurried(asyncio.Future[Any]):
    """An activation in a thread that asks for more time when it is given up for the first time.

    The moves of thousands of steps may take seconds on a busy machine, and as long again if they are given up.
    """

    _late: asyncio.TimerHandle | None = None

    def cancel(self, msg: Any | None = None) -> bool:
        if self.done() or self._late is not None:
            return super().cancel(msg)
        self._late = late = self.get_loop().call_later(MORE, self.cancel)
        self.add_done_callback(lambda _: late.cancel())
        return True


def _unhurried(work: Future[Any]) -> Unhurried:
    ended = Unhurried()

    def hand_on(over: asyncio.Future[Any]) -> None:
        error = over.exception()
        if ended.done():
            return
        if error is not None:
            ended.set_exception(error)
        else:
            ended.set_result(over.result())

    asyncio.wrap_future(work).add_done_callback(hand_on)
    return ended
