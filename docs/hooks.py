"""
Prints into the pages what the code itself knows best: tables, events, errors, options.

Rule 1: a page asks with a comment, `<!-- generated: NAME ARGUMENTS -->`, and gets what `PARTS[NAME]` returns.
Rule 2: nothing here holds a fact. Every cell is read from a table, a model or a docstring.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from temporalio import workflow

import tasker_temporal
from tasker_temporal import errors, requests, why
from tasker_temporal.approval_notice import ApprovalNotice
from tasker_temporal.cli import SECTIONS, tasker
from tasker_temporal.cli.options import CONNECTION, stacked
from tasker_temporal.client import StartOptions
from tasker_temporal.core import report, template, waiting
from tasker_temporal.core.approval import Approval
from tasker_temporal.core.catalogue import EVENTS
from tasker_temporal.core.events import RowWritten
from tasker_temporal.core.machine import STEP_TABLE, TASK_TABLE, State, Table
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.routes import Route
from tasker_temporal.core.subscribers import SUBSCRIPTIONS, Subscriber
from tasker_temporal.core.task_types import TYPES, Move, TaskType
from tasker_temporal.declare import ApprovalOptions, StepOptions, TemplateOptions
from tasker_temporal.graph import FORMATS, machine_of
from tasker_temporal.sinks import TaskEvent
from tasker_temporal.telemetry import catalogue as telemetry
from tasker_temporal.telemetry.environment import VARIABLES
from tasker_temporal.telemetry.logs import FIELDS
from tasker_temporal.workflow import workflow_class
from tasker_temporal.yaml.schema import PUBLISHED, field_docs, published_schema

TABLES: Final[Mapping[str, Table]] = {"task": TASK_TABLE, "step": STEP_TABLE}

MODELS: Final[Mapping[str, type[BaseModel]]] = {
    model.__name__: model
    for model in (
        Retry,
        template.Limits,
        template.Sink,
        TaskEvent,
        report.TaskReport,
        report.StepReport,
        report.ErrorReport,
        waiting.Wait,
        Approval,
        Route,
        ApprovalNotice,
        Move,
        TaskType,
        why.Explanation,
        why.Reason,
    )
} | {kind.__name__: kind for kind in requests.KINDS.values()}

OPTIONS: Final[Mapping[str, Any]] = {
    "step": (StepOptions, StepOptions.__doc__, template.StepTemplate.model_fields),
    "template": (TemplateOptions, tasker_temporal.TaskTemplate.__doc__, template.Template.model_fields),
    "approval": (ApprovalOptions, ApprovalOptions.__doc__, Approval.model_fields),
    "start": (StartOptions, StartOptions.__doc__, {}),
}
"""Their types, what is said of them, and where their defaults are, if not in the text."""


def transitions(entity: str) -> str:
    """Every legal move of a task, of a step, or of a task of a named type, and the event that it publishes."""
    found = TYPES[entity].table if entity in TYPES else TABLES[entity]
    rows = ((_code(old or "(none)"), _code(new), _code(event)) for (old, new), event in found.items())
    return table(("from", "to", "event"), rows)


def states() -> str:
    """Every state, and whether tasks, steps, or both can be in it."""
    reached = {entity: {to for _, to in found} for entity, found in TABLES.items()}
    reached["task"] |= {to for kind in TYPES.values() for _, to in kind.table}
    rows = ((_code(state), *("yes" if state in reached[entity] else "no" for entity in TABLES)) for state in State)
    return table(("state", "a task", "a step"), rows)


def subscriptions() -> str:
    """Who listens to what."""
    rows = ((_code(event), "<br>".join(map(_listener, heard))) for event, heard in SUBSCRIPTIONS.items())
    return table(("event", "subscribers, in this order"), rows)


def _listener(subscriber: Subscriber) -> str:
    module = subscriber.__module__.rpartition(".")[2]
    return f"{_code(subscriber.__name__)} in {_code(module)}"


def events() -> str:
    """Every event that can be published."""
    return table(("event", "what happened", "a row of the audit", "payload", "heard by"), map(_event, EVENTS))


def _event(name: str) -> Sequence[str]:
    payload = EVENTS.payload(name)
    heard = ", ".join(_code(subscriber.__name__) for subscriber in SUBSCRIPTIONS.get(name, ()))
    row = "yes" if issubclass(payload, RowWritten) else "no"
    return _code(name), EVENTS[name].description, row, _code(payload.__name__), heard or "nobody"


def payloads() -> str:
    """The fields of each payload, and what is said of it."""
    rows = (
        (_code(shape.__name__), _fields(shape), _line(vars(shape).get("__doc__")))
        for shape in dict.fromkeys(EVENTS.payload(name) for name in EVENTS)
    )
    return table(("payload", "fields", ""), rows)


def _fields(shape: type[BaseModel]) -> str:
    return "<br>".join(f"{_code(name)}: {_type(info.annotation)}" for name, info in shape.model_fields.items())


MACHINES: Final[Mapping[str, Literal["task", "step"]]] = {"task": "task", "step": "step"}


def picture(entity: str) -> str:
    """A machine, drawn from its table."""
    return f'<div class="picture">{FORMATS["svg"](machine_of(TYPES.get(entity) or MACHINES[entity]))}</div>'


def error_tree() -> str:
    """The tree at the top of `errors`, with what each class says of itself."""
    found = re.findall(r"^ *[*·-] (\w+) *(.*)$", inspect.getdoc(errors) or "", re.MULTILINE)
    return table(("error", "is a", "what to do", "when"), (_error(getattr(errors, name), hint) for name, hint in found))


def _error(error: type[Exception], hint: str) -> Sequence[str]:
    return _code(error.__name__), _code(error.__bases__[0].__name__), hint, _line(error.__doc__)


def options(whose: str) -> str:
    """The options of a step, a template or a start, with their types."""
    typed, doc, fields = OPTIONS[whose]
    said = _entries(inspect.cleandoc(doc), ("Args", "Keys"))
    rows = [
        (_code(name), _type(hint), said.get(name, ""), _default(fields[name]) if name in fields else "")
        for name, hint in typed.__annotations__.items()
    ]
    return (
        table(("option", "type", "", "default"), rows)
        if fields
        else table(("option", "type", ""), (row[:3] for row in rows))
    )


def _entries(doc: str, sections: Sequence[str]) -> dict[str, str]:
    """The entries of a docstring's section."""
    body = next((doc.partition(f"\n{name}:\n")[2] for name in sections if f"\n{name}:\n" in doc), "")
    body = re.split(r"\n\S", body)[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", body, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def model(name: str) -> str:
    """The fields of a model, with their defaults."""
    said = field_docs(MODELS[name])
    rows = (
        (_code(field), _type(info.annotation), _default(info), said.get(field, ""))
        for field, info in MODELS[name].model_fields.items()
    )
    return table(("field", "type", "default", ""), rows)


def _default(info: Any) -> str:
    default = info.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return _code(f"{type(default).__name__}()")
    return "" if info.is_required() or default in (None, "", (), {}) else _code(default)


def doors(kind: str) -> str:
    """The queries, updates or signals of a task's workflow."""
    defined = workflow._Definition.must_from_class(workflow_class("doors"))
    handlers: Iterable[Any] = getattr(defined, kind).values()
    rows = ((_code(handler.name or "(any other name)"), handler.description) for handler in handlers)
    return table(("name", ""), rows)


def commands() -> str:
    """Every subcommand of `tasker`, in the order of its help, with its options; what many have in common once."""
    sections = (f"## {title}\n\n{_section(names)}" for title, names in SECTIONS.items())
    return "\n\n".join([*sections, f"## The connection\n\n{COMMON}\n\n{_options(_COMMON)}"])


COMMON = """Every command that asks a server takes these. Without them Temporal's own environment variables
(`TEMPORAL_ADDRESS`, ...) and configuration file say where it is."""


_COMMON = click.command()(stacked(CONNECTION, lambda: None))
_CONNECTS = {parameter.name for parameter in _COMMON.params}


def _section(names: Sequence[str]) -> str:
    return "\n\n".join(_command(*found) for name in names for found in _with_below(name))


def _with_below(name: str) -> Iterator[tuple[str, click.Command]]:
    command = tasker.commands[name]
    yield name, command
    if isinstance(command, click.Group):
        yield from ((f"{name} {below}", each) for below, each in command.commands.items())


def _command(name: str, command: click.Command) -> str:
    said, _, examples = inspect.cleandoc(command.help or "").partition("\b\n")
    shown = inspect.cleandoc(examples.partition("\n")[2])
    parts = [f"### tasker {name}", said.strip(), f"```sh\n{shown}\n```" if shown else "", _options(command)]
    if any(parameter.name in _CONNECTS for parameter in command.params):
        parts.append("And the options of [the connection](#the-connection).")
    return "\n\n".join(filter(None, parts))


def _options(command: click.Command) -> str:
    context = click.Context(command)
    own = [each for each in command.params if command is _COMMON or each.name not in _CONNECTS]
    options = [found for parameter in own if (found := parameter.get_help_record(context)) is not None]
    return table(("option", ""), ((_code(option), said) for option, said in options)) if options else ""


def spans() -> str:
    """Every kind of span that telemetry tells of."""
    said = telemetry.SPANS.values()
    rows = ((_code(span.name), span.kind, span.parent, span.span) for span in said)
    return table(("span", "kind", "below", "lasts"), rows)


def metrics() -> str:
    """Every metric, with its labels."""
    rows = (
        (_code(name), "seconds" if metric.unit else "count", ", ".join(map(_code, metric.labels)), metric.description)
        for name, metric in telemetry.METRICS.items()
    )
    return table(("metric", "", "labels", ""), rows)


def _listed(what: str, said: Mapping[str, str]) -> str:
    return table((what, ""), ((_code(name), text) for name, text in said.items()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""

    def lines() -> Iterator[str]:
        yield _row(head)
        yield _row(["---"] * len(head))
        for row in rows:
            yield _row(row)

    return "\n".join(lines())


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Within code a bar is none that divides cells, and would be shown as it is written."""
    parts = text.split("`")
    parts[::2] = [part.replace("|", "&#124;") for part in parts[::2]]
    return "`".join(parts)


def _code(text: object) -> str:
    return f"`{text}`"


def _type(hint: Any) -> str:
    """The annotation as people write it."""
    text = getattr(hint, "__forward_arg__", None) or inspect.formatannotation(hint)
    plain = re.sub(r"[\w.]*\.(?=\w)", "", text)
    # How a time is written is no part of its type.
    plain = re.sub(r"Annotated\[(\w+), PlainSerializer\(.*?'json'\)\]", r"\1", plain)
    plain = re.sub(r"Optional\[(\w+)\]", r"\1 | None", plain)
    return f"<code>{plain}</code>".replace("[", "&#91;")


def _line(text: str | None) -> str:
    """The first paragraph of a docstring."""
    return " ".join((text or "").partition("\n\n")[0].split())


PARTS: Final[Mapping[str, Callable[..., str]]] = {
    "states": states,
    "transitions": transitions,
    "subscriptions": subscriptions,
    "picture": picture,
    "events": events,
    "payloads": payloads,
    "errors": error_tree,
    "options": options,
    "model": model,
    "doors": doors,
    "commands": commands,
    "spans": spans,
    "metrics": metrics,
    "span_attributes": lambda: _listed("attribute", telemetry.ATTRIBUTES),
    "wait_kinds": lambda: _listed("kind", telemetry.WAITS),
    "log_fields": lambda: _listed("field", FIELDS),
    "otel_variables": lambda: _listed("variable", VARIABLES),
}

_ASKED = re.compile(r"<!-- generated: (?P<name>\w+)(?P<arguments>[ \w]*) -->")


def generated(markdown: str) -> str:
    """The page with all that it asks for."""
    return _ASKED.sub(lambda asked: PARTS[asked["name"]](*asked["arguments"].split()), markdown)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """What MkDocs calls for each page."""
    return generated(markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The JSON Schema of templates in YAML is published with the pages."""
    files.append(File.generated(config, PUBLISHED, content=published_schema()))
    return files
