"""A server with its web UI, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tasker_temporal.dev import DevServer

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


STILL = """addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = "*, *::before, *::after {transition: none !important; animation: none !important}";
    document.head.append(style);
})"""
"""Nothing moves: whoever clicks has to wait for nothing to have moved."""


def find_browser() -> str | None:
    """A Chromium that is installed; TASKER_CHROMIUM says where another one is."""
    return os.environ.get("TASKER_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def with_ui() -> AsyncIterator[DevServer]:
    async with DevServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = find_browser()
    if path is None:
        pytest.skip(f"no Chromium is installed: none of {', '.join(NAMES)} is on PATH, nor is TASKER_CHROMIUM set")
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1400, "height": 1000}, reduced_motion="reduce")
    await context.add_init_script(STILL)
    opened = await context.new_page()
    opened.set_default_timeout(60_000)
    yield opened
    await context.close()
