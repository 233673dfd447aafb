"""The doors of a running task: queries, updates and signals, and the workflow class that each template gets.

Handlers take one argument of any shape, because the SDK drops a signal silently if its argument does not decode. What
no converter can decode comes as a `RawValue` (`undecodable`).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal import requests, views
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Refused
from tasker_temporal.core.requests import Ask
from tasker_temporal.identity import HEADERS, Claim
from tasker_temporal.inquiries import checked, identified
from tasker_temporal.life import Ear, Life
from tasker_temporal.payloads import raw, read_raw


class TaskWorkflow:
    """One run of a task. A subclass of its own is generated for each template (`workflow_class`)."""

    def __init__(self, context: Any, start: Any, *others: Any) -> None:
        self._life = Life(context, start, *others)

    def listen(self, ear: Ear) -> None:
        """Let somebody hear every event of the task. Call it before the run begins."""
        self._life.listen(ear)

    async def live(self) -> Any:
        """The whole run."""
        return await self._life.live()

    @property
    def engine(self) -> Engine | None:
        """What moves the task; None while it is being prepared."""
        return self._life.driver.prepared

    @property
    def _ready(self) -> Engine:
        if self.engine is None:
            raise ApplicationError("the task is being prepared: ask again in a moment", type="NotReady")
        return self.engine

    def current_details(self) -> str:
        """The task as Markdown, for Temporal's UI."""
        return "being prepared" if self.engine is None else views.details(self.engine.task)

    @workflow.query(description="Where the task stands: states, counts, times, errors.")
    def report(self) -> Any:
        return raw(views.report(self.engine))

    @workflow.query(description='The audit of this run, by pages: {"after": sort_key, "limit": rows}.')
    def audit(self, page: Any = None) -> Any:
        return raw(views.audit(self._ready, page))

    @workflow.query(description="The steps and what each waits for, with their states.")
    def graph(self) -> Any:
        return raw(views.graph(self._ready))

    @workflow.query(description="What the task waits for, since when, until when, and what could be asked.")
    def waiting(self) -> Any:
        return raw(views.waiting(self.engine))

    @workflow.query(description='The rows that a request would write: {"request": "skip", "step": ..., ...}.')
    def plan(self, request: Any = None) -> Any:
        return raw(requests.plan(self._ready, request, workflow.now()))

    @workflow.query(description='The result of one step: "charge".')
    def result(self, step: Any = None) -> Any:
        return views.result(self._ready, step)

    def check(self, name: str, request: Any) -> None:
        """Refuse the request now, if it would be refused: that costs no event."""
        asked = self._claimed(requests.parse(name, request))
        requests.require_small(request)
        if self._life.has_begun:
            requests.check(self._ready, asked, workflow.now())

    def _claimed(self, asked: Ask) -> Ask:
        """Taken at its word: whether its header holds can only be found out once it is accepted."""
        try:
            claim = Claim.of(HEADERS.get({}))
        except ValueError:
            return asked
        return asked if claim is None else asked.verified(claim.identity)

    async def ask(self, name: str, request: Any) -> Any:
        """Apply the request, and say what it did."""
        driver = await self._life.begun()
        asked = await identified(requests.parse(name, request), name, request)
        asked = await checked(asked, driver.engine)
        return raw(requests.ask(driver.engine, asked, driver.feed))

    @workflow.signal(description='Any request, unanswered: {"request": "cancel", "actor": ..., "reason": ...}.')
    async def transition(self, request: Any = None, *extra: Any) -> None:
        """A signal that cannot be taken would stop the workflow task, so this one takes whatever comes."""
        await self._take(None, [request, *extra] if extra else request, ("transition", request))

    @workflow.signal(name="send_event", description='An event: {"name": ..., "payload": ..., "id": ...}.')
    async def take_event(self, event: Any = None, *extra: Any) -> None:
        await self._take("send_event", [event, *extra] if extra else event, ("send_event", event))

    @workflow.signal(dynamic=True, description="An event of this name, with its payload; all else is only noted.")
    async def signalled(self, name: str, args: Sequence[RawValue]) -> None:
        driver = await self._life.begun()
        if name not in [event.name for event in driver.task.template.events]:
            driver.feed(Refused("no such signal", name=name[:100]))
            return
        try:
            payload = read_raw(args[0]) if args else None
        except (ValueError, RecursionError):
            driver.feed(Refused("its payload is not JSON", name=name))
            return
        await self._take("send_event", {"name": name, "payload": payload}, (name, payload))

    async def _take(self, name: str | None, plain: Any, signed: tuple[Any, ...]) -> None:
        """Apply what came by signal; nobody can be told of a refusal, so it becomes a row.

        Args:
            signed: What whoever sent it has signed, if anybody did: the signal's name, and its argument.
        """
        driver = await self._life.begun()
        strict = driver.task.interpreter > 2
        try:
            asked = requests.parse(name, plain)
            requests.require_small(plain, most=requests.CONTENT_LIMIT if strict else sys.maxsize)
        except ApplicationError as error:
            driver.feed(Refused(error.message))
            return
        try:
            asked = await checked(await identified(asked, *signed), driver.engine)
        except ApplicationError as error:
            driver.feed(requests.unheard(error, asked) if strict else Refused(error.message))
            return
        if (refused := requests.told(asked, driver.feed)) is not None:
            driver.feed(refused)


def _update(name: str, kind: type[Ask]) -> Any:
    """The update of one request, refused by its validator if it can be."""

    async def update(self: TaskWorkflow, request: Any = None) -> Any:
        return await self.ask(name, request)

    def validator(self: TaskWorkflow, request: Any = None) -> None:
        self.check(name, request)

    fields = ", ".join(f'"{field}": ...' for field in kind.model_fields if field not in ("request", "request_id"))
    update.__name__, update.__qualname__ = name, f"TaskWorkflow.{name}"
    del update.__annotations__["self"], validator.__annotations__["self"]
    declared = workflow.update(name=name, description=f"{(kind.__doc__ or name).splitlines()[0]} {{{fields}}}")(update)
    declared.validator(validator)
    return declared


UPDATES = {name: _update(name, kind) for name, kind in requests.KINDS.items()}


def _without_others(function: Callable[..., Any]) -> inspect.Signature:
    known = inspect.signature(function)
    return known.replace(parameters=[p for p in known.parameters.values() if p.kind is not p.VAR_POSITIONAL])


ABSENT: Any = None
"""Temporal's UI starts a workflow with one argument, or with none."""


def workflow_class(name: str) -> type[TaskWorkflow]:
    """The workflow of one template: the same for all, under a workflow type of its own.

    So Temporal's UI, filters and metrics tell kinds of task apart.
    """

    async def run(self: TaskWorkflow, context: RawValue = ABSENT, start: RawValue = ABSENT, *others: Any) -> Any:
        return await self.live()

    def init(self: TaskWorkflow, context: RawValue = ABSENT, start: RawValue = ABSENT, *others: Any) -> None:
        TaskWorkflow.__init__(self, context, start, *others)

    title = "".join(part.capitalize() for part in name.replace("-", "_").replace(".", "_").split("_")) + "Workflow"
    run.__qualname__, init.__qualname__ = f"{title}.run", f"{title}.__init__"
    init.__name__ = "__init__"
    # The SDK counts an annotated `self` as an argument, and then hands over decoded values instead of raw ones.
    del run.__annotations__["self"], init.__annotations__["self"]
    for function in (run, init):
        # It hands over undecoded values only where it can count the arguments, and calls with whatever came.
        vars(function)["__signature__"] = _without_others(function)
    body = {"run": workflow.run(run), "__init__": workflow.init(init), "__module__": __name__, "__qualname__": title}
    body |= UPDATES
    return workflow.defn(name=name, sandboxed=False)(type(title, (TaskWorkflow,), body))
