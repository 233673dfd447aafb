"""What holds for all tests: those marked `long` run only if they are asked for, as `make soak` does."""

from __future__ import annotations

import signal

import pytest

# What a shell runs in the background ignores Ctrl-C, and so would each process that a test starts, and tells to stop.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "long" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="long: ask for it with -m long"))
