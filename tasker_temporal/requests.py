"""The border at which requests arrive: JSON in, a typed request through the core's one door, an answer out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal.core.contents import handed_over
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.messages import Refused
from tasker_temporal.core.requests import Ask, Request, clipped
from tasker_temporal.core.rows import Row
from tasker_temporal.core.task import Task
from tasker_temporal.errors import RequestRefused
from tasker_temporal.payloads import raw, undecoded

ROWS_SHOWN = 100
"""An answer lists at most so many of the rows that followed; the audit has them all."""

SAID_LIMIT = 10_000
"""Characters of what a refusal says. It may name what it was given, and a worker cannot answer with megabytes."""

CONTENT_LIMIT = 1_000_000
"""Bytes of one update. The answer of one workflow task has it up to three times: as the request, checked in a marker,
and as what dependents are handed; and the server ends a run whose answer takes 4 MiB."""

_request: TypeAdapter[Ask] = TypeAdapter(Request)

KINDS: Mapping[str, type[Ask]] = {kind.model_fields["request"].default: kind for kind in get_args(get_args(Request)[0])}
"""The requests by the names under which they are sent."""


def parse(name: str | None, plain: Any) -> Ask:
    """Read a request. `name` is the one that the update's own name says.

    Raises:
        ApplicationError: of type `RequestInvalid`, naming every field that is wrong.
    """
    if isinstance(plain, RawValue):
        raise _invalid(f"{undecoded(plain.payload)}: expected a JSON object, as json/plain")
    if not isinstance(plain, Mapping):
        raise _invalid('a request is a JSON object, as {"actor": "ann", "reason": "customer called"}')
    if name is not None and plain.get("request", name) != name:
        raise _invalid(f"it says {plain['request']!r}, but it was sent as {name!r}")
    try:
        return _request.validate_python({**plain, "request": name} if name is not None else plain)
    except ValidationError as error:
        raise _invalid(_told(error, 1)) from error


def _told(error: ValidationError, outer: int = 0) -> str:
    """The problems in one line, each with the field that is wrong; of its place, so many parts are not told."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'][outer:] or ('request',))}: "
        f"{problem['msg'].removeprefix('Value error, ')}"
        for problem in problems
    )


def require_small(plain: Any, *, most: int = CONTENT_LIMIT) -> None:
    """Refuse a request whose content would end the task, or stop it.

    Raises:
        ApplicationError: of type `RequestInvalid`: it is too large, or nothing that can be handed on.
    """
    try:
        size = raw(plain).payload.ByteSize()
    except (ValueError, RecursionError) as error:
        raise _invalid(f"it cannot be sent as JSON: {error}") from error
    if size > most:
        raise _invalid(f"the request takes {size} bytes: at most {most} are taken")


def _invalid(message: str) -> ApplicationError:
    return ApplicationError(clipped(message, SAID_LIMIT), type="RequestInvalid", non_retryable=True)


def refusal(error: RequestRefused) -> ApplicationError:
    rule, legal = clipped(error.rule, SAID_LIMIT), list(error.legal)
    known = RequestRefused(rule, None if str(error) == error.rule else legal)
    details = {"rule": rule, "legal": None if str(error) == error.rule else legal}
    return ApplicationError(str(known), details, type="RequestRefused", non_retryable=True)


def unheard(error: ApplicationError, asked: Ask) -> Refused:
    """The fact that a request was refused of which nobody can be told."""
    rule = error.details[0]["rule"] if error.details else error.message
    return Refused(rule, asked.actor, asked.reason)


def check(engine: Engine, asked: Ask, now: datetime) -> None:
    """Refuse now what would be refused, before it costs an event."""
    try:
        engine.plan(asked, now)
    except RequestRefused as error:
        raise refusal(error) from error


def plan(engine: Engine, plain: Any, now: datetime) -> dict[str, Any]:
    """The `rows` that the request would write; or what it is `refused` by, and what is `legal`.

    A refusal is an answer: of a failed query nothing reaches the caller but its text, and that may be encoded. What it
    hands over is `unchecked`, because that takes a local activity, which no query may run.
    """
    try:
        asked = parse(None, plain)
        rows = [row.plain() for row in engine.plan(asked, now)]
        return {"rows": rows, "template": engine.task.template.name, "unchecked": unchecked(engine.task, asked, rows)}
    except RequestRefused as error:
        return {"refused": error.rule, "legal": list(error.legal)}
    except ApplicationError as error:
        return {"refused": error.message, "legal": []}


def unchecked(task: Task, asked: Ask, planned: Sequence[Any]) -> str:
    """What a plan of the request cannot tell to be of the right type; empty if nothing."""
    return str(handed_over(asked, task.template) or "") if planned else ""


def ask(engine: Engine, asked: Ask, feed: Callable[[Ask], None]) -> dict[str, Any]:
    """Apply the request, unless it was applied before under its id; the answer is the same."""
    first = engine.task.sort_key + 1
    try:
        if (known := engine.answer(asked)) is None:
            feed(asked)
    except RequestRefused as error:
        raise refusal(error) from error
    begin, end = (first, engine.task.sort_key) if known is None else known[:2]
    return answer(begin, end, engine.task.rows)


def answer(first: int, last: int, rows: Iterable[Row]) -> dict[str, Any]:
    """What a request did: the sort_keys of the first and last row that followed, and the first hundred of the rows."""
    shown = [row.plain() for row in rows if first <= row.sort_key <= min(last, first + ROWS_SHOWN - 1)]
    return {"first": first, "last": last, "rows": shown}


def told(asked: Ask, feed: Callable[[Ask], None]) -> Refused | None:
    """Apply a request that came by signal; if it is refused, the fact that says so."""
    try:
        feed(asked)
    except RequestRefused as error:
        return Refused(error.rule, asked.actor, asked.reason)
    return None
