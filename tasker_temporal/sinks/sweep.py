"""`tasker.sweep`: looks for runs that were terminated, timed out or broke down, which none of them can tell itself.

A Temporal schedule starts it. Each sweep goes on from the one before it, and looks once more at what could not be told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pydantic import Field
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from tasker_temporal.core.template import Frozen
from tasker_temporal.declare import TaskTemplate
from tasker_temporal.deliveries import FOR_EVER
from tasker_temporal.payloads import raw, read_raw
from tasker_temporal.sinks.untold import tell

SWEEP: Final = "tasker.sweep"

OVERLAP = timedelta(minutes=10)
"""How late visibility may know that a run was closed."""

SEEN: Final = 20_000
"""So many runs one sweep tells the next of, at most."""

AGAIN: Final = 1_000
"""So many runs that could not be told the next sweep tries again, at most."""

HANDLED: Final = 5_000
"""So many runs that it has looked at an attempt leaves to the next."""

HANDED_ON: Final = ("until", "looked", "seen", "again")
"""What of a sweep's result the next one needs. Workers of earlier releases know `since` and `seen` alone."""

LONGEST = timedelta(hours=1)
HEARTBEAT = timedelta(minutes=2)


class Closed(NamedTuple):
    """A run that may have told no end."""

    id: str
    run_id: str
    template: str


class Swept(Frozen):
    """What one sweep leaves to the next."""

    until: str | None = None
    """When it looked."""
    looked: Mapping[str, str] = Field(default_factory=dict)
    """When somebody last looked for tasks of each template: not every worker has all of them."""
    seen: tuple[str, ...] = ()
    """The runs that the next would find once more, and need not look at."""
    again: tuple[Closed, ...] = ()
    """The runs whose end could not be told."""
    told: tuple[str, ...] = ()
    """The ids of the tasks that sinks were told of."""
    unread: tuple[str, ...] = ()
    """The ids of the tasks whose end could not be told."""

    def since(self, template: str) -> str | None:
        """When tasks of this template were last looked for. Earlier releases looked for all at once."""
        return self.looked.get(template, None if self.looked else self.until)


@workflow.defn(name=SWEEP, sandboxed=False)
class Sweep:
    """Looks for what told no end since the last sweep of its schedule; the first looks at all that is kept.

    It returns a `Swept`.
    """

    @workflow.run
    async def run(self) -> RawValue:
        before = workflow.get_last_completion_result(RawValue)
        known = {} if before is None else read_raw(before)
        found: RawValue = await workflow.execute_activity(
            SWEEP,
            raw({"since": known.get("until")} | {name: known[name] for name in HANDED_ON if name in known}),
            result_type=RawValue,
            start_to_close_timeout=LONGEST,
            heartbeat_timeout=HEARTBEAT,
            retry_policy=FOR_EVER,
        )
        return found


def sweep_activity(templates: Mapping[str, TaskTemplate[Any]]) -> Callable[..., Any]:
    """The activity. It looks for tasks of the templates that its worker has."""

    @activity.defn(name=SWEEP)
    async def tasker_sweep(call: RawValue) -> RawValue:
        asked = read_raw(call)
        before = Swept.model_validate({name: asked[name] for name in Swept.model_fields if name in asked})
        swept = await Sweeping(activity.client(), templates, before).run()
        return raw(swept.model_dump(mode="json"))

    return tasker_sweep


class Sweeping:
    """One attempt of one sweep. It need not look at what an attempt before it has looked at."""

    def __init__(self, client: Client, templates: Mapping[str, TaskTemplate[Any]], before: Swept) -> None:
        self._client, self._templates, self._before = client, templates, before
        details = activity.info().heartbeat_details
        self._handled: list[str] = list(details[0]) if details else []
        self._known = {*before.seen, *self._handled}
        self._now = datetime.now(UTC)
        self._told: list[str] = []
        self._seen: list[str] = []
        self._again: dict[str, Closed] = {}

    async def run(self) -> Swept:
        """Look at every run."""
        async with self._beating():
            for run in self._before.again:
                await self._look(run)
            async for run, closed in self._listed():
                if await self._look(run) and closed is not None and closed >= self._now - OVERLAP:
                    self._seen.append(run.run_id)
        looked = {**self._before.looked, **dict.fromkeys(self._templates, self._now.isoformat())}
        again = list(self._again.values())
        if len(again) > AGAIN:
            activity.logger.error("the ends of %d runs cannot be told and are forgotten", len(again) - AGAIN)
        return Swept(
            until=self._now.isoformat(),
            looked=looked,
            seen=tuple(self._seen[:SEEN]),
            again=tuple(again[:AGAIN]),
            told=tuple(self._told),
            unread=tuple(dict.fromkeys(run.id for run in again)),
        )

    async def _look(self, run: Closed) -> bool:
        """False if its end cannot be told, now or ever."""
        if run.run_id in self._known or run.run_id in self._again:
            return run.run_id in self._known
        if run.template not in self._templates:
            self._again[run.run_id] = run
            return False
        try:
            if await tell(self._client, run.id, run.run_id, self._templates[run.template].compiled):
                self._told.append(run.id)
        except Exception as error:
            self._failed(run, error)
            return False
        self._known.add(run.run_id)
        self._handled.append(run.run_id)
        return True

    def _failed(self, run: Closed, error: Exception) -> None:
        """What the server does not keep any more nobody can tell."""
        if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
            activity.logger.warning("the end of task %r, run %r, is not kept any more", run.id, run.run_id)
            return
        activity.logger.error("the end of task %r, run %r, cannot be told", run.id, run.run_id, exc_info=error)
        self._again[run.run_id] = run

    async def _listed(self) -> AsyncIterator[tuple[Closed, datetime | None]]:
        """The runs that may have told no end, and when they were closed."""
        by_time: dict[str | None, list[str]] = {}
        for name in self._templates:
            by_time.setdefault(self._before.since(name), []).append(name)
        for since, names in by_time.items():
            async for run in self._client.list_workflows(_query(names, since)):
                yield Closed(run.id, run.run_id, run.workflow_type), run.close_time

    @asynccontextmanager
    async def _beating(self) -> AsyncIterator[None]:
        """Say that the worker lives, also while a long history is told again."""
        beating = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            activity.heartbeat(self._handled[-HANDLED:])
            await asyncio.sleep(HEARTBEAT.total_seconds() / 3)


def _query(templates: list[str], since: str | None) -> str:
    wanted = [
        "ExecutionStatus IN ('Terminated', 'TimedOut', 'Failed')",
        f"WorkflowType IN ({', '.join(map(repr, templates))})",
    ]
    if since is not None:
        wanted.append(f"CloseTime >= '{(datetime.fromisoformat(since) - OVERLAP).isoformat()}'")
    return " AND ".join(wanted)
