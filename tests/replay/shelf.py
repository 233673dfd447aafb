"""The golden histories on disk: one event a line, and beside each the rows that its task must read back as.

They stand by the number of their interpreter. A scene is recorded again for a new one if that tells it otherwise.

`python -m tests.replay.shelf` replays all of them with today's code.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from temporalio import workflow
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory, WorkflowHistoryEventFilterType
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from tasker_temporal import Row, TaskerPlugin
from tasker_temporal.reader import Reader
from tasker_temporal.workflow import TaskWorkflow
from tests.replay.scenes import SCENES

FOLDER = Path(__file__).parent / "histories"


class Recording(NamedTuple):
    """A scene as it was played under an interpreter."""

    interpreter: int
    scene: str

    def __str__(self) -> str:
        return f"{self.interpreter}/{self.scene}"

    def file(self, run: int) -> Path:
        """The history of a run, counted from 1."""
        return FOLDER / f"{self}.{run}.json"

    @property
    def rows_file(self) -> Path:
        return FOLDER / f"{self}.rows.json"

    def histories(self) -> list[WorkflowHistory]:
        """Of all runs, oldest first."""
        files = sorted(FOLDER.glob(f"{self}.[0-9].json"))
        return [WorkflowHistory.from_json(f"golden-{self.scene}", path.read_text()) for path in files]


def recordings() -> list[Recording]:
    files = FOLDER.glob("*/*.rows.json")
    return sorted(Recording(int(file.parent.name), file.name.split(".")[0]) for file in files)


Line = list[Any]
"""A row, as far as it is the same in every recording: number, event, entity, from, to, actor, cause."""


def line(row: Row) -> Line:
    return [row.sort_key, row.event, row.entity, row.from_state, row.to_state, row.actor, row.cause]


# The reader takes them for a server's.


class Shelf:
    """Stands in for the client of a server that keeps the histories of one recording."""

    data_converter = pydantic_data_converter

    def __init__(self, recording: Recording) -> None:
        self._runs = {history.run_id: history for history in recording.histories()}

    def get_workflow_handle(self, workflow_id: str, *, run_id: str | None = None) -> Book:
        return Book(self._runs[run_id or list(self._runs)[-1]])


class Book:
    """Stands in for the handle of one run, which is over."""

    def __init__(self, history: WorkflowHistory) -> None:
        self._history = history

    async def describe(self) -> SimpleNamespace:
        return SimpleNamespace(run_id=self._history.run_id, status=WorkflowExecutionStatus.COMPLETED)

    async def fetch_history_events(
        self, *, event_filter_type: WorkflowHistoryEventFilterType, page_size: int | None
    ) -> AsyncIterator[HistoryEvent]:
        closing = event_filter_type is WorkflowHistoryEventFilterType.CLOSE_EVENT
        for event in self._history.events[-1 if closing else 0 :]:
            yield event


async def read_back(recording: Recording) -> list[Row]:
    """The audit, as the written record in the histories has it, verified."""
    reader = Reader(cast(Client, Shelf(recording)), f"golden-{recording.scene}")

    def no_open_rows(run_id: str) -> AsyncIterator[dict[str, Any]]:
        raise AssertionError(f"run {run_id} of {recording} is not over")

    return [row async for row in reader.rows(no_open_rows)]


# Today's code tells them again.


class Listening(Interceptor):
    """Keeps the rows of every run that is replayed."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        told = self.rows

        class Listener(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                task, run_id = workflow.instance(), workflow.info().run_id
                assert isinstance(task, TaskWorkflow)
                try:
                    return await super().execute_workflow(input)
                finally:
                    told[run_id] = list(task._life.driver.task.rows)

        return Listener


async def told_again(recording: Recording) -> list[Row]:
    """The rows that today's code writes while it replays the recording.

    Raises:
        temporalio.workflow.NondeterminismError: today's code would do something else.
    """
    listening = Listening()
    plugin = TaskerPlugin(SCENES[recording.scene].template)
    replayer = Replayer(workflows=[], plugins=[plugin], interceptors=[listening])
    found: list[Row] = []
    for history in recording.histories():
        await replayer.replay_workflow(history)
        found += listening.rows[history.run_id]
    return found


async def main() -> None:
    for recording in recordings():
        rows = await told_again(recording)
        assert rows == await read_back(recording), f"{recording} is told otherwise than it was written"
        print(f"{recording}: {len(rows)} rows")


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)
