"""Every request by the dialogs of Temporal's own UI, as an update and as the signal `transition`, in a real browser."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect
from temporalio.client import Client

from tasker_temporal import (
    PermanentError,
    Retry,
    State,
    TaskerPlugin,
    TaskHandle,
    TaskTemplate,
    received,
    start_task,
)
from tasker_temporal.dev import DevServer
from tasker_temporal.requests import KINDS
from tests.patience import until_legal, until_row, until_step
from tests.server.conftest import replayed, worker
from tests.shell.kit import Gate
from tests.task_types import AUDITED

shop = TaskTemplate[Any]("browser.shop", on_error="hold", type=AUDITED)


@shop.step
async def quote() -> int:
    return 7


@shop.step(retry=Retry(attempts=1))
async def charge() -> int:
    raise PermanentError("the gateway is down")


@shop.step(after=[charge])
async def wrap() -> None: ...


@shop.step(after=[charge])
async def thank() -> None: ...


review = shop.approval("review", approvers=["ann", "bob"], quorum=2)
shop.wait_for("payment", received(shop.event("paid")))

busy = TaskTemplate[Any]("browser.busy")
gate = Gate()
busy.add_step("wait", gate.passage)


class Asked(NamedTuple):
    """A request, and the first row that follows."""

    name: str
    event: str
    more: Mapping[str, Any] = {}
    after: tuple[str, State] | None = None
    """Not before this step is in this state."""


COURSE = (
    Asked("change_step", "step.changed", {"step": "wrap", "attempts": 7}),
    Asked("send_event", "external.received", {"name": "paid", "payload": {"cents": 12}}),
    Asked("approve", "approval.voted", {"step": "review"}),
    Asked("withdraw", "approval.withdrawn", {"step": "review"}),
    Asked("pause", "task.paused"),
    Asked("resume", "task.resumed"),
    Asked("retry_step", "step.retry_requested", {"step": "charge", "fresh": True}, ("charge", State.ERROR)),
    Asked("retry_from", "step.redo_requested", {"step": "quote"}, ("quote", State.COMPLETE)),
    Asked("skip", "step.skipped", {"step": "wrap"}),
    Asked("resolve_step", "step.resolved_manually", {"step": "thank"}),
    Asked("complete_step", "step.completed_manually", {"step": "charge", "result": 3}, ("charge", State.ERROR)),
    Asked("reject", "approval.voted", {"step": "review"}, ("quote", State.COMPLETE)),
    Asked("retry", "task.retry_requested", {}, ("review", State.ERROR)),
    Asked("move", "task.failed", {"to": "error"}, ("review", State.COMPLETE)),
    Asked("resolve", "task.resolved_manually"),
)
"""What is asked of one task, in order. Between the last two but one, others approve."""

CANCEL = Asked("cancel", "task.cancel_requested")


class Dialogs:
    """The UI's page of one task, and its dialogs for requests of one kind."""

    def __init__(self, page: Page, server: DevServer, task: TaskHandle, kind: str) -> None:
        self.page, self.task, self.kind = page, task, kind
        self._url = f"{server.ui_url}/namespaces/default/workflows/{task.id}"

    async def open(self) -> None:
        await self.page.goto(self._url, wait_until="commit")

    def reason(self, name: str) -> str:
        return f"{name}, by the dialog for the {self.kind}"

    async def send(self, name: str, more: Mapping[str, Any]) -> Locator:
        """Fill in the dialog, submit it, and return it."""
        request = {**more, "actor": "ann", "reason": self.reason(name)}
        chosen, plain = (name, request) if self.kind == "update" else ("transition", {"request": name, **request})
        await self.page.get_by_role("button", name="More Actions").click()
        await self.page.get_by_test_id(f"{self.kind}-button").filter(visible=True).click()
        confirm = self.page.get_by_test_id("confirm-modal-button")
        dialog = self.page.get_by_role("dialog").filter(has=confirm).filter(visible=True)
        await dialog.get_by_test_id(f"{self.kind}-select-button").click()
        # Its text is the name, and then what the request does.
        await self.page.get_by_role("option", name=re.compile(rf"^\s*{chosen}\b")).filter(visible=True).click()
        await dialog.get_by_role("textbox", name="Data").fill(json.dumps(plain))
        if folder := os.environ.get("TASKER_SCREENSHOTS"):
            await self.page.screenshot(path=f"{folder}/{self.kind}-{name}.png")
        # The editor lays the JSON out anew when it loses the focus, and a click would miss the button that moves away.
        await dialog.get_by_test_id("confirm-modal-button").press("Enter")
        return dialog

    async def make(self, asked: Asked) -> None:
        """Make the request as soon as it is legal, and see that it was taken."""
        if asked.after is not None:
            await until_step(self.task, *asked.after)
        await until_legal(self.task, {"request": asked.name, "actor": "ann", "reason": "?", **asked.more})
        dialog = await self.send(asked.name, asked.more)
        found = await until_row(self.task, reason=self.reason(asked.name))
        assert (found.event, found.actor, found.cause) == (asked.event, "ann", None), asked.name
        if self.kind == "signal":
            await self.open()  # The UI's second dialog for a signal on one page stays open, and takes no more input.
        else:
            await expect(dialog).to_be_hidden(timeout=60_000)


@pytest_asyncio.fixture(loop_scope="session")
async def serving(with_ui: DevServer) -> AsyncIterator[tuple[Client, str]]:
    """A client, and the queue of its worker."""
    client = await with_ui.client(plugins=[TaskerPlugin(shop, busy)])
    async with worker(client) as running:
        yield client, running.task_queue


def test_there_is_a_dialog_for_each_request_and_no_other() -> None:
    assert sorted(asked.name for asked in (*COURSE, CANCEL)) == sorted(KINDS)


@pytest.mark.parametrize("kind", ["update", pytest.param("signal", marks=pytest.mark.long)])
@pytest.mark.timeout(300)
async def test_each_request_is_made_by_the_dialogs_of_the_ui(
    page: Page, with_ui: DevServer, serving: tuple[Client, str], kind: str
) -> None:
    client, queue = serving
    task = await start_task(client, shop, None, id=f"shop-{uuid.uuid4()}", task_queue=queue, actor="sam")
    dialogs = Dialogs(page, with_ui, task, kind)
    await dialogs.open()
    for asked in COURSE:
        if asked.name == "move":
            for voter in ("ann", "bob"):
                await task.approve(review, actor=voter, reason="fine")
        await dialogs.make(asked)
    assert (await task.result()).state is State.RESOLVED_MANUALLY
    await replayed(task, shop)
    other = await start_task(client, busy, None, id=f"busy-{uuid.uuid4()}", task_queue=queue)
    dialogs = Dialogs(page, with_ui, other, kind)
    await dialogs.open()
    await dialogs.make(CANCEL)


async def test_a_request_by_a_signal_is_taken_or_noted_and_an_update_says_why_it_is_refused(
    page: Page, with_ui: DevServer, serving: tuple[Client, str]
) -> None:
    client, queue = serving
    task = await start_task(client, busy, None, id=f"busy-{uuid.uuid4()}", task_queue=queue)
    rule = "the task is in_progress: 'resume' is legal for one that is paused"
    await until_legal(task, {"request": CANCEL.name, "actor": "ann", "reason": "?"})
    dialogs = Dialogs(page, with_ui, task, "update")
    await dialogs.open()
    dialog = await dialogs.send("resume", {})
    await expect(dialog).to_contain_text(f"{rule} (legal now: cancel, pause)", timeout=60_000)
    assert "ann" not in {row.actor for row in await task.audit()}
    dialogs = Dialogs(page, with_ui, task, "signal")
    await dialogs.open()
    await dialogs.send("resume", {})
    refused = await until_row(task, reason=dialogs.reason("resume"))
    assert (refused.event, refused.kind, refused.metadata["rule"]) == ("workflow.request_refused", "refused", rule)
    await dialogs.open()
    await dialogs.make(CANCEL)
