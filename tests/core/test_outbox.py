"""What a sink is still to get: numbered by the rows alone, forgotten only when acknowledged, kept by every snapshot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasker_temporal.core import outbox
from tasker_temporal.core.announcements import Announcement, Entry, entry_of
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.messages import Content, Published, StepSucceeded
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.outbox import ANNOUNCED, TELLABLE, Outbox, fits
from tasker_temporal.core.requests import CancelTask
from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.task import Task
from tasker_temporal.core.template import Sink
from tasker_temporal.core.waiting import waiting
from tasker_temporal.errors import RequestRefused
from tests.core.driving import BEGIN, ONCE, Drive, started, step, template
from tests.core.scenes import SCENES, Scene

ALL, STEPS = Sink(name="all"), Sink(name="steps", events=("step.*",), batch=2)


def task_of(*sinks: Sink) -> Task:
    """A task whose only step has completed."""
    drive = Drive(template(step("a"), sinks=sinks))
    drive.start()
    drive.succeed("a")
    return drive.task


def box_of(task: Task, name: str) -> Outbox:
    box = task.outboxes[name]
    box.collect(task.rows, task.said, task.announced)
    return box


def again(task: Task) -> Task:
    return restore(json.loads(json.dumps(snapshot(task))), task.context)


def batch(box: Outbox) -> list[Entry]:
    rows = box.batch()
    assert isinstance(rows, list)
    return rows


@pytest.mark.parametrize(
    ("patterns", "event", "fit"),
    [
        (("*",), "task.completed", True),
        (("task.*",), "task.completed", True),
        (("task.*",), "step.completed", False),
        (("step.failed", "task.failed"), "task.failed", True),
        (("STEP.FAILED",), "step.failed", False),
        ((), "step.failed", False),
        (("*", "step.*", "step.max_*"), "step.max_retries_reached", False),
        (("step.max_retries_reached",), "step.max_retries_reached", True),
    ],
)
def test_patterns_fit_the_names_of_events(patterns: tuple[str, ...], event: str, fit: bool) -> None:
    assert fits(patterns, event) is fit


def test_a_sink_can_get_every_event_but_those_that_repeat_a_move() -> None:
    assert {"step.failed", "task.terminated", "task.timed_out", "task.aborted"} <= set(TELLABLE) - ANNOUNCED
    assert {"step.max_retries_reached", "workflow.viable_steps_discovered"} <= ANNOUNCED <= set(TELLABLE)
    around = {f"{entity}.{when}_transition" for entity in ("task", "step") for when in ("before", "after")}
    assert set(EVENTS) - set(TELLABLE) == around


def test_rows_are_taken_up_once_and_those_that_fit_are_kept() -> None:
    task = task_of(ALL, STEPS)
    assert box_of(task, "all").rows == box_of(task, "all").rows == task.rows
    assert box_of(task, "steps").rows == [row for row in task.rows if row.event.startswith("step.")]
    assert (box_of(task, "steps").next, box_of(task, "steps").count) == (1, 3)


def test_a_batch_is_no_larger_than_its_sink_says_and_only_what_arrived_is_forgotten() -> None:
    box = box_of(task_of(STEPS), "steps")
    events = [row.event for row in box.rows]
    assert [row.event for row in batch(box)] == events[:2]
    assert [row.event for row in batch(box)] == events[:2]
    box.acknowledge(2)
    assert ([row.event for row in batch(box)], box.told, box.next) == (events[2:], 2, 3)
    box.acknowledge(1)
    assert (batch(box), box.count) == ([], 0)


def test_a_batch_is_no_larger_than_a_payload_but_one_row_always_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    box = box_of(task_of(ALL), "all")
    monkeypatch.setattr(outbox, "BATCH_BYTES", 1)
    assert batch(box) == box.rows[:1]
    monkeypatch.setattr(outbox, "BATCH_BYTES", 900)
    assert 1 < len(batch(box)) < len(box.rows)


def test_a_snapshot_carries_what_was_not_acknowledged() -> None:
    task = task_of(ALL, STEPS)
    box_of(task, "all").acknowledge(4)
    later = again(task)
    assert later.outboxes["all"].rows == task.rows[4:]
    assert (later.outboxes["all"].told, later.outboxes["all"].backlog) == (4, 0)
    assert later.outboxes["steps"].rest() == [(1, box_of(task, "steps").rows)]
    drive = Drive(later.template, task=later)
    later.outboxes["all"].collect(drive.task.rows, {}, [])
    assert later.outboxes["all"].rows == task.rows[4:]


def test_what_is_too_much_for_a_snapshot_is_left_to_the_written_records(monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(ALL)
    box_of(task, "all").acknowledge(1)
    monkeypatch.setattr(outbox, "CARRIED_BYTES", 1)
    assert task.outboxes["all"].rest() == [(2, len(task.rows) - 1)]
    box = again(task).outboxes["all"]
    assert (box.told, box.backlog, box.rows) == (1, len(task.rows) - 1, [])
    assert (box.batch(), box.rest()) == (box.backlog, [(2, box.backlog)])


def test_a_backlog_is_sent_before_the_rows_that_follow_it() -> None:
    task = task_of(ALL)
    box = Outbox.of(ALL, {"told": 3, "backlog": 5})
    box.collect(task.rows, task.said, task.announced)
    assert box.batch() == 5
    assert box.rest() == [(4, 5), (9, task.rows)]
    box.acknowledge(2)
    assert (box.told, box.batch(), box.rest()) == (5, 3, [(6, 3), (9, task.rows)])
    box.acknowledge(3)
    assert (box.told, box.batch()) == (8, task.rows)


def test_a_task_without_sinks_says_nothing_of_them() -> None:
    assert "outboxes" not in snapshot(task_of())
    assert "sinks" not in snapshot(task_of())["template"]


def test_a_sink_that_is_being_told_is_waited_for_also_when_the_task_is_over() -> None:
    open_task = started(step("a"), sinks=(ALL,)).task
    assert [line.kind for line in waiting(open_task)] == ["execution"]
    task = task_of(ALL)
    assert waiting(task) == ()
    box_of(task, "all").sent_at = BEGIN
    line = waiting(task)[0]
    assert (line.kind, line.since) == ("sink", BEGIN)
    assert line.what == f"sink 'all' to take {len(task.rows)} rows, from its number 1 on"


@pytest.mark.parametrize("names", [["a", "a"], ["not a name"], ["a" * 101]])
def test_sinks_have_names_of_their_own(names: list[str]) -> None:
    sinks: Any = [Sink(name=name) for name in names]
    flow = template(step("a")).model_dump() | {"sinks": sinks}
    found = mistakes(type(template(step("a"))).model_validate(flow))
    assert len(found) == 1
    assert "expected an identifier as its name, and one sink of each name" in found[0]


def test_a_pattern_that_fits_nothing_is_found() -> None:
    sink = Sink(name="a", events=("task.*", "step.faild", "error.*", "error.task_blocked", "step.after_transition"))
    assert outbox.idle_patterns(sink) == ["step.faild", "error.*", "step.after_transition"]


def test_what_an_event_says_goes_with_its_row_as_long_as_the_row_is_kept() -> None:
    task = task_of(ALL, Sink(name="quiet", contents=False))
    said = {task.rows[2].sort_key: '"hello"', task.rows[4].sort_key: '"again"'}
    box, quiet = task.outboxes["all"], task.outboxes["quiet"]
    box.collect(task.rows, said, [])
    quiet.collect(task.rows, said, [])
    assert (box.contents, quiet.contents) == (said, {})
    assert again(task).outboxes["all"].contents == said
    box.acknowledge(3)
    assert box.contents == {task.rows[4].sort_key: '"again"'}


def test_what_is_said_counts_for_the_size_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(ALL)
    box = task.outboxes["all"]
    box.collect(task.rows, {task.rows[1].sort_key: "x" * 10_000}, [])
    monkeypatch.setattr(outbox, "BATCH_BYTES", 9_000)
    assert batch(box) == task.rows[:1]


def test_what_a_handler_published_is_kept_for_sinks_and_for_nobody_else() -> None:
    said = []
    for sinks in [(), (ALL,)]:
        drive = started(step("a"), sinks=sinks)
        drive.tell(StepSucceeded("a", drive.running.pop("a"), Content(b"1"), (Published("order.priced", "7"),)))
        said.append(drive.task.said)
        assert drive.row("order.priced", "a").metadata["size"] == 1
    assert said == [{}, {drive.row("order.priced", "a").sort_key: "7"}]


def test_where_nobody_knows_a_templates_own_events_only_the_librarys_are_judged() -> None:
    sink = Sink(name="a", events=("order.priced", "step.faild", "task.*", "*"))
    assert outbox.idle_patterns(sink, None) == ["step.faild"]
    assert outbox.idle_patterns(sink, ["order.priced"]) == ["step.faild"]
    assert outbox.idle_patterns(sink) == ["order.priced", "step.faild"]


# Events that are no rows.

NAMED = Sink(name="named", events=("task.*", "step.failed", "step.max_retries_reached", "workflow.no_viable_steps"))


def failed_task(*sinks: Sink) -> Task:
    """A task whose only step has used up its attempts."""
    drive = Drive(template(step("a", retry=ONCE), sinks=sinks))
    drive.start()
    drive.fail("a")
    return drive.task


def test_a_sink_that_names_an_event_that_is_no_row_gets_it_between_the_rows_that_it_was_said_between() -> None:
    task = failed_task(NAMED)
    box = box_of(task, "named")
    assert [entry.event for entry in box.rows[-4:]] == [
        "step.failed",
        "step.max_retries_reached",
        "workflow.no_viable_steps",
        "task.failed",
    ]
    used_up, stuck = (entry for entry in box.rows if isinstance(entry, Announcement))
    row = next(row for row in task.rows if row.event == "step.failed")
    assert (used_up.sort_key, used_up.place, used_up.digest) == (row.sort_key, 1, row.digest)
    assert (stuck.sort_key, stuck.place, stuck.cause) == (row.sort_key, 2, row.sort_key)
    assert dict(used_up.payload) == {"task_id": "task-1", "step": "a", "attempts": 1}


def test_a_sink_that_names_rows_alone_and_a_task_without_sinks_keep_nothing_that_is_no_row() -> None:
    assert failed_task(ALL).announced == failed_task().announced == []
    task = failed_task(ALL, NAMED)
    assert box_of(task, "all").rows == task.rows
    assert len(task.announced) == 2


def test_what_was_announced_goes_with_a_snapshot_and_comes_in_its_order() -> None:
    task = failed_task(NAMED)
    box_of(task, "named").acknowledge(3)
    later = again(task).outboxes["named"]
    assert [list(entry) for entry in later.rows] == [list(entry) for entry in task.outboxes["named"].rows]
    assert [type(entry) for entry in later.rows] == [type(entry) for entry in task.outboxes["named"].rows]
    assert (later.told, later.heard) == (3, 0)


def test_an_entry_is_read_as_what_it_was_written_as() -> None:
    for entry in box_of(failed_task(NAMED), "named").rows:
        assert entry_of(list(entry)) == entry


def test_what_is_refused_or_only_planned_announces_nothing() -> None:
    drive = started(step("a"), step("b", "a"), sinks=(NAMED,))
    with pytest.raises(RequestRefused):
        drive.skip("a")
    before = list(drive.task.announced)
    drive.engine.plan(CancelTask(actor="ann", reason="r"), drive.now)
    assert drive.task.announced == before
    drive.skip("b")
    assert [said.event for said in drive.task.announced[len(before) :]] == ["workflow.no_viable_steps"]


def test_an_announcement_does_not_take_what_the_row_before_it_says() -> None:
    task = failed_task(NAMED, Sink(name="said", events=("step.failed", "step.max_retries_reached")))
    key = next(row.sort_key for row in task.rows if row.event == "step.failed")
    box = task.outboxes["said"]
    box.collect(task.rows, {key: "7"}, task.announced)
    assert [box.content(entry) for entry in box.rows] == ["7", None]
    box.acknowledge(1)
    box.acknowledge(1)
    assert (box.contents, box.rows) == ({}, [])


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_what_is_announced_stands_behind_a_row_of_its_own_message(scene: Scene) -> None:
    """A record is written anew when a row was: so it never lacks an announcement."""
    for run in scene.driven().runs:
        for length, events in run.messages:
            assert length or not [event for event in events if event.name in ANNOUNCED]
