"""What holds for any graph with any triggers, whatever happens to it, at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tasker_temporal.core.answers import due_clocks, handles
from tasker_temporal.core.joins import answer, is_unjudged
from tasker_temporal.core.machine import State
from tasker_temporal.core.requests import ResumeTask, SendEvent
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.rows import verify
from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.template import Argument, Limits, StepTemplate, Template
from tasker_temporal.core.triggers import events_of
from tasker_temporal.core.waiting import waiting
from tests.core.driving import Drive, chain_start, dump, essence, restored, seconds, template
from tests.core.test_properties import Wanderer, legal, requests

MODEST = settings(max_examples=40, derandomize=True, deadline=None, database=None)

EVENTS = ("paid", "noted")
CONDITIONS = ("", "", "", "context.n == 1", "context.n == 2", "context.missing")


def leaves(names: list[str], decisions: list[str]) -> st.SearchStrategy[Any]:
    found: list[Any] = [{word: name} for word in ("completed", "failed", "ended", "skipped") for name in names]
    found += [{"elapsed": 2}, {"elapsed": 30}, {"received": "paid"}]
    found += [{"received": "noted", "match": "event == context.n"}]
    found += [{"chosen": name, "branch": branch} for name in decisions for branch in "xy"]
    return st.sampled_from(found)


def groups(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def group(word: str, parts: list[Any]) -> Any:
        return {"at_least": max(1, len(parts) - 1), "of": parts} if word == "at_least" else {word: parts}

    return st.builds(group, st.sampled_from(["all_of", "any_of", "at_least"]), st.lists(inner, min_size=1, max_size=3))


@st.composite
def steps(draw: st.DrawFn, index: int, decisions: list[str]) -> StepTemplate:
    names = [f"s{other}" for other in range(index)]
    kind = draw(st.sampled_from(["handler", "handler", "handler", "event", "decision"]))
    options: dict[str, Any] = {"when": draw(st.sampled_from(CONDITIONS)), "name": f"s{index}"}
    options["after"] = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if names else ()
    if kind == "event":
        options |= {"awaits": "event", "on": {"received": draw(st.sampled_from(EVENTS))}}
        options |= {"deadline": draw(st.sampled_from([None, seconds(9)]))}
        return StepTemplate(**options, on_deadline=draw(st.sampled_from(["fail", "skip"])))
    triggered = draw(st.booleans())
    if names and triggered:
        options["on"] = draw(st.recursive(leaves(names, decisions), groups, max_leaves=4))
    taken = [name for name in names if draw(st.booleans())]
    arguments = [Argument(name=f"of_{name}", step=name, optional=draw(st.integers(0, 1)) == 0) for name in taken]
    options["branches"] = ("x", "y") if kind == "decision" else ()
    return StepTemplate(**options, arguments=tuple(arguments), retry=Retry(attempts=draw(st.integers(1, 2))))


@st.composite
def flows(draw: st.DrawFn) -> Template:
    made: list[StepTemplate] = []
    for index in range(draw(st.integers(1, 6))):
        made.append(draw(steps(index, [known.name for known in made if known.branches])))
    flow = template(
        *made,
        events=[{"name": name} for name in EVENTS],
        on_failure=draw(st.sampled_from(["continue", "stop"])),
        on_error=draw(st.sampled_from(["fail", "hold"])),
        mode=draw(st.sampled_from(["concurrent", "concurrent", "sequential_only"])),
        limits=Limits(in_flight=draw(st.sampled_from([1, 64])), bytes_in_flight=draw(st.sampled_from([60, 2_000_000]))),
    )
    assert unsound(flow) == []
    return flow


choices = st.lists(st.integers(0, 1000), max_size=25)


class Listener(Wanderer):
    """A wanderer whom events reach, and who decides."""

    def __init__(self, flow: Template) -> None:
        self.drive = Drive(flow, context=b'{"n": 1}')
        self.drive.start()

    def moves(self) -> Iterator[Callable[[], object]]:
        drive = self.drive
        for name in drive.running:
            if drive.task.steps[name].template.branches:
                yield partial(drive.succeed, name, data=b'"x"')
                yield partial(drive.succeed, name, data=b'["x", "y"]')
        if drive.task.is_open and drive.task.cancelling is None:
            for name, payload in (("paid", 1), ("noted", 1), ("noted", 2)):
                yield partial(drive.tell, SendEvent(name=name, payload=payload))
        yield from super().moves()

    def settle(self) -> Drive:
        """Let all succeed that runs, and all time pass, as long as there is any."""
        drive = self.drive
        if drive.task.state is State.PAUSED and drive.task.cancelling is None:
            drive.ask(ResumeTask)
        while drive.closed is None and (drive.running or drive.timers):
            if drive.running:
                name = next(iter(drive.running))
                drive.succeed(name, data=b'"x"' if drive.task.steps[name].template.branches else b'"fine"')
            else:
                drive.fire(min(drive.timers.values(), key=lambda timer: (timer.due, timer.id)))
        return drive


@MODEST
@given(flows(), choices)
def test_the_task_ends_or_waits_for_something_that_it_names(flow: Template, chosen: Sequence[int]) -> None:
    listener = Listener(flow)
    for drive in listener.roam(chosen):
        assert bool(waiting(drive.task)) == drive.task.is_open
        assert all(line.what and not line.what.endswith(": ") for line in waiting(drive.task))
    drive = listener.settle()
    if drive.closed is not None:
        return
    assert drive.task.draining or "event" in {line.kind for line in waiting(drive.task)}
    for line in waiting(drive.task):
        if line.kind == "event" and line.step is not None:
            assert events_of(drive.task.steps[line.step].template.on)


@MODEST
@given(flows(), choices)
def test_a_task_whose_events_all_come_ends(flow: Template, chosen: Sequence[int]) -> None:
    listener = Listener(flow)
    *_, drive = listener.roam(chosen)
    for _ in range(2 * len(flow.steps) + 2):
        drive = listener.settle()
        if drive.closed is not None:
            break
        if drive.task.draining:
            listener.drive = drive.continued()
            continue
        for name in EVENTS:
            if drive.closed is None:
                drive.tell(SendEvent(name=name, payload=1))
    assert drive.closed is not None


@MODEST
@given(flows(), choices)
def test_the_sums_are_those_of_the_steps(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Listener(flow).roam(chosen):
        task, found = drive.task, list(drive.task.steps.values())
        failed = [step for step in found if step.state is State.ERROR]
        running = [step for step in found if step.is_in_flight]
        assert task.handled == sum(step.handled is not None for step in failed)
        assert task.exhausted == sum(step.final is not None and step.handled is None for step in failed)
        assert not any(step.handled is not None for step in found if step.state is not State.ERROR)
        assert task.expecting == sum(step.expects for step in found)
        assert not any(step.expects for step in found if step.state is not State.PENDING)
        assert (task.in_flight, task.bytes_in_flight) == (len(running), sum(step.size for step in running))
        assert task.in_flight <= task.window
        assert task.timers == drive.timers | drive.overdue
        for step in found:
            pending = step.state is State.PENDING
            assert not step.viable or (pending and answer(step) == "yes")
            assert step.viable or not pending or answer(step) != "yes" or is_unjudged(step)
            assert not is_unjudged(step) or step.name in task.unjudged


@MODEST
@given(flows(), choices)
def test_a_running_task_has_the_timers_that_its_triggers_need(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Listener(flow).roam(chosen):
        if drive.task.state is State.IN_PROGRESS and drive.task.cancelling is None:
            needed = {timer: due for step in drive.task.steps.values() for timer, due in due_clocks(step).items()}
            assert {timer.id: timer.due for timer in drive.task.timers.values() if timer.kind == "elapsed"} == needed


@MODEST
@given(flows(), choices)
def test_a_snapshot_at_any_moment_loses_nothing(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Listener(flow).roam(chosen):
        found, known = essence(restored(drive.task)), essence(drive.task)
        for name, step in found.pop("steps").items():
            assert step == known["steps"][name], name
        assert found == {key: value for key, value in known.items() if key != "steps"}


@MODEST
@given(flows(), choices)
def test_a_plan_leaves_no_trace_and_a_refusal_is_foreseen(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Listener(flow).roam(chosen):
        before = dump(drive.task)
        for request in legal(drive):
            assert drive.engine.plan(request, drive.now)
        assert dump(drive.task) == before


@MODEST
@given(flows(), choices)
def test_a_step_that_begins_leaves_no_failure_that_it_handles_unhandled(flow: Template, chosen: Sequence[int]) -> None:
    for drive in Listener(flow).roam(chosen):
        begun = {row.step for row in drive.rows if row.event == "step.execution_requested" and row.at == drive.task.at}
        for name in begun - {None}:
            step = drive.task.steps[str(name)]
            assert step.state is not State.IN_PROGRESS or step.attempt > 1 or handles(drive.task, step) == ()


@MODEST
@given(flows(), choices)
def test_the_audit_is_whole(flow: Template, chosen: Sequence[int]) -> None:
    *_, drive = Listener(flow).roam(chosen)
    rows = [row for run in drive.runs for row in run.rows]
    assert verify(rows, chain_start(drive.task)) == drive.task.head


def test_requests_are_drawn_for_every_step() -> None:
    drive = Listener(template(StepTemplate(name="a"), events=[{"name": "paid"}, {"name": "noted"}])).drive
    assert len(requests(drive)) > 7
