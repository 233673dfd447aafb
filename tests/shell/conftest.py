"""The shell's tests share the session's server; some of them run with and without the worker's cache of workflows."""

from __future__ import annotations

import pytest

from tests.server.conftest import client, server

__all__ = ["client", "server"]


@pytest.fixture(params=[1000, 0], ids=["cached", "uncached"])
def cache(request: pytest.FixtureRequest) -> int:
    """A worker's `max_cached_workflows`: with 0, each workflow task replays its run from the first event."""
    size: int = request.param
    return size
