"""`tasker worker` runs steps until it is told to stop, lets them end, and says in one line why it cannot begin."""

from __future__ import annotations

import asyncio
import re
import signal
import uuid
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType

from tasker_temporal import TaskHandle, start_task
from tasker_temporal.dev import DevServer
from tests.cli.kit import Ended, Running, tasker, write
from tests.patience import PATIENCE

SHOP = """
import time
from pathlib import Path

from tasker_temporal import TaskTemplate, TaskerPlugin

sell = TaskTemplate("shop.sell", task_queue="{queue}")

@sell.step
def wrap() -> str:
    return "wrapped"

@sell.step(after=[wrap], task_queue="{queue}-lorry")
async def ship() -> str:
    return "shipped"

nap = TaskTemplate("shop.nap", task_queue="{queue}-bed")

@nap.step
def sleep(seconds: float) -> str:
    Path("asleep").touch()
    time.sleep(seconds)
    return "awake"

adrift = TaskTemplate("shop.adrift")

both, plugin, text, nothing = [sell, nap], TaskerPlugin(sell), "sell", ()
"""


@pytest.fixture
def queue() -> str:
    return f"queue-{uuid.uuid4()}"


@pytest.fixture
def shop(tmp_path: Path, queue: str) -> Path:
    """A folder with the module `shop`."""
    return write(tmp_path, {"shop.py": SHOP.replace("{queue}", queue)})


def worker(server: DevServer, shop: Path, *arguments: str, **more: str) -> Running:
    return Running("worker", "--address", server.target, *arguments, folder=shop, **more)


def one_line(ended: Ended) -> str:
    """The only line of its complaint."""
    assert (ended.code, ended.out) == (2, "")
    [line] = ended.err.splitlines()
    return line


APPS = {
    "shop": "Error: --app 'shop': expected MODULE:ATTRIBUTE, as in shop.orders:fulfill_order",
    ":sell": "Error: --app ':sell': expected MODULE:ATTRIBUTE, as in shop.orders:fulfill_order",
    "stall:sell": "Error: there is no module 'stall' in {folder}, nor is one installed",
    "stall.orders:sell": "Error: there is no module 'stall' in {folder}, nor is one installed",
    "shop:buy": "Error: module 'shop' has no attribute 'buy'; templates in it: sell, nap, adrift, plugin",
    "shop:text": "Error: --app 'shop:text' is of type str: expected a TaskTemplate, a list of them, or a TaskerPlugin",
    "shop:nothing": "Error: --app 'shop:nothing' is empty: expected a TaskTemplate, a list of them, or a TaskerPlugin",
    "shop:adrift": "Error: template 'shop.adrift' names no task queue: pass --task-queue, or give the template one",
    "broken:sell": "Error: module 'broken' does not import: ZeroDivisionError: division by zero "
    "({folder}/broken.py, line 2)",
    "needy:sell": "Error: module 'needy' does not import: ModuleNotFoundError: No module named 'no_such_library' "
    "({folder}/needy.py, line 1)",
    "garbled:sell": "Error: module 'garbled' does not import: SyntaxError: invalid syntax (garbled.py, line 1)",
}

BESIDE = {
    "broken.py": "def fail():\n    return 1 / 0\nfail()\n",
    "needy.py": "import no_such_library\n",
    "garbled.py": "def fail(:\n",
    "wrong.py": (
        "from tasker_temporal import TaskTemplate\n"
        "sell = TaskTemplate('shop.sell', task_queue='shop')\n"
        "@sell.step\n"
        "def wrap(paper): ...\n"
        "@sell.step(after=['wrap'])\n"
        "def ship() -> str: ...\n"
    ),
}


@pytest.mark.parametrize("app", APPS)
async def test_an_app_that_cannot_be_used_is_one_line_and_code_2(shop: Path, app: str) -> None:
    ended = await tasker("worker", "--app", app, folder=write(shop, BESIDE))
    assert one_line(ended) == APPS[app].replace("{folder}", str(shop))


async def test_all_mistakes_of_a_template_are_told(shop: Path) -> None:
    ended = await tasker("worker", "--app", "wrong:sell", folder=write(shop, BESIDE))
    assert ended.code == 2
    assert ended.err.startswith("Error: template 'shop.sell' has ")
    assert "step 'wrap'" in ended.err
    assert "step 'ship'" in ended.err
    assert "Traceback" not in ended.err


async def test_without_an_app_it_says_how_it_is_used(tmp_path: Path) -> None:
    ended = await tasker("worker", folder=tmp_path)
    assert ended.code == 2
    assert "Missing option '--app'" in ended.err


async def test_without_a_server_it_says_how_to_get_one(shop: Path) -> None:
    ended = await tasker("worker", "--app", "shop:sell", "--address", "127.0.0.1:1", folder=shop)
    assert one_line(ended).startswith("Error: no Temporal server answers at 127.0.0.1:1 (Connection refused): start")


async def test_the_environment_says_where_the_server_is(shop: Path) -> None:
    ended = await tasker("worker", "--app", "shop:sell", folder=shop, TEMPORAL_ADDRESS="127.0.0.1:2")
    assert "no Temporal server answers at 127.0.0.1:2 " in one_line(ended)


async def test_a_profile_that_is_not_there_is_named(shop: Path) -> None:
    ended = await tasker("worker", "--app", "shop:sell", "--profile", "cloud", folder=shop)
    assert one_line(ended) == "Error: the connection's configuration cannot be used: Profile 'cloud' not found"


async def test_a_profile_of_the_configuration_file_is_used(shop: Path) -> None:
    (shop / "temporal.toml").write_text('[profile.cloud]\naddress = "127.0.0.1:3"\n')
    file = str(shop / "temporal.toml")
    ended = await tasker("worker", "--app", "shop:sell", "--profile", "cloud", folder=shop, TEMPORAL_CONFIG_FILE=file)
    assert "no Temporal server answers at 127.0.0.1:3 " in one_line(ended)


async def test_a_namespace_that_is_not_there_is_named(shop: Path, server: DevServer) -> None:
    async with worker(server, shop, "--app", "shop:sell", "--namespace", "nowhere") as running:
        ended = await running.ended()
    assert one_line(ended).startswith(f"Error: the server at {server.target} has no namespace 'nowhere': create it")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_runs_tasks_until_a_signal(shop: Path, queue: str, server: DevServer, number: signal.Signals) -> None:
    queues = ("--task-queue", queue, "--task-queue", f"{queue}-lorry")
    async with worker(server, shop, "--app", "shop:plugin", *queues) as running:
        await running.until("Ctrl-C stops it.")
        task = await start_task(await server.client(), "shop.sell", task_queue=queue)
        report = await task.result()
        running.tell(number)
        ended = await running.ended()
    assert report.state == "complete"
    assert ended.code == 0
    assert ended.out.endswith("Stopped.\n")


async def test_it_works_on_the_queue_of_each_template_and_tells_of_the_others(
    shop: Path, queue: str, server: DevServer
) -> None:
    async with worker(server, shop, "--app", "shop:both") as running:
        await running.until("Ctrl-C stops it.")
        running.tell()
        ended = await running.ended()
    assert re.findall(r"Working on queue '(\S+)'", ended.out) == [queue, f"{queue}-bed"]
    note = f"Note: shop.sell.ship runs on queue '{queue}-lorry': start a worker with --task-queue {queue}-lorry"
    assert note in ended.err.splitlines()


async def asleep(server: DevServer, shop: Path, queue: str, seconds: float) -> TaskHandle:
    """A task whose handler sleeps now."""
    task = await start_task(await server.client(), "shop.nap", seconds, task_queue=f"{queue}-bed")
    async with asyncio.timeout(PATIENCE):
        while not (shop / "asleep").exists():
            await asyncio.sleep(0.01)
    return task


async def test_a_handler_that_runs_may_end_and_its_result_counts(shop: Path, queue: str, server: DevServer) -> None:
    async with worker(server, shop, "--app", "shop:nap") as running:
        await running.until("Ctrl-C stops it.")
        task = await asleep(server, shop, queue, 1.5)
        running.tell()
        ended = await running.ended()
        history = await task.workflow.fetch_history()
    assert ended.code == 0
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED in [event.event_type for event in history.events]


async def test_a_handler_that_does_not_stop_is_left_after_the_grace_period(
    shop: Path, queue: str, server: DevServer
) -> None:
    async with worker(server, shop, "--app", "shop:nap", "--grace", "0.2") as running:
        await running.until("Ctrl-C stops it.")
        await asleep(server, shop, queue, 600)
        running.tell()
        ended = await running.ended()
    assert ended.code == 1
    assert "Error: a handler still ran 5 s after it was told to stop, and is left alone\n" in ended.err


async def test_a_second_signal_ends_it_at_once(shop: Path, queue: str, server: DevServer) -> None:
    async with worker(server, shop, "--app", "shop:nap") as running:
        await running.until("Ctrl-C stops it.")
        await asleep(server, shop, queue, 600)
        running.tell()
        await running.until("Stopping")
        running.tell()
        ended = await running.ended()
    assert ended.code == -signal.SIGTERM


async def test_what_the_sdks_core_complains_of_goes_to_the_log(server: DevServer, shop: Path, queue: str) -> None:
    """Its own way would be stdout, and colours."""
    client = await server.client()
    async with worker(server, shop, "--app", "shop:sell", "--task-queue", queue) as running:
        await running.until("Ctrl-C stops it.")
        task = await client.start_workflow("shop.sell", args=[None, {"format": 99}], id=queue, task_queue=queue)
        told = await running.complaint("temporalio.core")
        await task.terminate()
        running.tell()
        ended = await running.ended()
    assert re.search(r"^[\d: ,-]+ WARNING temporalio\.core\S*: .*", told, re.MULTILINE)
    assert "\x1b" not in ended.out + ended.err
    assert ended.out.splitlines()[-1] == "Stopped."
