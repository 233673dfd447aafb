"""Pytest fixtures, for tests on a real server. They need `pytest-asyncio` and the extra `dev`.

Take them over in your `conftest.py`:

    from tasker_temporal.testing.fixtures import temporal_server  # noqa: F401

and set pytest's `asyncio_default_test_loop_scope` to `session`, so that tests share the server's event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tasker_temporal.dev import DevServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_server() -> AsyncIterator[DevServer]:
    """One embedded server for the whole session, without UI, in memory, on a free port.

    Connect with `await temporal_server.client(plugins=[TaskerPlugin(template)])`. Tests share it: give each its own ids
    and task queues.
    """
    async with DevServer(ui_port=None) as server:
        yield server
