"""Reads a task's written record out of Temporal's history, over all its runs, without a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue

from tasker_temporal.core.machine import State
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.rows import Row, genesis, salted, verify
from tasker_temporal.core.template import Template
from tasker_temporal.errors import RecordError
from tasker_temporal.histories import Histories, Run
from tasker_temporal.payloads import content_of, payload_of
from tasker_temporal.record import Record, read
from tasker_temporal.wire import TRACE_HEADER, Prepared, StartInput, activity_id, carried, unpacked_template

Pages = Callable[[str], AsyncIterator[dict[str, Any]]]
"""Asks the open run of that id for its rows."""


class Beginning(NamedTuple):
    """How a task began. `context_digest` is salted."""

    task_id: str
    start: StartInput
    context_digest: str

    @property
    def genesis(self) -> str:
        """What the task's first row is chained to."""
        return genesis(self.task_id, self.start.digest, self.context_digest)

    @property
    def template(self) -> Template:
        """The template that the task keeps for its whole life."""
        return unpacked_template(self.start.template)


class Reader:
    """Reads one task.

    Args:
        last: Its last run, if it is not the latest of this id.
    """

    def __init__(self, client: Client, id: str, last: str | None = None) -> None:
        self._histories, self._id, self._last = Histories(client, id), id, last

    async def record(self, run_id: str | None = None) -> Record:
        """The record of one closed run, the latest unless said, its chain verified.

        Raises:
            RecordError: the run left none, or it does not verify.
        """
        packed = await self._histories.record(run_id)
        if packed is None:
            which = f"run {run_id}" if run_id else "the latest run"
            raise RecordError(f"{which} of task {self._id!r} left no record: it is open, or was ended from outside")
        return read(packed)

    async def rows(self, open_rows: Pages) -> AsyncIterator[Row]:
        """Every row of the task, oldest first. The chain is verified over all runs; `open_rows` asks the open one."""
        runs = await self.runs()
        head = (await self._beginning(runs[0])).genesis
        sort_key = 0
        for run_id in runs:
            async for before, rows in self._run_rows(run_id, open_rows):
                if before is not None and before != (sort_key, head):
                    raise RecordError(
                        f"run {run_id} goes on from row {before[0]}, but {sort_key} rows are known",
                        sort_key=sort_key + 1,
                    )
                head = verify(rows, head, after=sort_key)
                for row in rows:
                    sort_key = row.sort_key
                    yield row

    async def beginning(self) -> Beginning:
        """How the task's first run began.

        Raises:
            RecordError: no worker has taken it yet, or that run is not kept any more.
        """
        return await self._beginning((await self.runs())[0])

    async def result(self, step: str, known: TaskReport) -> Payload:
        """The step's result as the payload that its activity gave.

        Raises:
            RecordError: there is no such step, or it has not completed.
        """
        if step not in known.steps:
            raise RecordError(f"there is no step {step!r} in task {self._id!r}; there are {', '.join(known.steps)}")
        line = known.steps[step]
        if line.state is not State.COMPLETE:
            raise RecordError(f"step {step!r} of task {self._id!r} is {line.state}: it has no result")
        for run_id in reversed(await self.runs()):
            payload = await self._histories.result(run_id, activity_id(step, line.execution))
            if payload is not None:
                return payload
        raise RecordError(f"the run in which step {step!r} of task {self._id!r} completed is not kept any more")

    async def given(self, step: str) -> Payload:
        """The result that somebody gave for the step."""
        content = (await self.record()).task().steps[step].result
        if content is None:
            raise RecordError(f"step {step!r} of task {self._id!r} has no result")
        return payload_of(content)

    async def _run_rows(self, run_id: str, open_rows: Pages) -> AsyncIterator[tuple[tuple[int, str] | None, list[Row]]]:
        if not await self.is_open(run_id):
            record = await self.record(run_id)
            yield record.before, list(record.rows)
            return
        first = True
        async for page in open_rows(run_id):
            before = (page["before"][0], page["before"][1]) if first else None
            yield before, [Row.of(plain) for plain in page["rows"]]
            first = False

    async def runs(self) -> list[str]:
        """The ids of the task's runs, oldest first."""
        found: list[str] = []
        run_id = await self._latest()
        while run_id:
            found.insert(0, run_id)
            run_id = await self._previous(run_id)
        return found

    async def _previous(self, run_id: str) -> str:
        """The run that this one goes on from: by continuing as new, or because it was reopened."""
        start = await self.start_of(run_id)
        return start.previous_run if start else ""

    async def request(self, run_id: str) -> Mapping[str, Any] | None:
        """The request for which this run was reopened, if it was."""
        start = await self.start_of(run_id)
        return start.request if start else None

    async def written(self, first: int, last: int) -> list[Row]:
        """The rows from number `first` to `last` in the records of closed runs, as far as they are kept."""
        found: list[Row] = []
        run_id = await self._latest()
        with suppress(RecordError):
            while run_id:
                if not await self.is_open(run_id):
                    record = await self.record(run_id)
                    found[:0] = [row for row in record.rows if first <= row.sort_key <= last]
                    if record.before[0] < first:
                        break
                run_id = await self._previous(run_id)
        return found

    async def context(self) -> RawValue:
        """The task's context as the payload that it was started with; that of None if it was with nothing."""
        return await self._histories.context(await self.latest())

    async def trace(self, run: Run) -> Mapping[str, str]:
        """The trace in which the task was started, if it was in any."""
        start = await self._histories.start(run)
        return (start and start.trace) or carried(run.begun.header.fields.get(TRACE_HEADER))

    async def latest(self) -> Run:
        """The task's latest run."""
        return await self._histories.run(await self._latest())

    async def _latest(self) -> str:
        return self._last or await self._histories.latest()

    async def start_of(self, run_id: str) -> StartInput | None:
        """What the run was started with, beside its context; None if it was without the library's client."""
        return await self._histories.start(await self._histories.run(run_id))

    async def is_open(self, run_id: str) -> bool:
        return await self._histories.is_open(run_id)

    async def prepared(self, run_id: str) -> Prepared:
        """What a worker found for a run that was started without the library's client.

        Raises:
            RecordError: none has taken it yet.
        """
        return await self._histories.prepared(run_id)

    async def _beginning(self, run_id: str) -> Beginning:
        run = await self._histories.run(run_id)
        if start := await self._histories.start(run):
            context = content_of((await self._histories.context(run)).payload)
            return Beginning(self._id, start, salted(bytes.fromhex(start.key), context.data))
        prepared = await self.prepared(run_id)
        return Beginning(self._id, prepared.start, prepared.context_digest)
