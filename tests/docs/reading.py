"""Reads a page as somebody does who tries everything on it, from top to bottom.

Rule 1: a block with a title is written to a file of that name, and imported if it is Python. Every other Python block
    is run beside these files, in one namespace for the page, and may use `await`.
Rule 2: what a block prints stands in the `text` block after it.
Rule 3: `client`, if the page does not make one, is connected with all templates that the page declared before. When it
    is first used, or Temporal's command is, workers begin to serve these templates.
Rule 4: commands are run if they are `temporal`'s or `tasker`'s, or run a file of the page; what is shown below one is
    what it says. A server is not started, and a worker runs until the page ends.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from tasker_temporal import TaskerPlugin, TaskTemplate
from tasker_temporal.dev import DevServer
from tests.docs.blocks import Block, blocks, namespace
from tests.docs.commands import Command, commands, run, started, stopped
from tests.patience import PATIENCE

SAID = "localhost:7233"
"""The address that the pages name."""

NOT_HERE = {("temporal", "server"), ("tasker", "dev"), ("tasker", "demo")}
"""Commands that bring a server of their own."""

connect = Client.connect


class Reading:
    """One page while it is read."""

    def __init__(self, page: Path, folder: Path, server: DevServer) -> None:
        self._page, self._folder, self._server = page, folder, server
        self._names: dict[str, Any] = {"__name__": f"page_{page.stem}"}
        self._modules: dict[str, ModuleType] = {}
        self._printed: tuple[str, str] | None = None
        self._open = AsyncExitStack()

    async def read(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Client, "connect", self._connect)
            patch.syspath_prepend(str(self._folder))
            patch.chdir(self._folder)
            try:
                async with asyncio.timeout(PATIENCE), self._open:
                    for block in blocks(self._page):
                        await self._try(block)
                self._check_printed(None)
            finally:
                for name in self._modules:
                    sys.modules.pop(name, None)

    async def _connect(self, target: str, **options: Any) -> Client:
        assert target == SAID, f"{self._page}: connect to {SAID!r}, not to {target!r}"
        return await connect(self._server.target, **{"namespace": namespace(self._page), **options})

    async def _try(self, block: Block) -> None:
        self._check_printed(block)
        if block.language == "python" and block.title:
            self._file(block)
        elif block.language == "python":
            await self._run(block)
        elif block.title:
            (self._folder / block.title).write_text(block.text)
        elif block.language in ("console", "sh"):
            for command in commands(block):
                await self._command(command)

    def _check_printed(self, block: Block | None) -> None:
        """Rule 2."""
        printed, self._printed = self._printed, None
        if printed is not None:
            shown = block.text if block is not None and block.language == "text" else ""
            assert shown == printed[1], f"{printed[0]} prints something else:\n{printed[1]}"

    def _file(self, block: Block) -> None:
        """Rule 1. Run by a command, the file finds the tests' server, and there the page's namespace."""
        path = self._folder / block.title
        path.write_text(block.text)
        self._modules[path.stem] = importlib.import_module(path.stem)
        there = f'"{self._server.target}", namespace="{namespace(self._page)}"'
        path.write_text(block.text.replace(f'"{SAID}"', there))

    async def _run(self, block: Block) -> None:
        output = io.StringIO()
        tree = ast.increment_lineno(ast.parse(block.text, block.place), block.line - 1)
        for statement in tree.body:
            if _uses_client(statement):
                await self._serve()
            module = ast.Module([statement], type_ignores=[])
            code = compile(module, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            with contextlib.redirect_stdout(output):
                await _call(code, self._names)
        if output.getvalue():
            self._printed = block.place, output.getvalue()

    async def _serve(self) -> None:
        """Rule 3."""
        if "client" in self._names:
            return
        templates = list(self._templates())
        client = await Client.connect(SAID, plugins=[TaskerPlugin(*templates)])
        self._names["client"] = client
        for queue in dict.fromkeys(queue for template in templates for queue in _queues(template)):
            await self._open.enter_async_context(Worker(client, task_queue=queue))

    def _templates(self) -> Iterator[TaskTemplate[Any]]:
        names = [self._names, *(vars(module) for module in self._modules.values())]
        found = {id(value): value for known in names for value in known.values() if isinstance(value, TaskTemplate)}
        yield from found.values()

    async def _command(self, command: Command) -> None:
        """Rule 4."""
        program, first, *_ = *command.words, ""
        if (program, first) in NOT_HERE:
            return
        if (program, first) == ("tasker", "worker"):
            self._open.push_async_callback(stopped, await started(command, self._folder, self._environment))
        elif program in ("temporal", "tasker"):
            await self._serve()
            await run(command, self._folder, self._environment)
        elif (self._folder / first).is_file():
            await run(command, self._folder, self._environment)

    @property
    def _environment(self) -> Mapping[str, str]:
        named = {"TEMPORAL_ADDRESS": self._server.target, "TEMPORAL_NAMESPACE": namespace(self._page)}
        return os.environ | named | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _uses_client(statement: ast.stmt) -> bool:
    """It reads a `client` of the page, and does so now."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return False
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id == "client"]
    return bool(names) and not any(isinstance(name.ctx, ast.Store) for name in names)


async def _call(code: CodeType, names: dict[str, Any]) -> None:
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)
    else:
        exec(code, names)


def _queues(template: TaskTemplate[Any]) -> Iterator[str]:
    for queue in (template.compiled.task_queue, *(step.task_queue for step in template.compiled.steps)):
        if queue is not None:
            yield queue
