"""The audit outlives Temporal's history in a sink, is verified without a server, and says nothing once it is erased."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tasker_temporal import TaskerPlugin, start_task
from tasker_temporal.core.rows import salted
from tasker_temporal.dev import DevServer
from tasker_temporal.errors import RecordError
from tasker_temporal.reader import Reader
from tasker_temporal.sinks import JsonLines, Postgres, Sink
from tasker_temporal.sinks.archive import archived
from tests.cli.kit import Ended, tasker
from tests.server.conftest import worker
from tests.sinks.some import some_events
from tests.sinks.test_delivery import small

CONTEXT = {"customer": "Ann Example"}


async def offline(*arguments: str, folder: Path) -> Ended:
    return await tasker(*arguments, folder=folder, TEMPORAL_ADDRESS="127.0.0.1:1")


async def test_an_archive_is_read_and_verified_when_the_history_is_gone(database: str, tmp_path: Path) -> None:
    """It goes with the server, which keeps it in memory: and with it the task's key, its context and its results."""
    file, table = tmp_path / "audit.jsonl", "archive_of_a_task"
    template = small(Sink(name="file"), Sink(name="table"))
    postgres = Postgres(database, table=table)
    plugin = TaskerPlugin(template, sinks={"file": JsonLines(file), "table": postgres})
    async with DevServer(ui_port=None) as server:
        client = await server.client(plugins=[plugin])
        async with worker(client) as running:
            task = await start_task(client, template, CONTEXT, task_queue=running.task_queue)
            await task.result()
        rows, beginning = await task.audit(), await Reader(client, task.id).beginning()
        data = (await Reader(client, task.id).context()).payload.data
        key = bytes.fromhex(beginning.start.key)
    await postgres.close()

    found = await asyncio.gather(
        *(
            offline("audit", task.id, "--archive", source, "--verify", "--json", folder=tmp_path)
            for source in (str(file), f"{database}#{table}")
        )
    )
    for ended in found:
        assert json.loads(ended.out) == {
            "task_id": task.id,
            "rows": len(rows),
            "head": rows[-1].digest,
            "verified": True,
        }
    shown = await offline("audit", task.id, "--archive", str(file), folder=tmp_path)
    assert "task.completed" in shown.out

    # What is left says nothing of the context, to whoever has no key; and the key is in nothing that is left.
    left = file.read_text()
    assert "Ann" not in left
    assert key.hex() not in left
    kept = await archived(str(file), task.id)
    assert kept.context_digest == salted(key, data)
    assert kept.context_digest != salted(b"", data)


async def test_a_changed_and_a_missing_row_are_named(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    await JsonLines(file)(await some_events())
    lines = file.read_text().splitlines()
    changed, gap, strange = tmp_path / "changed", tmp_path / "gap", tmp_path / "strange"
    changed.write_text(
        "\n".join([*lines[:2], lines[2].replace('"actor":"tasker"', '"actor":"nobody"'), *lines[3:], ""])
    )
    gap.write_text("\n".join([*lines[:2], *lines[3:], ""]))
    strange.write_text('{"order-1":"order-1"}\n')
    commands = [("order-1", str(each)) for each in (changed, gap, strange, tmp_path / "none")]
    commands += [("order-9", str(file)), ("order-1", "postgresql://nobody@127.0.0.1:1/none")]
    ended = await asyncio.gather(*(offline("audit", t, "--archive", f, folder=tmp_path) for t, f in commands))
    assert [each.code for each in ended] == [1, 1, 1, 2, 1, 2]
    says = [each.err for each in ended]
    assert says[0] == "Error: row 3 does not fit the chain: it was changed\n"
    assert says[1] == "Error: row 3 is missing: row 4 came instead; only sinks that get all events have every row\n"
    assert "is no archive of a sink: a line of it is no event of a task" in says[2]
    assert "cannot be read: No such file or directory: " in says[3]
    assert says[4] == f"Error: file {str(file)!r} has nothing of task 'order-9'\n"
    assert "the archive of task 'order-1' cannot be read: connection failed" in says[5]
    assert all(said.count("\n") == 1 for said in says)


async def test_sinks_that_get_some_rows_each_may_have_all_together(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    events = await some_events()
    for start in ("task", "step"):
        await JsonLines(file)([event for event in events if event.type.startswith(start)])
    found = await archived(str(file), "order-1")
    assert [row.sort_key for row in found.rows] == [1, 2, 3, 4, 5, 6]


async def test_of_two_tasks_of_one_id_the_last_is_read(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    events = await some_events()
    later = [
        event.model_copy(update={"contextdigest": "another", "time": event.time.replace(year=2027)}) for event in events
    ]
    await JsonLines(file)(later[:2])
    await JsonLines(file)(events)
    found = await archived(str(file), "order-1")
    assert (found.context_digest, len(found.rows)) == ("another", 2)
    with pytest.raises(RecordError, match="has nothing of task 'order-2'"):
        await archived(str(file), "order-2")
