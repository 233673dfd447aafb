"""Templates that do not run yet are checked, compared, planned, exported and drawn, without a server."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.kit import ROOT, tasker

ORDER = """\
name: shop.order
steps:
  check: {result: int}
  charge: {takes: {amount: check}, timeout: 5s}
  ship: {after: charge}
"""
APP = """
from tasker_temporal import TaskTemplate, result_of

order = TaskTemplate("shop.order", task_queue="shop")
other = TaskTemplate("shop.other", context=int)

@order.step
def check() -> int:
    return 1

@order.step
def charge(amount: int = result_of(check)) -> str:
    return str(amount)

app = [order, other]
"""


def put(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path / "order.yaml", ORDER)
    put(tmp_path / "shop.py", APP)
    return tmp_path


async def test_a_sound_file_is_checked_and_ends_with_0(folder: Path) -> None:
    ended = await tasker("check", "order.yaml", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "shop.order 1.0.0: 3 steps, 0 errors, 0 warnings, 0 info\n"


async def test_a_warning_counts_if_asked_and_has_its_place(folder: Path) -> None:
    put(folder / "order.yaml", ORDER.replace("timeout: 5s", "timeout: 5s, deadline: 1s"))
    ended = await tasker("check", "order.yaml", folder=folder)
    assert ended.code == 0
    assert ended.out.startswith("order.yaml:4:49: warning TT-C010 step 'charge': its deadline of 1s is over before")
    strict = await tasker("check", "order.yaml", "--strict", "--json", folder=folder)
    assert strict.code == 1
    [finding, *_] = json.loads(strict.out)[0]["findings"]
    assert (finding["code"], finding["file"], finding["line"]) == ("TT-C010", "order.yaml", 4)


async def test_a_file_that_is_not_sound_shows_every_mistake_and_ends_with_1(folder: Path) -> None:
    put(folder / "order.yaml", ORDER.replace("timeout", "timout").replace("after: charge", "after: chrge"))
    ended = await tasker("check", "order.yaml", folder=folder)
    assert (ended.code, ended.err) == (1, "")
    assert "order.yaml:4:36: TT-Y010: step 'charge' has an unknown key 'timout'; did you mean 'timeout'?" in ended.out
    assert "order.yaml:5:17: TT-Y020" in ended.out
    assert ended.out.endswith("order.yaml: 2 errors\n")


async def test_the_app_is_checked_template_by_template(folder: Path) -> None:
    ended = await tasker("check", "--app", "shop:app", folder=folder)
    assert ended.code == 0
    assert "shop.order 1.0.0: 2 steps, 0 errors" in ended.out
    assert "warning TT-C035 the template has no steps" in ended.out
    one = await tasker("check", "shop.order", "--app", "shop:app", "--strict", folder=folder)
    assert (one.code, "shop.other" in one.out) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check",), "Missing option '--app'"),
        (("check", "none.yaml"), "there is no file 'none.yaml'"),
        (
            ("check", "shop.none", "--app", "shop:app"),
            "the app has no template 'shop.none': it has shop.order, shop.other",
        ),
        (("check", "order.yaml", "--against", "x"), "expected FILE.yaml, FILE.json of `tasker export`, or MODULE:ATTR"),
        (("check", "order.yaml", "--against", "none:app"), "there is no module 'none'"),
        (("check", "."), "'.' is no YAML file, and nothing names an app"),
        (("check", "folder.yaml"), "'folder.yaml' is no file"),
        (
            ("check", "order.yaml", "--against", "broken.yaml"),
            "--against 'broken.yaml' is not sound: broken.yaml:1:1",
        ),
        (("plan", "--app", "shop:app"), "name one of shop.order, shop.other"),
        (("plan", "order.yaml", "--durations", "order.yaml"), "is no JSON"),
        (("plan", "shop.other", "--app", "shop:app", "--context", '"x"'), "the context of 'shop.other' is not valid: "),
        (("export", "shop.sell"), "'shop.sell' is no YAML file, and nothing names an app"),
    ],
)
async def test_wrong_use_is_one_line_and_ends_with_2(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    (folder / "folder.yaml").mkdir()
    put(folder / "broken.yaml", "nam: shop.order\nsteps: {a: {tiemout: 5s}}\n")
    ended = await tasker(*arguments, folder=folder)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


async def test_an_edit_is_compared_with_a_yaml_file_a_json_file_and_another_checkout(folder: Path) -> None:
    old = folder / "old"
    old.mkdir()
    put(old / "shop.py", APP.replace("return 1", "return 2").replace("charge", "pay"))
    exported = await tasker("export", "shop.order", "--app", "shop:app", "--format", "json", folder=old)
    put(folder / "old.json", exported.out)
    in_yaml = await tasker("export", "shop.order", "--app", "shop:app", "--output", "../old.yaml", folder=old)
    assert in_yaml.code == 0
    asked = ("check", "shop.order", "--app", "shop:app", "--against")
    told = [
        await tasker(*asked, *against, folder=folder)
        for against in (("old.json",), ("old.yaml",), ("shop:order", "--against-folder", "old"))
    ]
    assert [ended.code for ended in told] == [0, 0, 0], told
    assert told[0].out == told[1].out == told[2].out
    assert "  step charge: added\n  step pay: removed\n" in told[0].out
    assert "Tasks that run are untouched: they keep the graph that they started with.\n" in told[0].out
    assert "As long as they run, workers must serve shop.order.pay.\n" in told[0].out
    assert "warning TT-C050 step 'pay' is gone" in told[0].out


async def test_a_template_that_is_new_or_gone_is_told(folder: Path) -> None:
    old = folder / "old"
    old.mkdir()
    put(old / "shop.py", APP.replace("shop.other", "shop.third"))
    asked = ("check", "--app", "shop:app", "--against", "shop:app", "--against-folder", "old")
    ended = await tasker(*asked, folder=folder)
    assert ended.code == 0
    assert "There was no such template before: all of it is new.\nshop.other 1.0.0" in ended.out
    assert ended.out.endswith("shop.third is gone: its running tasks still need workers that serve it\n")


async def test_a_plan_tells_the_order_the_history_and_the_critical_path(folder: Path) -> None:
    put(folder / "durations.json", '{"check": "2s", "charge": {"takes": 90, "bytes": 5000}}')
    ended = await tasker("plan", "order.yaml", "--durations", "durations.json", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(
        "shop.order 1.0.0: complete after 1m33s\n\n  1  at 0s       check\n  2  at 2s       charge\n"
    )
    assert re.search(
        r"critical path  check -> charge -> ship\nhistory        23 events; about \d[\d.]* kB\n", ended.out
    )
    plain = await tasker("plan", "order.yaml", "--json", folder=folder)
    told = json.loads(plain.out)
    assert (told["takes"], told["events"], told["critical_path"]) == (3.0, 23, ["check", "charge", "ship"])
    assert told["waves"][1] == {"at": 1.0, "steps": ["charge"]}


async def test_a_file_is_drawn(folder: Path) -> None:
    ended = await tasker("graph", "order.yaml", "--format", "mermaid", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    assert "s_check --> s_charge" in ended.out


async def test_the_schema_is_printed_as_it_is_published(folder: Path) -> None:
    ended = await tasker("schema", "--output", "tasker.schema.json", folder=folder)
    assert ended.code == 0
    published = (ROOT / "tasker_temporal/yaml/tasker.schema.json").read_text()
    assert (folder / "tasker.schema.json").read_text() == published
