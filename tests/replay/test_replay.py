"""What ran under an earlier release is told by today's code as it was written then, command by command, row by row."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tasker_temporal import TaskerPlugin
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.events import RowWritten
from tests.replay import shelf
from tests.replay.scenes import SCENES
from tests.replay.shelf import Recording

ROOT = Path(__file__).parents[2]


every_recording = pytest.mark.parametrize("recording", shelf.recordings(), ids=str)


@every_recording
async def test_todays_code_tells_a_scene_with_the_same_commands_and_the_same_rows(recording: Recording) -> None:
    assert await shelf.told_again(recording) == await shelf.read_back(recording)


@every_recording
async def test_a_scene_reads_back_as_the_rows_beside_it(recording: Recording) -> None:
    rows = [shelf.line(row) for row in await shelf.read_back(recording)]
    assert rows == json.loads(recording.rows_file.read_text())


@every_recording
def test_a_recording_stands_under_the_number_of_its_interpreter(recording: Recording) -> None:
    """A run that goes on keeps it, and so does one that a worker prepares."""
    for history in recording.histories():
        known = [found["interpreter"] for text in texts(json.loads(history.to_json())) if (found := begun(text))]
        assert set(known) == {recording.interpreter}


def begun(text: str) -> Any:
    """What a run was begun with, if the text says it."""
    found = opened(text)
    if isinstance(found, dict) and "start" in found:
        found = found["start"]
    return found if isinstance(found, dict) and "template_name" in found else None


@pytest.mark.parametrize("seed", ["0", "1", "2"])
async def test_no_order_depends_on_the_seed_of_hashes(seed: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.replay.shelf"),
        cwd=ROOT,
        env={"PYTHONHASHSEED": seed},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert len(said.splitlines()) == len(shelf.recordings())


def test_every_event_that_is_a_row_stands_in_a_scene() -> None:
    told = {line[1] for recording in shelf.recordings() for line in json.loads(recording.rows_file.read_text())}
    assert told == {name for name in EVENTS if issubclass(EVENTS.payload(name), RowWritten)}


def test_there_is_a_history_for_every_scene_and_no_other() -> None:
    names = {path.name.split(".")[0] for path in shelf.FOLDER.glob("*/*")}
    assert names == set(SCENES)


# The check bites.


@pytest.mark.parametrize(
    ("told", "lied"),
    [('"left:1"', '"left:7"'), ('"golden.completed.left"', '"golden.completed.right"')],
    ids=["another id", "another type"],
)
async def test_a_history_that_is_not_of_this_code_is_refused(told: str, lied: str) -> None:
    text = Recording(1, "completed").file(1).read_text()
    assert told in text
    replayer = Replayer(workflows=[], plugins=[TaskerPlugin(SCENES["completed"].template)])
    with pytest.raises(NondeterminismError):
        await replayer.replay_workflow(WorkflowHistory.from_json("golden-completed", text.replace(told, lied)))


# Nothing of the machine that recorded them.


def texts(plain: Any) -> Iterator[str]:
    """Every text in the history, those in payloads and in packed records too."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield key
            yield from texts(value)
    elif isinstance(plain, list):
        for item in plain:
            yield from texts(item)
    elif isinstance(plain, str):
        yield plain
        yield from texts(opened(plain))


def opened(text: str) -> Any:
    """What is in a payload, or in something packed; None if the text is neither."""
    with suppress(ValueError):
        data = base64.b64decode(text, validate=True)
        with suppress(zlib.error):
            data = zlib.decompress(data)
        return json.loads(data)
    return None


@pytest.mark.parametrize("path", sorted(shelf.FOLDER.glob("*/*")), ids=lambda path: path.name)
def test_no_history_names_a_path_or_a_host(path: Path) -> None:
    found = set(texts(json.loads(path.read_text())))
    opened_by = {"step.initialize_requested", "workflow.run_continued", "workflow.run_reopened"}
    assert found & opened_by, "the records were not opened"
    for text in found:
        assert not re.search(r"""File \\?"|\.py\b|site-packages|/(home|root|work|usr|tmp)/""", text)
        assert not re.search(rf"@{re.escape(socket.gethostname())}\b|\d@\w", text)


@every_recording
def test_every_identity_in_a_history_is_the_recorders(recording: Recording) -> None:
    for history in recording.histories():
        identities = set(re.findall(r'"identity": ?"([^"]*)"', history.to_json()))
        assert identities == {"golden"}
