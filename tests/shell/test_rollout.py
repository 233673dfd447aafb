"""While an installation is upgraded, old and new releases read one another's starts, snapshots and calls."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue

from tasker_temporal import TaskHandle, TaskTemplate, wire
from tasker_temporal.core.messages import Content
from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.task import INTERPRETER, Task
from tasker_temporal.errors import NewerRelease, RetellingFailed
from tasker_temporal.life import beginning
from tasker_temporal.payloads import pack, raw, read_raw
from tasker_temporal.retelling import retold
from tasker_temporal.wire import FORMAT, Prepared, StartInput, StepCall
from tests.patience import until_history
from tests.server.conftest import Connect, worker

KEY = bytes(32)


def bread() -> TaskTemplate[Any]:
    template = TaskTemplate("rollout.bread")

    @template.step
    def bake() -> str:
        return "bread"

    return template


def start() -> dict[str, Any]:
    return {**read_raw(StartInput.first(bread().compiled, KEY, "ann").raw()), "actor": "ann"}


NEWER: list[tuple[Mapping[str, Any], str]] = [
    ({"interpreter": INTERPRETER + 1}, f"its interpreter is {INTERPRETER + 1}, and {INTERPRETER} is the last known"),
    ({"format": FORMAT + 1}, f"its format is {FORMAT + 1}, and {FORMAT} is the last known"),
    ({"format": FORMAT + 1, "colour": "red"}, f"its format is {FORMAT + 1}, and {FORMAT} is the last known"),
]


def arguments(client: Client, **more: Any) -> list[RawValue]:
    return [RawValue(client.data_converter.payload_converter.to_payload(None)), raw({**start(), **more})]


async def test_a_start_of_a_newer_release_waits_for_a_worker_of_it(
    client: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is upgraded as soon as it has failed once: later the server would leave it time."""
    read, newer = StartInput.read, INTERPRETER + 1

    def read_once(plain: Any) -> StartInput:
        try:
            return read(plain)
        finally:
            monkeypatch.setattr(wire, "INTERPRETER", newer)

    connected = await client(bread())
    queue, id = f"queue-{uuid.uuid4()}", f"bread-{uuid.uuid4()}"
    given = arguments(connected, interpreter=newer)
    await connected.start_workflow("rollout.bread", args=given, id=id, task_queue=queue)
    task, why = TaskHandle(connected, id), f"its interpreter is {newer}, and {INTERPRETER} is the last known"
    said = f"the task's start was written by a newer release of tasker_temporal: {why}; upgrade what reads it"
    with pytest.raises(RetellingFailed, match=re.escape(said)):
        await retold(connected, id)
    with pytest.raises(NewerRelease, match=re.escape(said)):
        await task.audit()
    with monkeypatch.context() as patched:
        patched.setattr(StartInput, "read", read_once)
        async with worker(connected, task_queue=queue):
            failed = await until_history(task, "WORKFLOW_TASK_FAILED")
            assert failed.workflow_task_failed_event_attributes.failure.message == said
            assert (await task.result()).state == "complete"


async def test_a_start_with_a_misspelled_field_fails_at_once(client: Connect) -> None:
    connected = await client(bread())
    async with worker(connected) as running:
        with pytest.raises(WorkflowFailureError) as caught:
            await connected.execute_workflow(
                "rollout.bread",
                args=arguments(connected, acter=3),
                id=f"bread-{uuid.uuid4()}",
                task_queue=running.task_queue,
            )
    assert str(caught.value.cause) == (
        "StartInvalid: the workflow's second argument is the library's own, and this is none: "
        "it has no option 'acter'; did you mean 'actor'?"
    )


@pytest.mark.parametrize(("newer", "why"), NEWER, ids=["interpreter", "format", "field"])
def test_whoever_reads_a_newer_start_is_told_in_one_line(newer: Mapping[str, Any], why: str) -> None:
    plain = {**start(), **newer}
    for read in (lambda: StartInput.read(plain), lambda: Prepared.read({"start": plain, "context_digest": ""})):
        with pytest.raises(NewerRelease) as caught:
            read()
        assert str(caught.value).endswith(f": {why}; upgrade what reads it")


def test_what_is_no_start_is_none() -> None:
    wrong: Any
    for wrong in (None, [], "x", {}, {**start(), "colour": "red"}, {**start(), "format": "2"[:0]}):
        with pytest.raises(ValidationError):
            StartInput.read(wrong)


def test_a_template_of_a_newer_release_is_told_in_one_line() -> None:
    plain = bread().compiled.plain
    for newer, why in [
        ({"colour": "red"}, "it has no option 'colour': expected one of name, version"),
        ({"mode": "random"}, "its mode is 'random': expected 'concurrent', 'sequential_only' or 'high_priority'"),
    ]:
        begun = StartInput.read({**start(), "template": pack({**plain, **newer})})
        with pytest.raises(NewerRelease) as caught:
            beginning("bread-1", begun, Content(b"null"))
        said = str(caught.value)
        assert said.startswith(f"the task's template was written by a newer release of tasker_temporal: {why}")
        assert "\n" not in said


SNAPSHOTS: list[tuple[dict[str, Any], str]] = [
    ({"interpreter": INTERPRETER + 1}, f"its interpreter is {INTERPRETER + 1}, and {INTERPRETER} is the last known"),
    ({"compensating": True}, "it has compensating, which nobody here knows"),
    ({"steps": {"bake": {"compensated": 1}}}, "it has compensated, which nobody here knows"),
]


@pytest.mark.parametrize(("newer", "why"), SNAPSHOTS, ids=[why for _, why in SNAPSHOTS])
def test_a_snapshot_of_a_newer_release_loses_nothing_in_silence(newer: dict[str, Any], why: str) -> None:
    plain = json.loads(json.dumps(snapshot(Task("bread-1", bread().compiled, Content(b"null"), KEY))))
    assert restore(plain, Content(b"null")).id == "bread-1"
    with pytest.raises(NewerRelease) as caught:
        restore({**plain, **newer}, Content(b"null"))
    said = f"the task's snapshot was written by a newer release of tasker_temporal: {why}; upgrade what reads it"
    assert str(caught.value) == said


def test_a_handlers_worker_passes_over_what_it_need_not_know() -> None:
    assert StepCall.read(raw({"arguments": ["x"], "colour": "red"})) == StepCall(arguments=("x",))
    assert StepCall.read({"arguments": [], "colour": "red"}) == StepCall()
