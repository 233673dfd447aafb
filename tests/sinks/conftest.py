"""The tests of sinks share the session's server, and a PostgreSQL server of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.postgres import is_here, serving
from tests.server.conftest import client, server

__all__ = ["client", "server"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The SDK warns if an activity ends in the moment in which the server says that nobody waits for it any more.

    That is what becomes of a batch that a task gave up.
    """
    for item in items:
        if "tests/sinks/" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning"))


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """The URL of an empty database."""
    if not is_here():
        pytest.skip("no PostgreSQL server is installed here")
    with serving() as started:
        yield started.url
