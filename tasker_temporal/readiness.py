"""Asks a run again while one of its workflow tasks is being done again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

from temporalio.service import RPCError, RPCStatusCode

T = TypeVar("T")

READY_WITHIN: Final = 2.0
"""Seconds. The server hands out at once what it takes back, as when a signal comes while a run asks for its end; what
fails for longer fails by itself."""

EVERY: Final = 0.1
"""Seconds between two tries."""


async def once_ready(ask: Callable[[], Awaitable[T]]) -> T:
    """What is asked, as soon as the server lets it through.

    Raises:
        RPCError: with status FAILED_PRECONDITION: the workflow task fails again and again.
    """
    end = monotonic() + READY_WITHIN
    while True:
        try:
            return await ask()
        except RPCError as error:
            if error.status is not RPCStatusCode.FAILED_PRECONDITION or monotonic() > end:
                raise
        await asyncio.sleep(EVERY)
