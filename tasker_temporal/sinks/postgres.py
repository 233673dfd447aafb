"""A sink that is a table in PostgreSQL: an archive that outlives Temporal's retention, and that SQL can ask."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasker_temporal.sinks.events import TaskEvent

if TYPE_CHECKING:
    from psycopg import AsyncConnection

TABLE = "tasker_events"

MAKE = """
CREATE TABLE IF NOT EXISTS {table} (
    sink text NOT NULL,
    id text NOT NULL,
    task_id text NOT NULL,
    number bigint NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    template text NOT NULL,
    event json NOT NULL,
    PRIMARY KEY (sink, id)
);
CREATE INDEX IF NOT EXISTS {index} ON {table} (task_id, number)
"""

WRITE = """
INSERT INTO {table} (sink, id, task_id, number, type, time, template, event)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

READ = "SELECT event::text FROM {table} WHERE task_id = %s ORDER BY sink, number, time"


class Postgres:
    """Writes each event as one row of a table, once however often it is sent. It needs the extra `postgres`.

    Args:
        url: As psycopg takes it: `postgresql://user@host/database`. Leave the password to `PGPASSWORD` or a service
            file, or read it from where your secrets are.
        table: Made if it is not there; `schema.table` if you say so.

    Raises:
        ValueError: the URL cannot be read, or the table's name is none.
        ImportError: psycopg is not installed.
    """

    def __init__(self, url: str, *, table: str = TABLE) -> None:
        import psycopg

        try:
            psycopg.conninfo.conninfo_to_dict(url)
        except (psycopg.ProgrammingError, AttributeError):
            # What psycopg says of it has the password in it.
            message = "the database's URL cannot be read: expected one as postgresql://user@host/database"
            raise ValueError(message) from None
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?", str(table)):
            raise ValueError(f"table {table!r}: expected a name as tasker_events, or archive.tasker_events")
        self._psycopg, self._url = psycopg, url
        self.Error: type[Exception] = psycopg.Error
        self.table = table
        self._connection: AsyncConnection[Any] | None = None
        self._is_made = False
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Postgres(table={self.table!r})"

    async def __call__(self, events: Sequence[TaskEvent]) -> None:
        """Write the events in one transaction."""
        async with self._turn:
            try:
                connection = await self._connected()
                async with connection.cursor() as cursor:
                    await cursor.executemany(self._sql(WRITE), [_values(event) for event in events])
                await connection.commit()
            except BaseException:
                await self._disconnect()
                raise

    async def events(self, task_id: str) -> list[TaskEvent]:
        """What the table has of the task: of each sink in order. Who may only read makes no table."""
        async with self._turn:
            connection = await self._connected(make=False)
            cursor = await connection.execute(self._sql(READ), (task_id,))
            found = [TaskEvent.model_validate_json(text) for (text,) in await cursor.fetchall()]
            await connection.commit()
        return found

    async def close(self) -> None:
        """Close the connection. The next call opens another."""
        async with self._turn:
            await self._disconnect()

    async def _connected(self, *, make: bool = True) -> AsyncConnection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = await self._psycopg.AsyncConnection.connect(self._url)
            self._is_made = False
        if make and not self._is_made:
            await self._make_table(self._connection)
            self._is_made = True
        return self._connection

    async def _make_table(self, connection: AsyncConnection[Any]) -> None:
        """Under a lock, because two that make it at once would fail. Who may only write finds it there."""
        known = await (await connection.execute("SELECT to_regclass(%s)", (self.table,))).fetchone()
        if known == (None,):
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self.table,))
            for statement in self._sql(MAKE).split(";"):
                await connection.execute(statement)
        await connection.commit()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _sql(self, text: str) -> Any:
        """The name was checked, and is no parameter that SQL knows."""
        return text.format(table=self.table, index=f"{self.table.rpartition('.')[2]}_by_task")


def _values(event: TaskEvent) -> tuple[Any, ...]:
    """The event as text, which the type json keeps to the byte: its digest must still fit."""
    text = event.json_bytes().decode()
    return event.sink, event.id, event.task_id, event.number, event.type, event.time, event.template, text
