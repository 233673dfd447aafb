"""People step in from Temporal's own UI: by its dialogs for updates and signals, in a real browser."""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tasker_temporal import PermanentError, Retry, Row, State, TaskerPlugin, TaskHandle, TaskTemplate, start_task
from tasker_temporal.dev import DevServer
from tests.patience import PATIENCE
from tests.server.conftest import replayed, worker

BY = {"actor": "ann", "reason": "seen in the browser"}

shop = TaskTemplate("browser.shop", on_error="hold")


@shop.step(retry=Retry(attempts=1))
async def charge() -> int:
    raise PermanentError("the gateway is down")


@shop.step(after=[charge])
async def ship() -> None: ...


@pytest_asyncio.fixture(loop_scope="session")
async def task(with_ui: DevServer) -> AsyncIterator[TaskHandle]:
    """A task that is held."""
    client = await with_ui.client(plugins=[TaskerPlugin(shop)])
    async with worker(client) as serving:
        task = await start_task(client, shop, None, id=f"shop-{uuid.uuid4()}", task_queue=serving.task_queue)
        assert (await task.settled()).state is State.ERROR
        yield task
        await replayed(task, shop)


async def send(page: Page, server: DevServer, task: TaskHandle, kind: str, name: str, request: Any) -> Locator:
    """Fill in the UI's dialog for an `update` or a `signal`, submit it, and return it."""
    await page.goto(f"{server.ui_url}/namespaces/default/workflows/{task.id}")
    await page.get_by_role("button", name="More Actions").click()
    await page.get_by_test_id(f"{kind}-button").filter(visible=True).click()
    dialog = page.get_by_role("dialog").filter(has=page.get_by_test_id("confirm-modal-button")).filter(visible=True)
    await dialog.get_by_test_id(f"{kind}-select-button").click()
    # Its text is the name, and then what the request does.
    await page.get_by_role("option", name=re.compile(rf"^\s*{name}\b")).filter(visible=True).click()
    await dialog.get_by_role("textbox", name="Data").fill(json.dumps(request))
    if folder := os.environ.get("TASKER_SCREENSHOTS"):
        await page.screenshot(path=f"{folder}/{kind}.png")
    # The editor lays the JSON out anew when it loses the focus, and a click would miss the button that moves away.
    await dialog.get_by_test_id("confirm-modal-button").press("Enter")
    return dialog


async def row(task: TaskHandle, event: str) -> Row:
    """The row, as soon as it is there."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for row in await task.audit():
                if row.event == event:
                    return row
            await asyncio.sleep(0.05)


async def test_the_dialog_for_updates_makes_a_request(page: Page, with_ui: DevServer, task: TaskHandle) -> None:
    await send(page, with_ui, task, "update", "skip", {"step": "charge", **BY})
    skipped = await row(task, "step.skipped")
    assert (skipped.step, skipped.actor, skipped.reason) == ("charge", BY["actor"], BY["reason"])
    assert (await task.result()).steps["charge"].state is State.SKIPPED


async def test_the_dialog_for_updates_shows_why_a_request_is_refused(
    page: Page, with_ui: DevServer, task: TaskHandle
) -> None:
    dialog = await send(page, with_ui, task, "update", "pause", BY)
    rule = "the task is error: 'pause' is legal for one that is in_progress (legal now: cancel, retry, resolve)"
    await expect(dialog).to_contain_text(rule, timeout=60_000)
    assert "ann" not in {row.actor for row in await task.audit()}
    await task.resolve(**BY)
    await task.result()


@pytest.mark.parametrize(
    ("request_", "event"),
    [
        ({"request": "resolve", **BY}, "task.resolved_manually"),
        ({"request": "pause", **BY}, "workflow.request_refused"),
    ],
    ids=["taken", "refused"],
)
async def test_the_dialog_for_signals_makes_a_request(
    page: Page, with_ui: DevServer, task: TaskHandle, request_: dict[str, str], event: str
) -> None:
    await send(page, with_ui, task, "signal", "transition", request_)
    found = await row(task, event)
    assert (found.actor, found.reason) == (BY["actor"], BY["reason"])
    if event == "workflow.request_refused":
        assert found.metadata["rule"] == "the task is error: 'pause' is legal for one that is in_progress"
        await task.resolve(**BY)
    assert (await task.result()).state is State.RESOLVED_MANUALLY
