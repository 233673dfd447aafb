"""The tests of sinks share the session's server, and a PostgreSQL server of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.postgres import is_here, serving
from tests.server.conftest import client, server

__all__ = ["client", "server"]


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The URL of an empty database."""
    if not is_here():
        pytest.skip("no PostgreSQL server is installed here")
    with serving() as started:
        yield started.url
