"""The core is a function of its messages: it imports nothing that could tell it more, and repeats itself exactly."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasker_temporal import core
from tests.core.scenes import audits

SOURCES = sorted(Path(core.__path__[0]).rglob("*.py"))

ALLOWED = {
    "__future__",
    "base64",
    "cel_expr_python",
    "collections",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "fnmatch",
    "functools",
    "graphlib",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "operator",
    "pydantic",
    "pydantic_core",
    "re",
    "sys",
    "tasker_temporal.core",
    "tasker_temporal.durations",
    "tasker_temporal.errors",
    "typing",
    "unicodedata",
}

FORBIDDEN_CALLS = {"now", "utcnow", "today", "open", "print", "input", "exec", "eval", "id", "hash"}

ALONE = """
import sys, types
package = types.ModuleType("tasker_temporal")
package.__path__ = [{package!r}]
sys.modules["tasker_temporal"] = package
sys.path.insert(0, {root!r})
"""
"""Imports the core without the package's own `__init__`, which brings the shell."""

LOADED = """
import pydantic, pydantic_core
class What(pydantic.BaseModel):
    pydantic_loads: "dict[str, float]" = {}
before = set(sys.modules)
import tasker_temporal.core.engine, tasker_temporal.core.snapshot, tasker_temporal.core.waiting
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before if not name.startswith("_")}))
"""

AUDITS = "from tests.core.scenes import audits; print(audits())"


def python(code: str, seed: str = "0") -> str:
    alone = ALONE.format(package=str(SOURCES[0].parents[1]), root=str(Path(__file__).parents[2]))
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    ended = subprocess.run(
        [sys.executable, "-c", alone + code], env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_module_imports_only_what_has_no_clock_no_chance_and_no_way_out(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= ALLOWED
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            module = node.module or ""
            assert module in ALLOWED or module.startswith("tasker_temporal.core.") or module == "collections.abc"


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_module_awaits_nothing_and_asks_nobody_for_time_chance_or_identity(source: Path) -> None:
    for node in ast.walk(ast.parse(source.read_text())):
        assert not isinstance(node, (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Global))
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert name not in FORBIDDEN_CALLS or (name == "eval" and source.stem == "conditions")


def test_the_core_loads_nothing_that_is_not_allowed() -> None:
    assert {"tasker_temporal", "graphlib"} <= set(python(LOADED).split()) <= ALLOWED | {"tasker_temporal"}


def test_the_same_messages_give_the_same_bytes_in_any_process() -> None:
    assert python(AUDITS, seed="1") == python(AUDITS, seed="2") == audits()
