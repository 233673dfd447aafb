"""The doors of a running task: queries, updates and signals, and the workflow class that each template gets.

Handlers take one argument of any shape, because the SDK drops a signal silently if its argument does not decode.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal import requests, views
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Refused
from tasker_temporal.life import Life
from tasker_temporal.wire import raw


class TaskWorkflow:
    """One run of a task. A subclass of its own is generated for each template (`workflow_class`)."""

    def __init__(self, context: Any, start: Any) -> None:
        self._life = Life(context, start)

    async def live(self) -> Any:
        """The whole run."""
        return await self._life.live()

    @property
    def _engine(self) -> Engine | None:
        return self._life.driver.prepared

    @property
    def _ready(self) -> Engine:
        if self._engine is None:
            raise ApplicationError("the task is being prepared: ask again in a moment", type="NotReady")
        return self._engine

    def current_details(self) -> str:
        """The task as Markdown, for Temporal's UI."""
        return "being prepared" if self._engine is None else views.details(self._engine.task)

    @workflow.query(description="Where the task stands: states, counts, times, errors.")
    def report(self) -> Any:
        return raw(views.report(self._engine))

    @workflow.query(description='The audit of this run, by pages: {"after": sort_key, "limit": rows}.')
    def audit(self, page: Any = None) -> Any:
        return raw(views.audit(self._ready, page))

    @workflow.query(description="The steps and what each waits for, with their states.")
    def graph(self) -> Any:
        return raw(views.graph(self._ready))

    @workflow.query(description="What the task waits for, since when, until when, and what could be asked.")
    def waiting(self) -> Any:
        return raw(views.waiting(self._engine))

    @workflow.query(description='The rows that a request would write: {"request": "skip", "step": ..., ...}.')
    def plan(self, request: Any = None) -> Any:
        return raw(requests.plan(self._ready, request, workflow.now()))

    @workflow.query(description='The result of one step: "charge".')
    def result(self, step: Any = None) -> Any:
        return views.result(self._ready, step)

    @workflow.update(description='Cancel the task: {"actor": ..., "reason": ...}.')
    async def cancel(self, request: Any = None) -> Any:
        return await self._ask("cancel", request)

    @workflow.update(description='Go on without a step: {"step": ..., "actor": ..., "reason": ...}.')
    async def skip(self, request: Any = None) -> Any:
        return await self._ask("skip", request)

    @cancel.validator
    def _may_cancel(self, request: Any = None) -> None:
        self._check("cancel", request)

    @skip.validator
    def _may_skip(self, request: Any = None) -> None:
        self._check("skip", request)

    def _check(self, name: str, request: Any) -> None:
        asked = requests.parse(name, request)
        if self._life.has_begun:
            requests.check(self._ready, asked, workflow.now())

    async def _ask(self, name: str, request: Any) -> Any:
        driver = await self._life.begun()
        return raw(requests.ask(driver.engine, requests.parse(name, request), driver.feed))

    @workflow.signal(description='Any request, unanswered: {"request": "cancel", "actor": ..., "reason": ...}.')
    async def transition(self, request: Any = None, *extra: Any) -> None:
        """A signal that cannot be taken would stop the workflow task, so this one takes whatever comes."""
        driver = await self._life.begun()
        refused = requests.tell([request, *extra] if extra else request, driver.feed)
        if refused is not None:
            driver.feed(refused)

    @workflow.signal(dynamic=True, description="Whatever else is sent is noted in the audit.")
    async def unknown(self, name: str, args: Sequence[RawValue]) -> None:
        driver = await self._life.begun()
        driver.feed(Refused("no such signal", name=name[:100]))


ABSENT: Any = None
"""Temporal's UI starts a workflow with one argument, or with none."""


def workflow_class(name: str) -> type[TaskWorkflow]:
    """The workflow of one template: the same for all, under a workflow type of its own.

    So Temporal's UI, filters and metrics tell kinds of task apart.
    """

    async def run(self: TaskWorkflow, context: RawValue = ABSENT, start: RawValue = ABSENT) -> Any:
        return await self.live()

    def init(self: TaskWorkflow, context: RawValue = ABSENT, start: RawValue = ABSENT) -> None:
        TaskWorkflow.__init__(self, context, start)

    title = "".join(part.capitalize() for part in name.replace("-", "_").replace(".", "_").split("_")) + "Workflow"
    run.__qualname__, init.__qualname__ = f"{title}.run", f"{title}.__init__"
    init.__name__ = "__init__"
    # The SDK counts an annotated `self` as an argument, and then hands over decoded values instead of raw ones.
    del run.__annotations__["self"], init.__annotations__["self"]
    body = {"run": workflow.run(run), "__init__": workflow.init(init), "__module__": __name__, "__qualname__": title}
    return workflow.defn(name=name, sandboxed=False)(type(title, (TaskWorkflow,), body))
