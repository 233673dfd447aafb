"""What is over can be read and verified when no worker lives, by a client that knows no template."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import pytest
import pytest_asyncio

from tasker_temporal import (
    Limits,
    PermanentError,
    Row,
    State,
    StepContext,
    TaskHandle,
    TaskReport,
    TaskTemplate,
    result_of,
    start_task,
)
from tasker_temporal.errors import RecordError, TaskEnded
from tests.server.conftest import Connect, replayed, worker

QUEUE = "records"
ENDS = {
    "completed": State.COMPLETE,
    "failed": State.ERROR,
    "cancelled": State.CANCELLED,
    "continued": State.COMPLETE,
}


def declared(name: str, limits: Limits) -> TaskTemplate[str]:
    """Four steps in a row; the task's context says how it ends."""
    template = TaskTemplate(f"records.{name}", context=str, limits=limits)

    @template.step
    async def scan(how: str, step: StepContext) -> int:
        return len(step.task_id)

    @template.step(after=[scan])
    async def look(how: str) -> None:
        """On the way."""

    @template.step(after=[look])
    async def think(how: str) -> None:
        """Still on the way."""

    @template.step(after=[think])
    async def act(how: str, step: StepContext, length: int = result_of(scan)) -> str:
        if how == "failed":
            raise PermanentError("no such act")
        return f"{how} after {length}"

    return template


short = declared("short", Limits())
drained = declared("drained", Limits(drain_events=10))
TEMPLATES = {"completed": short, "failed": short, "cancelled": short, "continued": drained}


class Over(NamedTuple):
    """A task that is over, and what was told of it while a worker lived."""

    report: TaskReport
    audit: list[Row]


async def live(handle: TaskHandle) -> Over:
    try:
        report = await handle.result()
    except TaskEnded as error:
        report = error.report
    return Over(report, await handle.audit())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(client: Connect) -> AsyncIterator[Mapping[str, Over]]:
    """By the kind of end. When a test sees it, no worker lives any more."""
    connected = await client(short, drained)
    handles = {
        how: await start_task(connected, template, how, id=f"records-{how}", task_queue=QUEUE)
        for how, template in TEMPLATES.items()
    }
    await handles["cancelled"].workflow.cancel(reason="enough")
    async with worker(connected, task_queue=QUEUE):
        found = {how: await live(handle) for how, handle in handles.items()}
    yield found
    for how, handle in handles.items():
        await replayed(handle, TEMPLATES[how])


@pytest.mark.parametrize("how", ENDS)
async def test_the_report_is_read_without_a_worker(client: Connect, told: Mapping[str, Over], how: str) -> None:
    report = await TaskHandle(await client(), f"records-{how}").report()
    assert report.state is ENDS[how]
    assert report == told[how].report


@pytest.mark.parametrize("how", ENDS)
async def test_the_audit_is_read_without_a_worker(client: Connect, told: Mapping[str, Over], how: str) -> None:
    audit = await TaskHandle(await client(), f"records-{how}").audit()
    assert audit[-1].to_state == ENDS[how]
    assert audit == told[how].audit


async def test_the_audit_of_a_continued_task_spans_its_runs(told: Mapping[str, Over]) -> None:
    events = [row.event for row in told["continued"].audit]
    assert "workflow.run_continued" in events


@pytest.mark.parametrize("how", ["completed", "continued"])
async def test_a_result_is_read_without_a_worker(client: Connect, told: Mapping[str, Over], how: str) -> None:
    handle = TaskHandle(await client(), f"records-{how}")
    scan, *_, act = TEMPLATES[how].declared
    assert await handle.result_of(scan) == len(handle.id)
    assert await handle.result_of(act) == f"{how} after {len(handle.id)}"


async def test_a_step_that_failed_has_no_result(client: Connect, told: Mapping[str, Over]) -> None:
    with pytest.raises(RecordError, match=r"'act' .* is error: it has no result"):
        await TaskHandle(await client(), "records-failed").result_of("act")
