"""Tests that kill. Those marked `long` run only if they are asked for: `pytest -m long tests/chaos`."""

from __future__ import annotations

from tests.server.conftest import client, server

__all__ = ["client", "server"]
