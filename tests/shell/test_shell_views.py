"""What a task shows of itself while it runs: to queries, to Temporal's command, and in Temporal's UI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowQueryFailedError

from tasker_temporal import Limits, Retry, State, TaskCancelled, TaskHandle, TaskTemplate, result_of, start_task
from tasker_temporal.dev import DevServer
from tasker_temporal.requests import KINDS
from tasker_temporal.views import attempt_summary
from tests.patience import until_history
from tests.server.conftest import Connect, replayed, worker
from tests.shell.kit import Gate, history, temporal

HOUR = timedelta(hours=1)
LATER = Retry(attempts=2, base_delay=HOUR, max_delay=HOUR, jitter="none")


def shop(gate: Gate) -> TaskTemplate[Any]:
    """`find` is quick, `pick` waits at the gate, `pay` fails and waits an hour; `pack` and `ship` wait for them."""
    template = TaskTemplate("views.shop", version="2.1.0")

    @template.step
    async def find(order: Any) -> str:
        return f"{order}, found"

    @template.step
    async def pick(found: str = result_of(find)) -> str:
        await gate.passage()
        return f"{found}, picked"

    @template.step(retry=LATER)
    async def pay(order: Any) -> None:
        raise ConnectionError("the bank | is closed")

    @template.step
    async def pack(picked: str = result_of(pick)) -> str:
        return f"{picked}, packed"

    @template.step(after=[pack, pay])
    async def ship() -> None: ...

    return template


@pytest.fixture
async def task(client: Connect, cache: int) -> AsyncIterator[TaskHandle]:
    """A task of `shop` in which everything waits for something."""
    gate = Gate()
    template = shop(gate)
    connected = await client(template)
    async with worker(connected, max_cached_workflows=cache) as running:
        started = await start_task(connected, template, "tea", task_queue=running.task_queue, actor="ann")
        await asyncio.gather(gate.reached.wait(), until_history(started, "TIMER_STARTED"))
        yield started
        await replayed(started, template)
        await started.workflow.terminate()


async def query(task: TaskHandle, name: str, *arguments: Any) -> Any:
    """As anybody asks who has no library: plain JSON in, plain JSON out."""
    return await task.workflow.query(name, args=arguments, result_type=dict if name != "waiting" else list)


async def metadata(task: TaskHandle) -> WorkflowMetadata:
    found: WorkflowMetadata = await task.workflow.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return found


# Queries.


async def test_the_report_tells_states_counts_and_errors(task: TaskHandle) -> None:
    report = await task.report()
    assert (report.template, report.version, report.state) == ("views.shop", "2.1.0", State.IN_PROGRESS)
    assert report.counts == {"total": 5, "pending": 2, "in_progress": 1, "complete": 1, "error": 1}
    assert (report.completion_percentage, report.health_status) == (20.0, "recovering")
    pay = report.steps["pay"]
    assert pay.last_error is not None
    assert (pay.last_error.type, pay.last_error.message) == ("ConnectionError", "the bank | is closed")
    assert pay.ended_at is None
    assert report.steps["ship"].waits_for == ("pack", "pay")


async def test_the_graph_tells_what_each_step_waits_for(task: TaskHandle) -> None:
    graph = await query(task, "graph")
    assert {name: step["after"] for name, step in graph["steps"].items()} == {
        "find": [],
        "pick": ["find"],
        "pay": [],
        "pack": ["pick"],
        "ship": ["pack", "pay"],
    }
    states = [step["state"] for step in graph["steps"].values()]
    assert states == ["complete", "in_progress", "error", "pending", "pending"]


async def test_waiting_tells_of_each_step_what_for_and_what_could_be_asked(task: TaskHandle) -> None:
    lines = {line["step"]: line for line in await task.waiting()}
    assert {step: (line["kind"], line["could"]) for step, line in lines.items()} == {
        "pick": ("execution", ["complete_step"]),
        "pay": ("backoff", ["skip", "retry_step", "resolve_step", "complete_step", "change_step"]),
        "pack": ("dependency", ["skip", "resolve_step", "complete_step", "change_step"]),
        "ship": ("dependency", ["skip", "resolve_step", "complete_step", "change_step"]),
    }
    assert lines["pay"]["what"] == "attempt 2 of 2, after ConnectionError: the bank | is closed"
    assert lines["ship"]["what"] == "these steps to be over: pack, pay"


async def test_waiting_tells_since_when_and_until_when(task: TaskHandle) -> None:
    lines = {line["step"]: line for line in await task.waiting()}
    report = await task.report()
    assert datetime.fromisoformat(lines["pick"]["since"]) == report.steps["pick"].started_at
    begun, until = report.steps["pay"].started_at, datetime.fromisoformat(lines["pay"]["until"])
    assert begun is not None
    assert HOUR < until - begun < HOUR + timedelta(minutes=1)
    assert report.steps["pay"].next_attempt_at == until


async def test_a_result_is_answered_as_the_handler_gave_it(task: TaskHandle) -> None:
    assert await task.workflow.query("result", "find") == "tea, found"
    assert await task.result_of("find") == "tea, found"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("pick", "step 'pick' is in_progress: it has no result"),
        ("wrap", "there is no step 'wrap'; there are find, pick, pay, pack, ship"),
        (["find"], r"there is no step \['find'\]"),
    ],
)
async def test_a_result_that_is_not_there_is_an_answer_too(task: TaskHandle, step: Any, message: str) -> None:
    with pytest.raises(WorkflowQueryFailedError, match=message):
        await task.workflow.query("result", step)


async def test_the_audit_is_read_in_pages_without_gap(task: TaskHandle) -> None:
    rows: list[Any] = []
    before: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = await query(task, "audit", {"after": after, "limit": 4})
        assert len(page["rows"]) <= 4
        rows += page["rows"]
        before.append(page["before"])
        after = page["next"]
    assert rows == [row.plain() for row in await task.audit()]
    assert [row["sort_key"] for row in rows] == list(range(1, len(rows) + 1))
    assert before == [before[0]] * len(before)


@pytest.mark.parametrize("page", [None, "all", 7, [], {"after": 99999}, {"limit": 0}, {"limit": 10**9}])
async def test_a_page_of_any_shape_is_answered(task: TaskHandle, page: Any) -> None:
    answer = await query(task, "audit", page)
    assert {"before", "rows", "next"} == set(answer)


# Temporal's UI.


async def test_the_current_details_are_a_table_of_the_steps(task: TaskHandle) -> None:
    head, _, *lines = (await metadata(task)).current_details.splitlines()
    assert head == "**in_progress** · 20 % of 5 steps · recovering"
    cells = [[cell.strip() for cell in line.strip("|").replace("\\|", "¦").split("|")] for line in lines]
    assert cells[0] == ["step", "state", "attempt", "since", "note"]
    assert [row[:3] for row in cells[2:]] == [
        ["find", "✓ complete", "1"],
        ["pick", "▶ in_progress", "1"],
        ["pay", "✗ error", "1"],
        ["pack", "· pending", ""],
        ["ship", "· pending", ""],
    ]
    assert cells[4][4].startswith("ConnectionError: the bank ¦ is closed next attempt at ")
    assert cells[6][4] == "waits for pack, pay"


async def test_temporals_command_shows_the_same_details_and_each_door_with_its_description(
    server: DevServer, task: TaskHandle
) -> None:
    answer = await temporal(server, "workflow", "metadata", "--workflow-id", task.id)
    [found] = answer["queryResult"]
    assert found["currentDetails"].startswith("**in_progress** · 20 % of 5 steps")
    described = {
        kind: {door.get("name"): bool(door.get("description")) for door in found["definition"][f"{kind}Definitions"]}
        for kind in ("query", "update", "signal")
    }
    assert described["update"] == dict.fromkeys(KINDS, True)
    assert described["signal"]["transition"]
    ours = {"audit", "graph", "plan", "report", "result", "waiting"}
    assert {name for name, said in described["query"].items() if said} == ours


async def summary(task: TaskHandle, event: HistoryEvent) -> str:
    [text] = await task.client.data_converter.decode([event.user_metadata.summary], [str])
    assert isinstance(text, str)
    return text


async def test_activities_and_timers_say_what_they_are(task: TaskHandle) -> None:
    events = await history(task)
    activities = [e for e in events if e.HasField("activity_task_scheduled_event_attributes")]
    names = [e.activity_task_scheduled_event_attributes.activity_type.name for e in activities]
    assert sorted(names) == ["views.shop.find", "views.shop.pay", "views.shop.pick"]
    assert not any(e.user_metadata.HasField("summary") for e in activities)
    [timer] = [e for e in events if e.HasField("timer_started_event_attributes")]
    assert await summary(task, timer) == "pay · backoff"


def test_an_activity_says_which_attempt_it_is_from_the_second_on() -> None:
    assert [attempt_summary(attempt, 3) for attempt in (1, 2, 3)] == [None, "attempt 2/3", "attempt 3/3"]


async def test_the_call_stack_names_what_runs(task: TaskHandle) -> None:
    stack = await task.workflow.query("__stack_trace", result_type=str)
    assert "timer: backoff:pay:1" in stack


async def test_the_run_is_called_by_its_template_and_version(task: TaskHandle) -> None:
    described = await task.workflow.describe()
    assert described.workflow_type == "views.shop"
    assert await described.static_summary() == "views.shop 2.1.0"


# Other things that are waited for.


async def test_a_missing_handler_is_waited_for_by_name(client: Connect) -> None:
    template = TaskTemplate("views.parted")

    @template.step
    async def absent() -> str:
        return "here now"

    other = TaskTemplate("views.parted")
    connected, without = await client(template), await client(other)
    async with worker(without) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        timer = await until_history(task, "TIMER_STARTED")
        [line] = await task.waiting()
        assert (line["kind"], line["step"]) == ("handler", "absent")
        assert line["what"] == "a worker that has the handler 'views.parted.absent'"
        assert line["could"] == ["complete_step"]
        assert line["since"] < line["until"]
        assert await summary(task, timer) == "absent · waiting for a worker with its handler"
    async with worker(connected, task_queue=running.task_queue):
        report = await task.result()
        assert (report.steps["absent"].attempt, report.steps["absent"].execution) == (1, 2)
    await replayed(task, template)


async def test_a_cancellation_is_waited_for_with_its_author_and_its_grace(client: Connect) -> None:
    gate, stopped = Gate(), asyncio.Event()
    template = TaskTemplate("views.stubborn", cancel_grace=HOUR)

    @template.step(heartbeat_timeout=timedelta(seconds=1))
    async def stubborn() -> str:
        try:
            await gate.passage()
        except asyncio.CancelledError:
            stopped.set()
            await gate.opened.wait()
            raise
        return "never"

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        await task.cancel(actor="ann", reason="too late")
        whole, line = await task.waiting()
        assert (whole["kind"], whole.get("step")) == ("cancellation", None)
        assert whole["what"] == "'ann' cancelled it; 1 running steps are being stopped"
        assert timedelta(minutes=59) < datetime.fromisoformat(whole["until"]) - datetime.fromisoformat(line["since"])
        assert (line["kind"], line["step"], line.get("could", [])) == ("execution", "stubborn", [])
        assert (await task.report()).cancelling
        await stopped.wait()
        gate.open()
        with pytest.raises(TaskCancelled):
            await task.result()
    assert not (await task.report()).cancelling
    assert await task.waiting() == []
    await replayed(task, template)


async def test_what_does_not_fit_the_window_waits_for_a_place(client: Connect) -> None:
    gate = Gate()
    template = TaskTemplate("views.narrow", limits=Limits(in_flight=1))

    @template.step
    async def first() -> None:
        await gate.passage()

    @template.step
    async def second() -> None: ...

    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        assert [(line["kind"], line["step"]) for line in await task.waiting()] == [
            ("execution", "first"),
            ("window", "second"),
        ]
        gate.open()
        await task.result()
    await replayed(task, template)


async def test_of_many_steps_the_details_show_forty_that_say_most(client: Connect) -> None:
    gate = Gate()
    template = TaskTemplate("views.wide", limits=Limits(in_flight=1))

    async def quick() -> None: ...

    for number in range(30):
        template.add_step(f"quick_{number}", quick)
    template.add_step("slow", gate.passage)
    for number in range(30):
        template.add_step(f"later_{number}", quick)
    connected = await client(template)
    async with worker(connected) as running:
        task = await start_task(connected, template, None, task_queue=running.task_queue)
        await gate.reached.wait()
        details = (await metadata(task)).current_details
        shown = [line.split("|")[1].strip() for line in details.splitlines()[4:44]]
        assert shown == ["slow", *(f"later_{n}" for n in range(30)), *(f"quick_{n}" for n in range(9))]
        assert details.endswith("\n\n… and 21 more")
        gate.open()
        await task.result()
    await replayed(task, template)
