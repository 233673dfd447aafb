"""Records golden histories of today's interpreter: `python -m tests.replay.record [SCENE ...]`, or all of them.

Ids, identities and keys are fixed, so that a second recording differs in times and run ids only.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import suppress
from functools import partial
from typing import Any
from unittest.mock import patch

from temporalio.client import WorkflowHistory

from tasker_temporal import TaskHandle
from tasker_temporal.core.task import INTERPRETER
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import TaskEnded
from tests.replay import shelf
from tests.replay.scenes import SCENES
from tests.replay.stage import Scene, Stage
from tests.server.conftest import histories

IDENTITY = "golden"

KEY = bytes(range(32))
"""The salt of every digest."""


async def record(server: DevServer, scene: Scene) -> None:
    stage = Stage(partial(server.client, identity=IDENTITY), scene.template)
    with patch("secrets.token_bytes", return_value=KEY):
        playing = asyncio.ensure_future(scene.play(stage))
        if scene.name == "missing_handler":
            await playing
        async with stage.working():
            await playing
            task = TaskHandle(await stage.connect(), stage.id)
            with suppress(TaskEnded):
                await task.result()
    await keep(scene.name, task)


async def keep(scene: str, task: TaskHandle) -> None:
    recording = shelf.Recording(INTERPRETER, scene)
    for old in shelf.FOLDER.glob(f"{recording}.*"):
        old.unlink()
    for run, history in enumerate(await histories(task), 1):
        recording.file(run).write_text(written(history))
    rows = [json.dumps(shelf.line(row)) for row in await task.audit()]
    recording.rows_file.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    print(f"{recording}: {len(rows)} rows")


def written(history: WorkflowHistory) -> str:
    """One event a line."""
    events = [json.dumps(scrubbed(event)) for event in json.loads(history.to_json())["events"]]
    return '{"events": [\n' + ",\n".join(events) + "\n]}\n"


LEFT_OUT = {"stackTrace", "requestId", "workerVersion"}
"""They name files of this machine, or are other ones each time; a replay asks for none of them."""


def scrubbed(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: scrubbed(value) for key, value in plain.items() if key not in LEFT_OUT}
    if isinstance(plain, list):
        return [scrubbed(item) for item in plain]
    return STICKY.sub("golden-sticky", plain) if isinstance(plain, str) else plain


STICKY = re.compile(r"golden-[0-9a-f]{32}")
"""The name of the queue on which a worker is given what it has in its cache."""


async def main(names: list[str]) -> None:
    (shelf.FOLDER / str(INTERPRETER)).mkdir(parents=True, exist_ok=True)
    async with DevServer(ui_port=None) as server:
        for name in names or SCENES:
            await record(server, SCENES[name])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
    sys.stdout.flush()
    os._exit(0)
