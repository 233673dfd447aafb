"""The verbs show, start and stop tasks on a real server, as people type them."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import click
import pytest
import pytest_asyncio
from temporalio.client import Client

from tasker_temporal import cli
from tasker_temporal.dev import DevServer
from tests.cli.kit import Ended, Running, tasker, write
from tests.patience import PATIENCE

STALL = """
import asyncio
from pathlib import Path

from pydantic import BaseModel
from tasker_temporal import PermanentError, TaskTemplate, result_of

class Order(BaseModel):
    item: str
    cents: int

sell = TaskTemplate("stall.sell", context=Order, task_queue="{queue}")

@sell.step
def charge(order: Order) -> int:
    if order.item == "brick":
        raise PermanentError("nobody buys bricks")
    return order.cents

@sell.step
async def ship(paid: int = result_of(charge)) -> str:
    return f"shipped for {paid}"

wait = TaskTemplate("stall.wait", task_queue="{queue}")

@wait.step
async def open_shop() -> str:
    while not Path("opened").exists():
        await asyncio.sleep(0.05)
    return "open"

idle = TaskTemplate("stall.idle", task_queue="{queue}-idle")

@idle.step
def rest() -> None: ...

adrift = TaskTemplate("stall.adrift")

@adrift.step
def drift() -> None: ...

app = [sell, wait, idle, adrift]
"""

PROJECT = '[tool.tasker]\napp = "stall:app"\n'

BOOK = '{"item": "book", "cents": 25}'


class Stall:
    """A folder with a project, its worker, and the command in it."""

    def __init__(self, folder: Path, address: str, queue: str) -> None:
        self.folder, self.address, self.queue = folder, address, queue

    async def __call__(self, *arguments: str, **more: str) -> Ended:
        async with Running(*arguments, folder=self.folder, **{"TEMPORAL_ADDRESS": self.address, **more}) as running:
            return await running.ended()

    async def all(self, *commands: tuple[str, ...]) -> list[Ended]:
        return list(await asyncio.gather(*(self(*command) for command in commands)))

    async def sold(self, item: str = "book") -> tuple[str, Ended]:
        """A task of `stall.sell` that is over, and how the command ended that waited for it."""
        task = f"{item}-{uuid.uuid4()}"
        context = json.dumps({"item": item, "cents": 25})
        return task, await self("start", "stall.sell", "--context", context, "--id", task, "--wait", "--reason", "try")

    async def scheduled(self, name: str, is_so: Callable[[Any], bool]) -> Any:
        """The schedule, once the server lists it so: it does a moment after a change."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for each in json.loads((await self("schedule", "list", "--json")).out):
                    if each["schedule_id"] == name and is_so(each):
                        return each


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stall(server: DevServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stall]:
    """The stall's folder, while its worker runs."""
    queue = f"stall-{uuid.uuid4()}"
    folder = tmp_path_factory.mktemp("stall")
    write(folder, {"stall.py": STALL.replace("{queue}", queue), "pyproject.toml": PROJECT})
    queues = ("--app", "stall:app", "--task-queue", queue)
    async with Running("worker", *queues, folder=folder, TEMPORAL_ADDRESS=server.target) as worker:
        await worker.until("Ctrl-C stops it.")
        yield Stall(folder, server.target, queue)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def book(stall: Stall) -> str:
    """A task that is complete."""
    task, ended = await stall.sold()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"{task}  complete  100 %\nstall.sell 1.0.0, began ")
    assert re.search(r"^charge  complete +1  \d\d:\d\d:\d\d", ended.out, re.MULTILINE)
    return task


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def brick(stall: Stall) -> str:
    """A task that failed."""
    task, ended = await stall.sold("brick")
    assert (ended.code, ended.err) == (1, "Error: step 'charge' failed: PermanentError: nobody buys bricks\n")
    assert "PermanentError: nobody buys bricks" in ended.out
    return task


def one_line(ended: Ended, code: int = 2) -> str:
    assert (ended.code, ended.out) == (code, "")
    [line] = ended.err.splitlines()
    return line


async def test_start_prints_the_id_and_nothing_else(stall: Stall) -> None:
    plain, told = await stall.all(
        ("start", "stall.sell", "--context", BOOK), ("start", "stall.sell", "--context", BOOK, "--json")
    )
    assert re.fullmatch(r"stall\.sell-[0-9a-f-]{36}\n", plain.out)
    assert plain.err.startswith(f"Started on queue '{stall.queue}'. To follow it: tasker watch stall.sell-")
    answer = json.loads(told.out)
    assert answer.pop("task_id").startswith("stall.sell-")
    assert answer == {"template": "stall.sell", "task_queue": stall.queue, "started": True}


async def test_a_context_comes_from_a_file_or_from_a_person(stall: Stall, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(BOOK)
    ended = await stall("start", "stall.sell", "--context", f"@{tmp_path / 'order.json'}", "--wait", "--json")
    assert json.loads(ended.out)["state"] == "complete"


async def test_a_strict_identity_starts_one_task(stall: Stall) -> None:
    same = ("start", "stall.sell", "--context", '{"item": "pen", "cents": 1}', "--identity", "strict")
    first = await stall(*same)
    again, returned = await stall.all(same, (*same, "--on-duplicate", "return", "--json"))
    assert first.code == 0
    assert one_line(again).startswith(
        f"Error: there is a task {first.out.strip()!r} already: nothing was started; --on"
    )
    assert (json.loads(returned.out)["task_id"], json.loads(returned.out)["started"]) == (first.out.strip(), False)


async def test_without_an_app_a_name_and_a_queue_do(stall: Stall, tmp_path: Path) -> None:
    given = ("start", "stall.sell", "--context", BOOK, "--task-queue", stall.queue)
    ended, actor, strict, homeless = await asyncio.gather(
        *(
            tasker(*command, folder=tmp_path, TEMPORAL_ADDRESS=stall.address)
            for command in (
                (*given, "--wait", "--json"),
                (*given, "--actor", "ada"),
                (*given, "--identity", "strict"),
                given[:-2],
            )
        )
    )
    assert (ended.code, json.loads(ended.out)["state"]) == (0, "complete")
    assert one_line(actor).startswith("Error: --actor is kept only if the template is known here: name its app")
    assert one_line(strict).startswith("Error: --identity strict takes the template's version in: name its app")
    assert one_line(homeless).startswith("Error: nothing says where tasks of 'stall.sell' run: pass --task-queue")


async def test_a_queue_that_nobody_polls_is_told(stall: Stall) -> None:
    ended = await stall("start", "stall.idle", "--start-delay", "1h")
    assert ended.code == 0
    warning = f"Warning: no worker polls task queue '{stall.queue}-idle': the task waits until one does"
    assert ended.err.startswith(warning)


async def test_what_is_known_of_a_task_that_is_complete(stall: Stall, book: str) -> None:
    status, result, step, audit, graph = await stall.all(
        ("status", book, "--json"),
        ("result", book),
        ("result", book, "--step", "ship"),
        ("audit", book),
        ("graph", book, "--format", "mermaid"),
    )
    assert {ended.code for ended in (status, result, step, audit, graph)} == {0}
    assert json.loads(status.out)["counts"] == {"total": 2, "complete": 2}
    assert result.out.startswith(f"{book}  complete  100 %")
    assert json.loads(step.out) == "shipped for 25"
    assert re.search(r"^ +1  0\.00 s  task +→ pending +task\.initialize_requested +\S+@\S+: try$", audit.out, re.M)
    assert audit.out.splitlines()[-1].split()[-2:] == ["row", "8"]
    assert "complete" in graph.out


async def test_a_task_that_failed_ends_the_verbs_with_1(stall: Stall, brick: str) -> None:
    ended = await stall.all(("status", brick), ("result", brick), ("watch", brick), ("result", brick, "--step", "ship"))
    assert [each.code for each in ended] == [1, 1, 1, 1]
    assert "PermanentError: nobody buys bricks" in ended[0].out
    assert "task  in_progress -> error  task.failed  (row " in ended[2].out
    assert ended[3].err == f"Error: step 'ship' of task {brick!r} is pending: it has no result\n"


async def test_no_colours_in_a_pipe_and_none_if_nobody_wants_them(stall: Stall, brick: str) -> None:
    piped, forced, unwanted = await asyncio.gather(
        stall("status", brick),
        stall("status", brick, FORCE_COLOR="1"),
        stall("status", brick, FORCE_COLOR="1", NO_COLOR="1"),
    )
    assert "\x1b" not in piped.out
    assert "\x1b[31m" in forced.out
    assert not re.search(r"\x1b\[3\dm", unwanted.out)


async def test_an_exported_audit_verifies_without_server_and_app(stall: Stall, book: str, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    exported, shown = await stall.all(("audit", book, "--export", str(file)), ("audit", book, "--json"))
    assert (exported.code, shown.out) == (0, file.read_text())
    lines = file.read_text().splitlines()
    head = json.loads(lines[0])["head"]
    changed, short, late, strange = (tmp_path / name for name in ("changed", "short", "late", "strange"))
    changed.write_text("\n".join([*lines[:3], lines[3].replace('"tasker"', '"nobody"'), *lines[4:]]))
    short.write_text("\n".join(lines[:-1]))
    late.write_text("\n".join([lines[0], *lines[2:]]))
    strange.write_text("\n".join([*lines[:2], lines[2].replace("{", '{"more":1,', 1), *lines[3:]]))
    files = (file, changed, short, late, strange, stall.folder / "stall.py", tmp_path / "none")
    commands = (("audit", "--verify", str(each)) for each in files)
    ended = await asyncio.gather(*(tasker(*each, folder=tmp_path, TEMPORAL_ADDRESS="127.0.0.1:1") for each in commands))
    assert ended[0].code == 0
    assert f"Task {book}: 9 rows, each chained to the one before it.\nhead {head}\n" in ended[0].out
    assert one_line(ended[1], 1) == "Error: row 3 does not fit the chain: it was changed"
    assert one_line(ended[2], 1) == "Error: row 9 is missing: the file ends before it"
    assert one_line(ended[3], 1) == "Error: row 1 is missing: row 2 came instead"
    assert one_line(ended[4], 1) == "Error: row 2 is no row of an audit: it was changed"
    assert "stall.py' is no exported audit: expected one of `tasker audit TASK --export FILE`" in one_line(ended[5], 1)
    assert "none' cannot be read: No such file or directory; to verify a task: tasker audit" in one_line(ended[6])


async def test_audit_verifies_a_task_of_the_server(stall: Stall, book: str) -> None:
    plain, told, both = await stall.all(
        ("audit", book, "--verify"), ("audit", book, "--json", "--verify"), ("audit", book, "--verify", "file")
    )
    answer = json.loads(told.out)
    assert f"head {answer['head']}" in plain.out
    assert (answer["rows"], answer["verified"]) == (9, True)
    assert one_line(both).startswith("Error: --verify takes TASK or the file 'file', not both.")


async def test_watch_tells_each_transition_as_it_comes(stall: Stall) -> None:
    task = f"wait-{uuid.uuid4()}"
    started = await stall("start", "stall.wait", "--id", task)
    assert started.code == 0
    async with Running("watch", task, folder=stall.folder, TEMPORAL_ADDRESS=stall.address) as watching:
        await watching.until("open_shop  pending -> in_progress  step.execution_requested")
        (stall.folder / "opened").touch()
        await watching.until("open_shop  in_progress -> complete  step.completed")
        ended = await watching.ended()
    (stall.folder / "opened").unlink()
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 6


async def test_a_cancelled_task_says_who_and_why(stall: Stall) -> None:
    task = f"wait-{uuid.uuid4()}"
    await stall("start", "stall.wait", "--id", task)
    told = await stall("cancel", task, "--actor", "ada", "--reason", "closed today")
    watched = await stall("watch", task, "--json")
    again, audit, listed = await stall.all(
        ("cancel", task, "--reason", "again"), ("audit", task), ("list", "--state", "cancelled", "--json")
    )
    assert re.search(r"task +noted +task\.cancel_requested +ada: closed today", told.out)
    assert told.err == f"To follow it: tasker watch {task}\n"
    assert watched.code == 1
    assert json.loads(watched.out.splitlines()[-1])["to"] == "cancelled"
    assert one_line(again).startswith("Error: the task is cancelled: only an open task takes requests")
    assert "ada: closed today" in audit.out
    assert task in [line["task_id"] for line in json.loads(listed.out)]


async def test_list_knows_what_visibility_knows(stall: Stall, book: str, brick: str, client: Client) -> None:
    plain, failed, other, none = await stall.all(
        ("list", "--limit", "100"),
        ("list", "--state", "error", "--template", "stall.sell", "--json", "--limit", "100"),
        ("list", "--template", "stall.wait", "--json"),
        ("list", "--template", "it's none"),
    )
    assert re.search(rf"^{book} +stall\.sell +complete +\S+ \S+ +\S+ \S+$", plain.out, re.MULTILINE)
    assert brick in [line["task_id"] for line in json.loads(failed.out)]
    assert {line["state"] for line in json.loads(failed.out)} == {"error"}
    assert {line["template"] for line in json.loads(other.out)} <= {"stall.wait"}
    assert (none.code, none.out, none.err) == (0, "", "No task was found.\n")


async def test_pictures_of_templates_and_machines_need_no_server(stall: Stall, tmp_path: Path) -> None:
    svg = tmp_path / "sell.svg"
    drawn, written, told, machine, nowhere = await asyncio.gather(
        *(
            stall("graph", *command, TEMPORAL_ADDRESS="127.0.0.1:1")
            for command in (
                ("stall.sell",),
                ("stall.sell", "--output", str(svg)),
                ("stall.sell", "--json"),
                ("--machine", "step", "--format", "dot"),
                ("stall.sell", "--output", str(tmp_path / "none" / "sell.svg")),
            )
        )
    )
    assert (drawn.code, written.code, written.out) == (0, 0, "")
    assert "charge" in drawn.out
    assert svg.read_text().startswith("<svg")
    assert json.loads(told.out)["edges"] == [{"source": "charge", "target": "ship", "kind": "result", "label": ""}]
    assert machine.out.startswith("digraph")
    assert one_line(nowhere).endswith("sell.svg' cannot be written: No such file or directory")


async def test_a_schedule_lives(stall: Stall) -> None:
    name = f"nightly-{uuid.uuid4()}"
    given = ("schedule", "create", name, "--template", "stall.sell", "--context", BOOK)
    created = await stall(*given, "--cron", "0 3 * * *", "--every", "1h30m", "--overlap", "buffer-one")
    assert (created.code, created.out) == (0, f"Schedule {name} starts tasks of stall.sell.\n")
    again, triggered, paused = await stall.all(
        (*given, "--every", "1h"), ("schedule", "trigger", name), ("schedule", "pause", name, "--note", "a holiday")
    )
    assert one_line(again) == f"Error: there is a schedule {name!r} already: delete it, or take another id"
    assert (triggered.code, paused.code) == (0, 0)
    listed = await stall.scheduled(name, lambda mine: mine["paused"])
    assert (listed["template"], listed["note"]) == ("stall.sell", "a holiday")
    assert (await stall("schedule", "unpause", name)).out == f"Schedule {name} goes on.\n"
    assert (await stall("schedule", "delete", name)).code == 0
    assert one_line(await stall("schedule", "delete", name)).startswith(f"Error: there is no schedule {name!r} in")


WRONG = {
    ("start", "stall.buy"): "Error: the app has no template 'stall.buy': it has stall.sell, stall.wait, stall.idle, st",
    ("start", "stall.adrift"): "Error: template 'stall.adrift' names no task queue: pass --task-queue, or give the te",
    ("start", "stall.sell", "--context", "{"): "Error: --context '{' is not JSON (Expecting property name",
    ("start", "stall.sell", "--context", "@none"): "Error: file 'none' cannot be read for --context: No such file or",
    ("start", "stall.sell", "--context", '{"cents": "x"}'): "Error: the context of 'stall.sell' is not valid: "
    "item: Field required; cents: Input should be a valid integer, unable to parse string as an integer; nothing was s",
    ("start", "stall.sell", "--app", "none:app"): "Error: there is no module 'none' in ",
    ("start", "stall.sell", "--start-delay", "3x"): "Error: Invalid value for '--start-delay': '3x' is no duration",
    ("start",): "Error: Missing argument 'TEMPLATE'. See: tasker start --help",
    ("audit",): "Error: Missing argument 'TASK'. See: tasker audit --help",
    ("status", "none"): "Error: there is no task 'none' in namespace 'default': look for it with `tasker list`",
    ("result", "none"): "Error: there is no task 'none' in namespace 'default': look for it with `tasker list`",
    ("watch", "none"): "Error: there is no task 'none' in namespace 'default': look for it with `tasker list`",
    ("audit", "none"): "Error: there is no task 'none' in namespace 'default': look for it with `tasker list`",
    ("cancel", "none", "--reason", "x"): "Error: there is no task 'none' in namespace 'default'",
    ("cancel", "none"): "Error: Missing option '--reason'. See: tasker cancel --help",
    ("retry", "--reason", "x"): "Error: Missing argument 'TASK', or --query. See: tasker retry --help",
    ("retry", "none", "--query", "x", "--reason", "x"): "Error: It takes TASK or --query, not both. See: tasker retry",
    ("retry", "--query", "x is 3", "--reason", "x"): "Error: the server refuses query 'x is 3' (invalid_argument):",
    ("retry", "none", "--plan", "--reason", "x"): "Error: there is no task 'none' in namespace 'default'",
    ("skip", "none", "--reason", "x"): "Error: Missing argument 'STEP'. See: tasker skip --help",
    ("complete-step", "none", "a", "--reason", "x", "--result", "{"): "Error: --result '{' is not JSON (Expecting pro",
    ("change-step", "none", "a", "--reason", "x", "--attempts", "0"): "Error: Invalid value for '--attempts': 0 is not",
    ("graph", "none"): "Error: there is no template or task 'none' in namespace 'default'",
    ("status", "none", "--address", "127.0.0.1:1"): "Error: no Temporal server answers at 127.0.0.1:1 (Connection re",
    ("status", "none", "--address", "nonsense"): "Error: address 'nonsense': expected HOST:PORT",
    ("status", "none", "--tls"): "Error: no connection to the server at 127.0.0.1:",
    ("status", "none", "--tls-ca-path", "none"): "Error: Invalid value for '--tls-ca-path': File 'none' does not exi",
    ("schedule", "create", "x", "--template", "stall.wait"): "Error: nothing says when schedule 'x' starts tasks: pas",
    ("schedule", "create", "x", "--template", "stall.wait", "--cron", "y"): "Error: the server refuses schedule 'x' (",
    ("schedule", "pause", "none"): "Error: there is no schedule 'none' in namespace 'default': look for it with",
    ("sell",): "Error: No such command 'sell'. See: tasker --help",
}


async def test_each_mistake_is_one_line_and_code_2(stall: Stall) -> None:
    commands = list(WRONG)
    for start in range(0, len(commands), 8):
        some = commands[start : start + 8]
        for command, ended in zip(some, await stall.all(*some), strict=True):
            assert one_line(ended).startswith(WRONG[command]), command


async def test_a_pyproject_that_names_no_app_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "[tool.tasker]\napp = 3\n"})
    assert "is 3: expected a text, as" in one_line(await tasker("worker", folder=tmp_path))
    write(tmp_path, {"pyproject.toml": "[tool"})
    assert "pyproject.toml' is not TOML: " in one_line(await tasker("worker", folder=tmp_path))


def documented(path: str) -> dict[str, set[str]]:
    """The keys of what `--json` prints, as the help has them, each with the keys below it."""
    found: click.Command = cli.tasker
    for word in path.split():
        found = getattr(found, "commands", {})[word]
    [option] = [parameter for parameter in found.params if parameter.name == "as_json"]
    assert isinstance(option, click.Option)
    said = (option.help or "").removeprefix("Print JSON: ").partition(";")[0].rpartition(": ")[2]
    keys = re.finditer(r"(\w+)(?: \(([^)]*)\))?(?:, |$)", said.removeprefix("a list of "))
    return {key[1]: set((key[2] or "").split(", ")) - {""} for key in keys}


def first(value: Any) -> Any:
    """One of many, if it is many."""
    if isinstance(value, dict):
        value = list(value.values())
    return value[0] if isinstance(value, list) and value else value


async def test_what_json_prints_is_what_the_help_says(stall: Stall, book: str) -> None:
    name = f"seldom-{uuid.uuid4()}"
    given = ("--template", "stall.sell", "--context", BOOK, "--every", "365d", "--paused")
    await stall("schedule", "create", name, *given)
    asked = {
        "start": ("stall.sell", "--context", BOOK),
        "status": (book,),
        "result": (book,),
        "why": (book,),
        "list": ("--template", "stall.sell"),
        "graph": ("stall.sell",),
        "watch": (book,),
        "schedule list": (),
        "schedule pause": (name,),
        "setup": (),
        "check": (),
        "plan": ("stall.sell",),
        "events list": (),
        "events show": ("task.completed",),
        "new": ("a-stall",),
    }
    ended = await stall.all(*((*verb.split(), *arguments, "--json") for verb, arguments in asked.items()))
    for verb, each in zip(asked, ended, strict=True):
        assert (each.code, each.err) in ((0, ""), (1, "")), (verb, each)
        told = json.loads(each.out.splitlines()[0] if verb == "watch" else each.out)
        told = told[0] if isinstance(told, list) else told
        expected = documented(verb)
        assert told.keys() == expected.keys(), verb
        for key, below in expected.items():
            assert not below or not told[key] or first(told[key]).keys() == below, (verb, key)
        # Not of ids: those of tasks that a schedule has started end with a time of Temporal's own form.
        assert not re.search(r'"(\w+_at|since|until)":"[^"]*Z"', each.out), f"{verb} writes a time in a form of its own"
