"""The sinks that keep events: JSON lines in a file, rows in a table of a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tasker_temporal.core.rows import Row, genesis, verify
from tasker_temporal.sinks import JsonLines, Postgres, RowData, TaskEvent
from tests.sinks.some import some_events


def the_rows(events: list[TaskEvent]) -> list[Row]:
    return [event.data.row for event in events if isinstance(event.data, RowData)]


def verified(events: list[TaskEvent]) -> str:
    first = events[0]
    return verify(the_rows(events), genesis(first.task_id, first.templatedigest, first.contextdigest), after=0)


async def test_a_file_has_a_line_for_each_event(tmp_path: Path) -> None:
    file, events = tmp_path / "audit.jsonl", await some_events()
    sink = JsonLines(file)
    await sink(events[:2])
    await sink(events[2:])
    await sink(await some_events("order-2"))
    assert [json.loads(line)["type"] for line in file.read_text().splitlines()][: len(events)] == [
        event.type for event in events
    ]
    assert await sink.events("order-1") == events
    assert await sink.events("order-3") == []
    verified(await sink.events("order-1"))


async def test_half_a_line_of_a_dead_writer_is_dropped(tmp_path: Path) -> None:
    file, events = tmp_path / "audit.jsonl", await some_events()
    sink = JsonLines(os.fspath(file))
    await sink(events[:3])
    whole = file.read_bytes()
    for torn in (events[3].json_bytes()[:50], b"x" * 200_000):
        file.write_bytes(whole + torn)
        assert await sink.events("order-1") == events[:3]
        await sink(events[3:])
        assert await sink.events("order-1") == events
    file.write_bytes(b"nothing but a torn line")
    await sink(events)
    assert await sink.events("order-1") == events


async def test_several_writers_of_one_file_tear_no_line(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    names = [f"order-{number}" for number in range(20)]
    await asyncio.gather(*[JsonLines(file)(await some_events(name)) for name in names])
    for name in names:
        verified(await JsonLines(file).events(name))


@pytest.fixture
async def table(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Postgres]:
    name: str = request.node.name
    sink = Postgres(database, table=name[:60])
    yield sink
    await sink.close()


async def test_a_table_has_a_row_for_each_event_once(table: Postgres, database: str) -> None:
    events = await some_events()
    await table(events[:4])
    await table(events)
    await table(await some_events("order-2"))
    assert await table.events("order-1") == events
    verified(await table.events("order-1"))
    async with await psycopg.AsyncConnection.connect(database) as connection:
        sql = "SELECT number, type, template FROM {} WHERE task_id = 'order-1' ORDER BY number"
        rows = await (await connection.execute(sql.format(table.table))).fetchall()
    assert rows == [(event.number, event.type, "sinks.some") for event in events]


async def test_a_batch_is_written_whole_or_not_at_all(table: Postgres) -> None:
    events = await some_events()
    broken = events[3].model_copy(update={"type": "a zero byte: \0"})
    with pytest.raises(psycopg.DataError):
        await table([*events[:3], broken])
    assert await table.events("order-1") == []
    await table(events)
    assert await table.events("order-1") == events


async def test_several_workers_may_make_the_table_at_once(database: str) -> None:
    sinks = [Postgres(database, table="made_at_once") for _ in range(8)]
    events = await some_events()
    await asyncio.gather(*(sink(events) for sink in sinks))
    assert await sinks[0].events("order-1") == events
    for sink in sinks:
        await sink.close()


async def test_a_connection_that_broke_is_opened_anew(table: Postgres, database: str) -> None:
    events = await some_events()
    await table(events[:2])
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    with pytest.raises(psycopg.OperationalError):
        await table(events)
    await table(events)
    assert await table.events("order-1") == events


async def test_who_may_only_write_needs_no_right_to_make_tables(database: str) -> None:
    owner = Postgres(database, table="owned")
    events = await some_events()
    await owner(events[:1])
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("CREATE ROLE writer LOGIN")
        await connection.execute("GRANT INSERT, SELECT ON owned TO writer")
    writer = Postgres(database.replace("postgres@", "writer@"), table="owned")
    await writer(events)
    assert await writer.events("order-1") == events
    await owner.close()
    await writer.close()


@pytest.mark.parametrize("url", ["postgresql:/me:hidden@host/db", "mysql://me:hidden@x/y", "password='hidden", None])
def test_a_url_that_cannot_be_read_is_refused_at_once_without_its_password(url: Any) -> None:
    with pytest.raises(ValueError, match="expected one as postgresql://user@host/database") as caught:
        Postgres(url)
    assert "hidden" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_table_has_a_name() -> None:
    with pytest.raises(ValueError, match="expected a name as tasker_events"):
        Postgres("", table="x; DROP TABLE y")
    assert repr(Postgres("postgresql://me:secret@host/db")) == "Postgres(table='tasker_events')"
