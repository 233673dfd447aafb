"""`tasker graph`: a template, a task or a state machine as a picture."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import to_json

from tasker_temporal.cli.app import find_app
from tasker_temporal.cli.connection import connected
from tasker_temporal.cli.options import Connection
from tasker_temporal.cli.process import CLEAN
from tasker_temporal.cli.screen import put
from tasker_temporal.cli.templates import in_yaml
from tasker_temporal.core.task_types import TYPES
from tasker_temporal.graph import FORMATS, Graph, graph_of, machine_of
from tasker_temporal.handle import TaskHandle
from tasker_temporal.plugin import TaskerPlugin
from tasker_temporal.reader import Reader
from tasker_temporal.yaml.source import is_path

SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg", ".txt": "ascii"}
"""The format of an output file, if nothing else says it."""


async def draw_machine(machine: str, form: str | None, output: Path | None) -> int:
    """Draw the states of a task, of a step, or of a type of tasks that has a name. Returns the exit code."""
    drawn = machine_of("task" if machine == "task" else "step") if machine not in TYPES else machine_of(TYPES[machine])
    return _put(drawn, form, output)


async def draw(
    name: str, form: str | None, output: Path | None, app: str | None, connection: Connection, *, type_alone: bool
) -> int:
    """Draw the YAML file, the app's template of that name, or the task of that id. Returns the exit code.

    Args:
        type_alone: Draw the states of its type.
    """
    plugin = None if is_path(name) else find_app(app, Path.cwd())
    if is_path(name):
        template = in_yaml(Path(name)).template
    elif plugin is not None and name in plugin.templates:
        template = plugin.templates[name].compiled
    else:
        return _put(await _task_graph(name, plugin, connection, type_alone=type_alone), form, output)
    return _put(machine_of(template.type) if type_alone else graph_of(template), form, output)


async def _task_graph(name: str, plugin: TaskerPlugin | None, connection: Connection, *, type_alone: bool) -> Graph:
    about = f"template or task {name!r}" if plugin else f"task {name!r}"
    async with connected(connection, about=about) as client:
        template = (await Reader(client, name).beginning()).template
        if type_alone:
            return machine_of(template.type)
        return graph_of(template, await TaskHandle(client, name).report())


def _put(graph: Graph, form: str | None, output: Path | None) -> int:
    chosen = form or SUFFIXES.get(output.suffix if output else "", "ascii")
    text = to_json(_plain(graph)).decode() if chosen == "json" else FORMATS[chosen](graph)
    put(text, output)
    return CLEAN


def _plain(graph: Graph) -> dict[str, object]:
    nodes, edges = ([item._asdict() for item in items] for items in (graph.nodes, graph.edges))
    return {"title": graph.title, "nodes": nodes, "edges": edges}
