"""Every example runs, the README shows the first of them as it is, and the demo says what it found."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import ValidationError

from examples.order_fulfillment.order import app as order_in_yaml
from examples.order_fulfillment.template import Line, Order, Quote, ask_gateway, charge_payment, fulfill_order
from tasker_temporal import PermanentError, RetryableError, StepContext, start_task
from tasker_temporal.checks import check
from tasker_temporal.cli.demo.example import examples_folder
from tasker_temporal.cli.demo.show import EXPECTED
from tasker_temporal.dev import DevServer
from tests.cli.kit import ROOT, Running, environment, tasker
from tests.server.conftest import server

__all__ = ["server"]

ORDERS = [json.loads(line) for line in (ROOT / "examples/order_fulfillment/orders.jsonl").read_text().splitlines()]
ORDER = Order(
    id="one", customer="Ada", email="ada@example.com", country="GB", card="card_slow",
    lines=[Line(article="milk-jug", quantity=1, cents=2450)],
)  # fmt: skip
COLOUR = re.compile(r"\x1b\[[\d;]*3\d")


def test_the_readme_shows_the_quickstart_byte_for_byte() -> None:
    shown = re.findall(r'^```python title="quickstart\.py"\n(.*?)^```$', (ROOT / "README.md").read_text(), re.M | re.S)
    assert shown == [(ROOT / "examples/quickstart.py").read_text()]


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


async def test_the_quickstart_runs(tmp_path: Path) -> None:
    async with Running(folder=tmp_path, module="examples.quickstart") as running:
        ended = await running.ended()
    # The SDK's runtime can abort at interpreter exit, after everything is done and said.
    assert (ended.code, ended.err) == (0, "") or "PyGILState_Release" in ended.err
    assert ended.out == "complete - sent from the shelf of books, 2500 cents paid\n"


@pytest.mark.parametrize("example", ["refund", "user_registration"])
async def test_an_example_says_what_its_readme_says(example: str, tmp_path: Path) -> None:
    shown = re.findall(r"```text\n(.*?)```", (ROOT / f"examples/{example}/README.md").read_text(), re.S)[-1]
    async with Running(folder=tmp_path, module=f"examples.{example}") as running:
        ended = await running.ended()
    assert ended.out == shown, ended.err
    assert ended.code == 0 or "PyGILState_Release" in ended.err


async def test_the_sink_of_ones_own_runs(tmp_path: Path) -> None:
    async with Running(folder=tmp_path, module="examples.redis_sink") as running:
        ended = await running.ended()
    assert (ended.code, ended.err) == (0, "") or "PyGILState_Release" in ended.err
    assert ended.out == "1-0 task.initialize_requested\n2-0 task.start_requested\n3-0 task.completed\n"


def test_all_orders_but_one_are_valid() -> None:
    refused = []
    for order in ORDERS:
        try:
            Order.model_validate(order)
        except ValidationError:
            refused.append(order["id"])
    assert (len(ORDERS), refused) == (sum(EXPECTED.values()), ["order-1024"])


async def test_the_handlers_are_plain_functions() -> None:
    context, quote = StepContext(attempt=2, idempotency_key="key"), Quote(goods=2450, postage=490)
    payment = await charge_payment(ORDER, context, quote)
    assert payment.cents == 2940
    assert payment == await ask_gateway("card_good", 2940, key="key", attempt=1)


async def test_the_gateway_stumbles_as_the_card_says() -> None:
    with pytest.raises(ConnectionError):
        await ask_gateway("card_slow", 1, key="key", attempt=1)
    with pytest.raises(RetryableError):
        await ask_gateway("card_busy", 1, key="key", attempt=2)
    with pytest.raises(PermanentError):
        await ask_gateway("card_declined", 1, key="key", attempt=9)


def test_the_order_in_yaml_is_the_order_in_python() -> None:
    assert order_in_yaml.compiled == fulfill_order.compiled
    assert order_in_yaml.compiled.digest == fulfill_order.compiled.digest
    assert list(order_in_yaml.handlers) == list(fulfill_order.handlers)


def test_the_order_in_yaml_has_nothing_that_a_check_warns_of() -> None:
    assert {finding.severity for finding in check(order_in_yaml)} <= {"info"}


async def test_the_worker_process_runs_an_order(tmp_path: Path, server: DevServer) -> None:
    async with Running(folder=tmp_path, module="workers.main", TEMPORAL_ADDRESS=server.target) as running:
        await running.until("Ctrl-C stops it.")
        task = await start_task(await server.client(), "shop.fulfill_order", ORDERS[0], task_queue="order-fulfillment")
        report = await task.result()
        running.tell()
        ended = await running.ended()
    assert report.state == "complete"
    assert ended.code == 0


def check_demo(said: str) -> None:
    assert "30 complete, 1 error, 1 refused: as it should be." in said
    assert re.search(r"^order-1015  error: charge_payment: card declined: insufficient funds", said, re.M)
    assert re.search(r"^order-1024  refused, no task was started: lines\.0\.quantity: ", said, re.M)
    assert re.search(r"^order-1015 +error +2/5 +3 ", said, re.M)
    assert re.search(r"^order-1024 +refused +- +- ", said, re.M)
    assert re.search(r"^ *\d+ +[\d.]+ charge_payment +in_progress → error +step\.failed +\d+", said, re.M)
    assert re.search(r"http://127\.0\.0\.1:\d+", said)


async def test_the_demo_shows_what_became_of_the_orders(tmp_path: Path) -> None:
    start = time.monotonic()
    async with Running("demo", folder=tmp_path) as running:
        await running.until("32 orders")
        first = time.monotonic() - start
        ended = await running.ended()
    assert (ended.code, ended.err) == (0, "")
    check_demo(ended.out)
    assert "\x1b" not in ended.out
    assert first < 10
    assert time.monotonic() - start < 60


class Terminal:
    """The demo in a pseudo terminal."""

    def __init__(self, folder: Path, *arguments: str, **more: str) -> None:
        self._ours, theirs = pty.openpty()
        seen = environment(folder, TERM="xterm-256color", COLUMNS="100", LINES="40", **more)
        command = [sys.executable, "-m", "tasker_temporal", "demo", *arguments]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=seen)
        os.close(theirs)
        self.said = ""

    def read(self, until: str | None = None) -> str:
        """All that it shows until a text comes, or until its end, which Linux tells by an error."""
        with suppress(OSError):
            while (until is None or until not in self.said) and (part := os.read(self._ours, 65536)):
                self.said += part.decode(errors="replace")
        return self.said

    def ended(self) -> int:
        code = self.process.wait(30)
        os.close(self._ours)
        return code


def test_in_a_terminal_the_demo_draws_its_progress_in_colour(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    said = terminal.read()
    assert terminal.ended() == 0
    assert "━" in said
    assert "30 complete, 1 error, 1 refused" in said
    assert COLOUR.search(said)


def test_a_demo_that_is_kept_ends_at_ctrl_c_and_respects_no_color(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "--keep", NO_COLOR="1")
    terminal.read(until="the web UI, until Ctrl-C")
    terminal.process.send_signal(signal.SIGINT)
    said = terminal.read()
    assert terminal.ended() == 0
    assert "━" in said
    assert not COLOUR.search(said)


def test_the_demo_ends_although_nobody_reads_on(tmp_path: Path) -> None:
    command, seen = [sys.executable, "-m", "tasker_temporal", "demo"], environment(tmp_path)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=seen)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"32 orders")
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


async def test_a_wheel_brings_the_example_along(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="builds without it need the network")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    ended = await tasker("demo", folder=tmp_path, PYTHONPATH=str(tmp_path / "installed"))
    assert (ended.code, ended.err) == (0, "")
    check_demo(ended.out)
    assert str(Path("installed", "tasker_temporal", "examples", "order_fulfillment", "template.py")) in ended.out


def test_a_clone_has_the_example_where_everybody_sees_it() -> None:
    assert examples_folder() == ROOT / "examples"


async def test_the_refund_is_reviewed_and_whoever_must_decide_is_told_by_the_webhook(tmp_path: Path) -> None:
    async with Running(folder=tmp_path, module="examples.refund_review.main") as running:
        ended = await running.ended()
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        "fraud_review#1 of refund-1001 was opened: ann, bob, cid, please decide",
        "refused: 'ann' started the task: somebody else must decide 'fraud_review#1'",
        "fraud_review#1 of refund-1001 was approved by bob, cid",
        "complete - 200 euros paid back",
    ]
