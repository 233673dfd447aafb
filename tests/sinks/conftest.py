"""The tests of sinks share the session's server."""

from __future__ import annotations

from tests.server.conftest import client, server

__all__ = ["client", "server"]
