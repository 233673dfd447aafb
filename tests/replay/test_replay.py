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

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("scene", SCENES)
async def test_todays_code_tells_a_scene_with_the_same_commands_and_the_same_rows(scene: str) -> None:
    assert await shelf.told_again(scene) == await shelf.read_back(scene)


@pytest.mark.parametrize("scene", SCENES)
async def test_a_scene_reads_back_as_the_rows_beside_it(scene: str) -> None:
    rows = [shelf.line(row) for row in await shelf.read_back(scene)]
    assert rows == json.loads(shelf.rows_file(scene).read_text())


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
    assert len(said.splitlines()) == len(SCENES)


def test_every_event_that_is_a_row_stands_in_a_scene() -> None:
    told = {line[1] for scene in SCENES for line in json.loads(shelf.rows_file(scene).read_text())}
    assert told == {name for name in EVENTS if issubclass(EVENTS.payload(name), RowWritten)}


def test_there_is_a_history_for_every_scene_and_no_other() -> None:
    names = {path.name.split(".")[0] for path in shelf.FOLDER.iterdir()}
    assert names == set(SCENES)


# The check bites.


@pytest.mark.parametrize(
    ("told", "lied"),
    [('"left:1"', '"left:7"'), ('"golden.completed.left"', '"golden.completed.right"')],
    ids=["another id", "another type"],
)
async def test_a_history_that_is_not_of_this_code_is_refused(told: str, lied: str) -> None:
    text = shelf.file("completed", 1).read_text()
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


@pytest.mark.parametrize("path", sorted(shelf.FOLDER.iterdir()), ids=lambda path: path.name)
def test_no_history_names_a_path_or_a_host(path: Path) -> None:
    found = set(texts(json.loads(path.read_text())))
    opened_by = {"step.initialize_requested", "workflow.run_continued", "workflow.run_reopened"}
    assert found & opened_by, "the records were not opened"
    for text in found:
        assert not re.search(r"""File \\?"|\.py\b|site-packages|/(home|root|work|usr|tmp)/""", text)
        assert not re.search(rf"@{re.escape(socket.gethostname())}\b|\d@\w", text)


@pytest.mark.parametrize("scene", SCENES)
def test_every_identity_in_a_history_is_the_recorders(scene: str) -> None:
    for history in shelf.histories(scene):
        identities = set(re.findall(r'"identity": ?"([^"]*)"', history.to_json()))
        assert identities == {"golden"}
