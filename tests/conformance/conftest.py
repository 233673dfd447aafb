"""Plays every selected case on one server at once, and hands each test what was seen of its case."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest
import pytest_asyncio

from tests.conformance import watch
from tests.conformance.case import Case, Seen
from tests.conformance.stages import on_server
from tests.server.conftest import Connect, client, server, worker

__all__ = ["client", "server"]

AT_ONCE = 16
"""So many cases are played at a time: a server test mostly waits."""

Played = Mapping[str, "asyncio.Task[Seen]"]


@pytest.fixture(scope="module", autouse=True)
def watched_engines() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        watch.install(patch)
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played(request: pytest.FixtureRequest, client: Connect) -> AsyncIterator[Played]:
    """By the name of the case, what is being seen of it."""
    cases = _cases(request.session.items)
    connected = await client(*(case.template for case in cases))
    places = asyncio.Semaphore(AT_ONCE)
    async with worker(connected, max_concurrent_activities=300) as serving:

        async def play(case: Case) -> Seen:
            async with places:
                return await on_server(case, connected, serving.task_queue)

        tasks = {case.name: asyncio.create_task(play(case)) for case in cases}
        yield tasks
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


def _cases(items: Sequence[pytest.Item]) -> list[Case]:
    """Those of the selected tests that are played on the server, the largest first."""
    found: list[Any] = [item for item in items if isinstance(item, pytest.Function)]
    cases = {i.callspec.params["case"].name: i.callspec.params["case"] for i in found if "played" in i.fixturenames}
    return sorted(cases.values(), key=lambda case: -len(case.template.declared))
