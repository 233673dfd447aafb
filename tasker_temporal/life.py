"""The life of one run of a task: how it begins, is cancelled, ends, or goes on in a new run.

The main coroutine only waits; what it waits for is done beside it, in errands and in the driver's callbacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal import requests, views
from tasker_temporal.attributes import Attributes
from tasker_temporal.core import wording
from tasker_temporal.core.engine import Engine, Observer
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Content, Refused, RunContinued, RunReopened, Start
from tasker_temporal.core.requests import ACTOR_LIMIT, REASON_LIMIT, CancelTask, clipped
from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.task import Task
from tasker_temporal.deliveries import Deliveries
from tasker_temporal.driver import Driver, local
from tasker_temporal.errors import NewerRelease, RequestRefused
from tasker_temporal.identity import HEADERS, START
from tasker_temporal.inquiries import checked, identified, who_asks, who_cancelled
from tasker_temporal.local_activities import (
    CANCEL,
    FOLLOW,
    PREPARE,
    RECORD,
)
from tasker_temporal.payloads import chunks, content_of, raw, read_raw, unpack
from tasker_temporal.record import CHUNK, INLINE_LIMIT, outcome, written
from tasker_temporal.wire import MEMO_ACTOR, MEMO_REASON, Prepared, StartInput, unpacked_template

Problems = tuple[dict[str, Any], ...]

ENDS = (State.COMPLETE, State.RESOLVED_MANUALLY, State.ERROR)
"""How a run ends that carries its record in its result or failure."""

CLIPPED_FROM = 3
"""The first interpreter that makes legible who started a task without the library, and why."""

Ear = Callable[[Task, Mapping[str, str]], Observer]
"""Makes an observer of a task, which may have been started in a trace."""


class Life:
    """One run, from its first message to its written record.

    Attributes:
        has_begun: The engine has had its first message.
    """

    def __init__(self, context: Any, start: Any, *others: Any) -> None:
        self._context = _as_raw(context)
        self._arguments = [_as_raw(value) for value in (context, start) if value is not None]
        self.driver = Driver()
        self.attributes = Attributes(self.driver)
        self.driver.watch_task = self.attributes.tell
        self.deliveries = Deliveries(self.driver)
        self.driver.watch_rows = self.deliveries.watch
        self._ear: Ear | None = None
        self._start = None if others else self._read(start)
        if others:
            self._refuse(2 + len(others))
        self._take_up()
        self.has_begun = self._may_end = self._recording = False
        self._recorded = -1
        self._packed: tuple[int, str] = (-1, "")

    def _take_up(self) -> None:
        """What a newer release wrote fails the workflow task: the run waits for a worker that has been upgraded."""
        try:
            if self._start is not None:
                self.driver.prepared = Engine(self._task(self._start))
        except NewerRelease as error:
            self._start, self.driver.broken = None, error

    def _refuse(self, count: int) -> None:
        """As for a start that is none: whoever started it by hand sees at once what was wrong."""
        message = f"a task is started with one argument, its context, and this one was started with {count}"
        self.driver.broken = ApplicationError(message, type="StartInvalid", non_retryable=True)

    def _read(self, start: Any) -> StartInput | None:
        """What is no start ends the run as failed: a workflow task that fails would be tried again for ever."""
        said = b"" if start is None else _as_raw(start).payload.data
        try:
            return None if said in (b"", b"null") else StartInput.read(_from_json(said))
        except NewerRelease as error:
            # It is raised where the run begins, and so fails the workflow task: a worker that is upgraded goes on.
            self.driver.broken = error
            return None
        except ValidationError as error:
            # What it is stays out of the failure: it may hold anything.
            why = "; ".join(wording.told(error, StartInput, {}, is_secret=True))
            message = f"the workflow's second argument is the library's own, and this is none: {why}"
            self.driver.broken = ApplicationError(message, type="StartInvalid", non_retryable=True)
            return None

    def _task(self, start: StartInput) -> Task:
        return beginning(workflow.info().workflow_id, start, content_of(self._context.payload))

    def listen(self, ear: Ear) -> None:
        """Let somebody hear every event of the task, from its first on. Call it before `live`."""
        self._ear = ear
        self._lend_ear()

    def _lend_ear(self) -> None:
        engine = self.driver.prepared
        if engine is not None and self._ear is not None and self._start is not None:
            engine.observe = self._ear(engine.task, self._start.trace)

    async def live(self) -> Any:
        """The whole run."""
        driver = self.driver
        if driver.broken is None:
            driver.go(self._begin(), "begin")
        while not self._may_end:
            try:
                await workflow.wait_condition(self._has_news)
            except asyncio.CancelledError:
                driver.go(self._be_cancelled(), "who cancelled?")
                continue
            if driver.broken is not None:
                raise driver.broken
            if self._is_recorded():
                self._may_end = True
            else:
                self._recording = True
                driver.go(self._record(), "written record")
        self.attributes.tell()
        return self._end() if driver.closed is not None else self._continue_as_new()

    def _has_news(self) -> bool:
        driver = self.driver
        if driver.broken is not None or self._recording:
            return driver.broken is not None
        return self._must_leave() if driver.closed is None else not driver.notifies

    async def _begin(self) -> None:
        problems: Problems = ()
        if self._start is None:
            prepared = Prepared.read(read_raw(await local(PREPARE, self._context)))
            self._start, problems = _with_starter(prepared.start), prepared.problems
            self.driver.prepared = Engine(self._task(self._start))
            self._lend_ear()
        start = self._start
        if start.untold:
            await local(FOLLOW, raw(start.untold))
            if start.interpreter > 1:
                # What it brought is in the history once this workflow task is over; until then the run cannot end.
                await workflow.sleep(timedelta(milliseconds=1), summary="the run takes its place")
        if start.request is not None:
            await self._reopen(start.previous_run, start.request)
        elif start.previous_run:
            self.driver.feed(RunContinued(start.previous_run))
        else:
            early = None if workflow.cancellation_reason() is None else await who_cancelled()
            actor, problems = await self._who_starts(start.actor, problems)
            self.driver.feed(Start(actor, start.reason, problems, early, start.course))
        self.has_begun = True

    async def _who_starts(self, actor: str, problems: Problems) -> tuple[str, Problems]:
        """Nobody can be told that a start is refused: a task whose starter is not who he says he is fails at once."""
        try:
            identity = await who_asks(workflow.info().headers, START, self._arguments)
        except RequestRefused as error:
            return actor, (*problems, {"loc": ["identity"], "type": "identity_invalid", "msg": error.rule})
        return actor if identity is None else identity.actor, problems

    async def _reopen(self, previous_run: str, request: Mapping[str, Any]) -> None:
        """The request was found to be legal before this run was started for it."""
        self.driver.feed(RunReopened(previous_run))
        asked = requests.parse(None, request)
        HEADERS.set(workflow.info().headers)
        try:
            asked = await identified(asked, START, *self._arguments)
            refused = requests.told(await checked(asked, self.driver.engine), self.driver.feed)
        except ApplicationError as error:
            strict = self.driver.task.interpreter > 2
            refused = requests.unheard(error, asked) if strict else Refused(error.message, asked.actor, asked.reason)
        if refused is not None:
            self.driver.feed(refused)

    async def begun(self) -> Driver:
        """Requests that come before the task has begun wait for it."""
        await workflow.wait_condition(lambda: self.has_begun)
        return self.driver

    async def _be_cancelled(self) -> None:
        """Temporal was asked to cancel the run. The engine may know already: then it was a request that led to it."""
        task = (await self.begun()).task
        if task.cancelling is None and task.is_open:
            actor, reason = await who_cancelled()
            # It may have ended, or somebody's request may have come, while its author was looked for.
            with suppress(RequestRefused):
                self.driver.feed(CancelTask(actor=actor, reason=reason))

    def _asks_who_cancelled(self) -> bool:
        """Temporal does not hand a cancellation on to the next run, so there is none before the engine knows of it."""
        return workflow.cancellation_reason() is not None and self.driver.task.cancelling is None

    # How it ends, or goes on in a new run.

    def _must_leave(self) -> bool:
        driver = self.driver
        if not self.has_begun or not driver.is_idle or not driver.task.is_open or self._asks_who_cancelled():
            return False
        return driver.task.draining or (workflow.info().is_continue_as_new_suggested() and driver.fits_new_run())

    def _is_recorded(self) -> bool:
        """Nothing happened since the record was written. One that fits travels with the result, and needs no marker."""
        if not workflow.all_handlers_finished() or (self.driver.closed is not None and not self.deliveries.is_over):
            return False
        return self._fits_result() or (self._recorded == self.driver.task.sort_key and self._is_cancelled_natively())

    def _fits_result(self) -> bool:
        return self.driver.closed in ENDS and len(self._pack()) <= INLINE_LIMIT

    def _is_cancelled_natively(self) -> bool:
        return self.driver.closed is not State.CANCELLED or workflow.cancellation_reason() is not None

    def _pack(self) -> str:
        if self._packed[0] != self.driver.task.sort_key:
            self._packed = self.driver.task.sort_key, written(self.driver.task)
        return self._packed[1]

    async def _record(self) -> None:
        """Leave the record in markers. Rows may come meanwhile: then a later record takes the place of this one."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self.driver.closed is None:
            self.driver.drain()
            await self.deliveries.leave()
        elif not self.deliveries.is_over:
            await self.deliveries.finish()
        if not self._fits_result():
            await self._write_markers()
        if not self._is_cancelled_natively():
            await self._ask_for_native_cancellation()
        self._recording = False

    async def _write_markers(self) -> None:
        last = self.driver.task.sort_key
        parts = chunks(self._pack(), CHUNK)
        for number, data in enumerate(parts):
            await local(RECORD, raw({"part": number, "parts": len(parts), "last": last, "data": data}))
            if number % 2:
                await workflow.sleep(timedelta(milliseconds=1), summary="the record is long")
        self._recorded = last

    async def _ask_for_native_cancellation(self) -> None:
        """Only a run that Temporal was asked to cancel can end as Canceled, and a request by itself does not ask it."""
        await local(CANCEL, raw("a request cancelled the task; its audit says whose, and why"))
        await workflow.wait_condition(lambda: workflow.cancellation_reason() is not None)

    def _end(self) -> Any:
        task = self.driver.task
        if task.state is State.CANCELLED:
            raise asyncio.CancelledError("the task was cancelled")
        result = outcome(task, self._pack() if self._fits_result() else None)
        if task.state is not State.ERROR:
            return raw(result)
        raise ApplicationError(views.failure_message(task), result, type="TaskFailed", non_retryable=True)

    def _continue_as_new(self) -> Any:
        task, info = self.driver.task, workflow.info()
        if not self.driver.fits_new_run():
            # The server would refuse the command again and again.
            message = "the results that steps still wait for are too large to be handed to a new run"
            raise ApplicationError(message, type="StateTooLarge", non_retryable=True)
        assert self._start is not None
        start = StartInput.later(task.template, snapshot(task), info.run_id, reopened=self._start.reopened)
        workflow.continue_as_new(args=[self._context, start.raw()])


def _with_starter(start: StartInput) -> StartInput:
    """Who started the task, as its memo says. Nobody can be asked to mend what is no actor or no reason."""
    actor, reason = workflow.memo_value(MEMO_ACTOR, start.actor), workflow.memo_value(MEMO_REASON, start.reason)
    if start.interpreter >= CLIPPED_FROM:
        actor = clipped(str(actor), ACTOR_LIMIT).strip() or start.actor
        reason = clipped(str(reason), REASON_LIMIT)
    return start.model_copy(update={"actor": actor, "reason": reason})


def beginning(id: str, start: StartInput, context: Content) -> Task:
    """The task as a run of it begins: new, or as the run before has left it."""
    if start.snapshot:
        task = restore(unpack(start.snapshot), context)
    else:
        task = Task(id, unpacked_template(start.template), context, bytes.fromhex(start.key))
        task.listed = start.listed
    task.interpreter = start.interpreter
    return task


def _from_json(said: bytes) -> Any:
    """What is no JSON is no start either."""
    try:
        return from_json(said)
    except ValueError:
        return None


def _as_raw(value: Any) -> RawValue:
    """The SDK decodes without types if another number of arguments comes than `run` has."""
    return value if isinstance(value, RawValue) else RawValue(workflow.payload_converter().to_payload(value))
