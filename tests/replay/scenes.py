"""The scenes that are recorded once and must replay for ever: each a template, and what happens to its task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal import (
    Approval,
    ApprovalNotice,
    FailedStep,
    Limits,
    Move,
    PermanentError,
    RequestRefused,
    Retry,
    RetryableError,
    Route,
    StepContext,
    TaskerPlugin,
    TaskFailed,
    TaskHandle,
    TaskTemplate,
    TaskType,
    failure_of,
    received,
    result_of,
    start_task,
    triggers,
)
from tasker_temporal.sinks import Sink, TaskEvent
from tests.shell.kit import Gate, until

SOON = timedelta(milliseconds=900)
"""A heartbeat timeout: the handler hears of its cancellation within a third of it."""

NO_DELAY = Retry(attempts=3, base_delay=timedelta(0), jitter="none")

BY: dict[str, Any] = {"actor": "ann", "reason": "the customer called"}


async def takes(events: Sequence[TaskEvent]) -> None: ...


async def refuses(events: Sequence[TaskEvent]) -> None:
    raise ConnectionError("nobody is there")


SINKS = {"well": takes, "down": refuses}


@dataclass
class Stage:
    """Where one scene is played: a queue of its own, and one task of a fixed id."""

    connect: Callable[..., Awaitable[Client]]
    template: TaskTemplate[Any]

    @property
    def id(self) -> str:
        return f"golden-{self.template.name.removeprefix('golden.')}"

    @asynccontextmanager
    async def working(self, template: TaskTemplate[Any] | None = None) -> AsyncIterator[None]:
        """A worker, with the scene's own template unless another is given."""
        client = await self.connect(plugins=[TaskerPlugin(template or self.template, sinks=SINKS)])
        async with Worker(client, task_queue=self.id, sticky_queue_schedule_to_start_timeout=SOON):
            yield

    async def start(self, context: Any = None) -> TaskHandle:
        client = await self.connect(plugins=[TaskerPlugin(self.template)])
        return await start_task(client, self.template, context, id=self.id, task_queue=self.id, actor="ann")

    async def start_bare(self, *arguments: Any) -> TaskHandle:
        """As Temporal's UI does it, or another language."""
        client = await self.connect(plugins=[TaskerPlugin(self.template)])
        await client.start_workflow(self.template.name, args=arguments, id=self.id, task_queue=self.id)
        return TaskHandle(client, self.id)


@dataclass
class Scene:
    """`play` brings the task of `template` so far that it ends by itself."""

    template: TaskTemplate[Any]
    play: Callable[[Stage], Awaitable[Any]]

    @property
    def name(self) -> str:
        return self.template.name.removeprefix("golden.")


async def nothing() -> None: ...


def completed() -> Scene:
    """A diamond, one side of which is tried twice."""
    template = TaskTemplate("golden.completed", version="1.0.0")

    @template.step
    async def top(number: Any) -> int:
        return int(number)

    @template.step(retry=Retry(attempts=2, base_delay=timedelta(milliseconds=50), max_delay=timedelta(seconds=0.05)))
    async def left(ctx: StepContext, number: int = result_of(top)) -> int:
        if ctx.attempt == 1:
            raise RetryableError("not yet")
        return number + 1

    @template.step
    async def right(number: int = result_of(top)) -> int:
        return number + 2

    @template.step
    def bottom(one: int = result_of(left), two: int = result_of(right)) -> int:
        return one + two

    return Scene(template, lambda stage: stage.start(1))


def failed() -> Scene:
    """One step fails for good, another goes on, a third never begins."""
    template = TaskTemplate("golden.failed")

    @template.step(retry=NO_DELAY)
    async def breaks(ctx: StepContext) -> None:
        raise RetryableError("again") if ctx.attempt == 1 else PermanentError("never")

    template.add_step("goes_on", nothing)
    template.add_step("waits", nothing, after=[breaks])
    return Scene(template, lambda stage: stage.start())


def _stoppable(name: str, stop: Callable[[TaskHandle], Awaitable[Any]]) -> Scene:
    gate = Gate()
    template = TaskTemplate(f"golden.{name}")
    first = template.add_step("first", nothing)
    runs = template.add_step("runs", gate.passage, after=[first], heartbeat_timeout=SOON)
    template.add_step("waits", nothing, after=[runs])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await stop(task)

    return Scene(template, play)


def cancelled_by_request() -> Scene:
    return _stoppable("cancelled_by_request", lambda task: task.cancel(**BY))


def cancelled_natively() -> Scene:
    return _stoppable("cancelled_natively", lambda task: task.workflow.cancel(reason="too late"))


def continued_as_new() -> Scene:
    """The first run drains and leaves a step that backs off, a request and a pending step to the second."""
    gate = Gate()
    template = TaskTemplate("golden.continued_as_new", limits=Limits(drain_events=12))
    slow = Retry(attempts=2, base_delay=timedelta(seconds=1), max_delay=timedelta(seconds=1), jitter="none")

    @template.step
    async def first(number: Any) -> int:
        await gate.passage()
        return int(number)

    @template.step(retry=slow)
    async def backs_off(ctx: StepContext) -> None:
        if ctx.attempt == 1:
            raise RetryableError("not yet")

    @template.step
    async def second(number: int = result_of(first)) -> int:
        return number + 1

    template.add_step("skipped", nothing, after=[first])

    async def play(stage: Stage) -> None:
        task = await stage.start(1)
        await asyncio.gather(gate.reached.wait(), until(task, "TIMER_STARTED"))
        await task.skip("skipped", **BY, request_id="request-1")
        gate.open()

    return Scene(template, play)


class Order(BaseModel):
    customer: str


def bare_start() -> Scene:
    """Started without the library's client, so that a worker prepares it."""
    template = TaskTemplate("golden.bare_start", context=Order)

    @template.step
    async def greet(order: Order) -> str:
        return f"hello {order.customer}"

    return Scene(template, lambda stage: stage.start_bare({"customer": "ann"}))


def invalid_context() -> Scene:
    template = TaskTemplate("golden.invalid_context", context=Order)
    template.add_step("never", nothing)
    return Scene(template, lambda stage: stage.start_bare({"customer": 7}))


def skipped() -> Scene:
    """What requires the result of a skipped step is skipped, what can do without it is not."""
    gate = Gate()
    template = TaskTemplate("golden.skipped")
    runs = template.add_step("runs", gate.passage)

    @template.step(after=[runs])
    async def skipped() -> int:
        return 1

    @template.step
    async def requires(number: int = result_of(skipped)) -> int:
        return number

    @template.step(after=[runs])
    async def accepts(number: int | None = result_of(skipped)) -> str:
        return str(number)

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.skip("skipped", **BY, request_id="request-1")
        gate.open()

    return Scene(template, play)


def deadline() -> Scene:
    """It passes while the step waits for its next attempt."""
    template = TaskTemplate("golden.deadline")
    retry = Retry(attempts=5, base_delay=timedelta(hours=1), max_delay=timedelta(hours=1), jitter="none")

    @template.step(retry=retry, deadline=timedelta(milliseconds=300))
    async def late() -> None:
        raise RetryableError("not yet")

    return Scene(template, lambda stage: stage.start())


def missing_handler() -> Scene:
    """A release brings the handler later."""
    template, older = TaskTemplate("golden.missing_handler"), TaskTemplate("golden.missing_handler")
    template.add_step("new", nothing)
    older.add_step("old", nothing)

    async def play(stage: Stage) -> None:
        task = await stage.start()
        async with stage.working(older):
            await until(task, "TIMER_STARTED")

    return Scene(template, play)


def fan_out() -> Scene:
    """A hundred steps through a window of sixty-four."""
    template = TaskTemplate("golden.fan_out")

    @template.step
    async def split() -> int:
        return 100

    async def part(number: int = result_of(split)) -> int:
        return number

    parts = [template.add_step(f"part_{number}", part) for number in range(100)]
    template.add_step("join", nothing, after=parts)
    return Scene(template, lambda stage: stage.start())


def refused() -> Scene:
    """Signals that cannot be taken are rows, updates that cannot be taken are nothing."""
    gate = Gate()
    template = TaskTemplate("golden.refused")
    template.add_step("runs", gate.passage)

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.workflow.signal("transition", {"request": "skip", "step": "runs", **BY})
        await task.workflow.signal("transition", args=[1, 2])
        await task.workflow.signal("stranger", {"any": "thing"})
        await refused_update(task)
        gate.open()

    return Scene(template, play)


def asked_twice() -> Scene:
    """Requests come again under their ids, and others come under them, over two runs."""
    gate, later = Gate(), Gate()
    template = TaskTemplate("golden.asked_twice", limits=Limits(drain_events=40))
    runs = template.add_step("runs", gate.passage)
    goes_on = template.add_step("goes_on", later.passage, after=[runs])
    for name in ("first", "second"):
        template.add_step(name, nothing, after=[goes_on])

    async def again(task: TaskHandle) -> None:
        skip, complete = {"request": "skip", "request_id": "one"}, {"request": "complete_step", "request_id": "two"}
        for asked in (skip | {"step": "first"}, skip | {"step": "second"}):
            await task.workflow.signal("transition", {**asked, **BY})
        for result in (None, None, 7):
            await task.workflow.signal("transition", {**complete, "step": "second", "result": result, **BY})

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await again(task)
        await until(task, "MARKER_RECORDED")
        for number in range(8):
            await task.workflow.signal("noise", number)
        gate.open()
        await later.reached.wait()
        await again(task)
        later.open()

    return Scene(template, play)


async def refused_update(task: TaskHandle) -> None:
    try:
        await task.skip("runs", **BY, request_id="request-1")
    except RequestRefused:
        return
    raise AssertionError("it was not refused")


def late_outcome() -> Scene:
    """A handler that is told to stop at its deadline ends when its step has failed already."""
    stubborn, other = Gate(), Gate()
    template = TaskTemplate("golden.late_outcome")

    @template.step(deadline=timedelta(milliseconds=300), heartbeat_timeout=SOON)
    async def stays() -> str:
        try:
            await stubborn.passage()
        except asyncio.CancelledError:
            return "at last"
        return "never"

    quick = template.add_step("quick", nothing)
    template.add_step("outlives", other.passage, after=[quick])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await asyncio.gather(other.reached.wait(), until(task, "ACTIVITY_TASK_COMPLETED", 2))
        other.open()

    return Scene(template, play)


def stepped_in() -> Scene:
    """A held task, with every request that a person can make of it, one after the other."""
    template = TaskTemplate("golden.stepped_in", on_error="hold")

    @template.step
    async def first() -> int:
        return 1

    @template.step(retry=NO_DELAY)
    async def gateway(number: int = result_of(first)) -> int:
        raise PermanentError("closed")

    gate = Gate()
    template.add_step("last", gate.passage, after=[gateway])
    template.add_step("later", nothing, after=[gateway])
    template.add_step("latest", nothing, after=[gateway])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        await task.change_step("gateway", attempts=2, config={"url": "spare"}, **BY)
        await task.retry_step("gateway", fresh=True, **BY)
        await until(task, "ACTIVITY_TASK_FAILED", 2)
        await task.settled()
        await task.retry(**BY)
        await until(task, "ACTIVITY_TASK_FAILED", 3)
        await task.settled()
        await task.resolve_step("later", **BY)
        await task.complete_step("latest", None, **BY)
        await task.complete_step("gateway", 7, **BY)
        await gate.reached.wait()
        await task.pause(**BY)
        await task.resume(**BY)
        await task.retry_from("latest", **BY)
        gate.open()

    return Scene(template, play)


def resolved() -> Scene:
    template = TaskTemplate("golden.resolved", on_error="hold")

    @template.step
    async def gateway() -> int:
        raise PermanentError("closed")

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        await task.resolve(**BY)

    return Scene(template, play)


def hold_ended() -> Scene:
    template = TaskTemplate("golden.hold_ended", on_error="hold", hold_for=timedelta(milliseconds=200))

    @template.step
    async def gateway() -> int:
        raise PermanentError("closed")

    return Scene(template, lambda stage: stage.start())


def reopened() -> Scene:
    """The run failed, the gateway was mended, and somebody retried the task."""
    template, down = TaskTemplate("golden.reopened"), [True]

    @template.step
    async def gateway() -> int:
        if down:
            raise PermanentError("closed")
        return 1

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        with suppress(TaskFailed):
            await task.result()
        down.clear()
        await task.retry(**BY)

    return Scene(template, play)


def reopened_twice() -> Scene:
    """The second run takes the first one's place, so that nobody reopens that once more."""
    template, down = TaskTemplate("golden.reopened_twice"), [True]

    @template.step
    async def gateway() -> int:
        if down:
            raise PermanentError("closed")
        return 1

    async def play(stage: Stage) -> None:
        task = await stage.start()
        with suppress(TaskFailed):
            await task.result()
        await task.retry(**BY)
        with suppress(TaskFailed):
            await task.result()
        down.clear()
        await task.retry(**BY)

    return Scene(template, play)


class Verdict(BaseModel):
    limit: int


def approved() -> Scene:
    """A vote comes early, one is taken back, two decide; then people approve the task itself."""
    template = TaskTemplate(
        "golden.approved", type="critical", approval=Approval(approvers=("ann", "boss")), notify=lambda told: None
    )
    gate = Gate()

    @template.step
    async def prepare() -> int:
        await gate.passage()
        return 1

    review = template.approval(
        "review",
        form=Verdict,
        after=[prepare],
        approvers=["bob", "cid", "dan"],
        quorum=2,
        deadline=timedelta(hours=1),
        notify=lambda told: None,
    )

    @template.step
    async def pay(verdict: Verdict = result_of(review)) -> int:
        return verdict.limit

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.approve(review, Verdict(limit=5), actor="bob", reason="early")
        await task.approve(review, Verdict(limit=6), actor="cid", reason="a mistake")
        await task.withdraw(review, actor="cid", reason="a mistake")
        gate.open()
        await until(task, "TIMER_STARTED")
        await task.approve(review, Verdict(limit=7), actor="dan", reason="fine")
        await until_noted(task, "task.approval_requested")
        await task.approve(approval="task#1", actor="boss", reason="fine")

    return Scene(template, play)


def escalated() -> Scene:
    """Nobody decides in time, the notifier is broken, and the boss rejects."""
    template = TaskTemplate("golden.escalated")

    def broken(told: ApprovalNotice) -> None:
        raise PermanentError("no route to the mail server")

    review = template.approval(
        "review",
        approvers=["bob"],
        deadline=timedelta(milliseconds=300),
        on_deadline="escalate",
        escalate_to=["boss"],
        notify=broken,
    )

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await until_noted(task, "approval.escalated")
        await task.reject(review, actor="boss", reason="too late")

    return Scene(template, play)


def moved() -> Scene:
    """A task of a declared type, which somebody moves to its end."""
    audited = TaskType(
        name="audited",
        states=("under_audit",),
        rows=(
            Move(source="in_progress", to="under_audit"),
            Move(source="under_audit", to="complete", by="request"),
        ),
    )
    template = TaskTemplate("golden.moved", type=audited)

    @template.step
    async def only() -> int:
        return 1

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await until_noted(task, "task.moved")
        await task.move("complete", **BY)

    return Scene(template, play)


class Captured(BaseModel):
    order: str
    amount: int


def triggered() -> Scene:
    """A failure is handled, a branch is taken, a condition is false, time passes, and events come early and late."""
    template = TaskTemplate(
        "golden.triggered",
        routes=[Route(name="any", when="context == null", mode="high_priority", fairness_key="gold")],
    )
    captured, noted = template.event("payment.captured", Captured), template.event("note.added")
    gate = Gate()

    @template.step(retry=Retry(attempts=1))
    async def charge() -> int:
        raise PermanentError("declined")

    @template.step(on=triggers.failed(charge))
    async def refund(why: FailedStep = failure_of(charge)) -> str:
        await gate.passage()
        return why.type

    @template.decision(branches=["gold", "plain"], after=[refund])
    async def plan() -> str:
        return "gold"

    @template.step(on=triggers.chosen(plan, "gold"), when="result.plan == 'gold'")
    async def welcome() -> int:
        return 1

    @template.step(on=triggers.chosen(plan, "gold"), when="result.plan == 'plain'")
    async def never() -> None: ...

    payment = template.wait_for("payment", received(captured, match="event.order == 'o-1'"), after=[refund])
    note = template.wait_for("note", received(noted), after=[payment])

    @template.step(on=triggers.all_of(triggers.completed(note), triggers.elapsed(timedelta(milliseconds=200))))
    async def ship(paid: Captured = result_of(payment)) -> int:
        return paid.amount

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await gate.reached.wait()
        await task.send_event(captured, Captured(order="o-2", amount=5))
        await task.send_event(captured, Captured(order="o-1", amount=7), id="p-1")
        await task.workflow.signal("payment.captured", {"order": 7})
        await task.workflow.signal("note.added", "fragile")
        gate.open()

    return Scene(template, play)


async def until_noted(task: TaskHandle, event: str) -> None:
    """Wait for a row of that event, by long poll."""
    async for _ in task.workflow.fetch_history_events(wait_new_event=True):
        if event in [row.event for row in await task.audit()]:
            return


def listed() -> Scene:
    """Search attributes tell of a pause, a hold with its failed step, an approval, and the end of each."""
    template = TaskTemplate("golden.listed", on_error="hold")
    down = [True]

    @template.step
    async def gateway() -> int:
        if down:
            raise PermanentError("closed")
        return 1

    template.approval("sign", after=[gateway], approvers=["bob"])

    async def play(stage: Stage) -> None:
        task = await stage.start()
        await task.settled()
        down.clear()
        await task.retry(**BY)
        await until(task, "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", 3)
        await task.pause(**BY)
        await task.resume(**BY)
        await task.approve("sign", actor="bob", reason="it is fine")

    return Scene(template, play)


def told() -> Scene:
    """Two sinks: one takes batch after batch, over two runs; what the other never took is left to another workflow."""
    sinks = Sink(name="well", batch=5), Sink(name="down", events=("task.*",), grace=timedelta(seconds=1))
    template = TaskTemplate("golden.told", sinks=sinks, limits=Limits(drain_events=14))

    async def nothing() -> None: ...

    before = template.add_step("first", nothing)
    for name in ("second", "third", "fourth"):
        before = template.add_step(name, nothing, after=[before])

    async def play(stage: Stage) -> None:
        await stage.start()

    return Scene(template, play)


def heard() -> Scene:
    """A sink names events that are no rows: one takes them over two runs, what another never took is left behind."""
    events = "task.*", "step.max_retries_reached", "workflow.step_completed"
    sinks = Sink(name="well", batch=3, events=events), Sink(name="down", events=events, grace=timedelta(seconds=1))
    template = TaskTemplate("golden.heard", sinks=sinks, limits=Limits(drain_events=14))

    async def nothing() -> None: ...

    async def breaks() -> None:
        raise ValueError("it broke")

    before = template.add_step("first", nothing)
    for name in ("second", "third"):
        before = template.add_step(name, nothing, after=[before])
    template.add_step("breaks", breaks, retry=Retry(attempts=1), after=[before])

    async def play(stage: Stage) -> None:
        await stage.start()

    return Scene(template, play)


SCENES = {
    scene.name: scene
    for scene in (
        completed(),
        failed(),
        cancelled_by_request(),
        cancelled_natively(),
        continued_as_new(),
        bare_start(),
        invalid_context(),
        skipped(),
        deadline(),
        missing_handler(),
        fan_out(),
        refused(),
        asked_twice(),
        late_outcome(),
        stepped_in(),
        resolved(),
        hold_ended(),
        reopened(),
        reopened_twice(),
        approved(),
        escalated(),
        moved(),
        listed(),
        triggered(),
        told(),
        heard(),
    )
}
