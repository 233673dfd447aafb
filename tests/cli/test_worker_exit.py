"""A worker's process ends cleanly each time. `python -m benchmarks.worker_exit` tries it a hundred times."""

from __future__ import annotations

from benchmarks.worker_exit import exits
from tasker_temporal.dev import DevServer


async def test_workers_end_with_code_0_each_time(server: DevServer) -> None:
    assert [each.code for each in await exits(server, 5)] == [0] * 5
