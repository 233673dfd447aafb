"""A task at rest, as plain data: what continue-as-new hands over and what a closed run leaves behind.

Defaults are left out, and so are the results that no open step asks for, the rows (they are in the record of their run)
and every sum (they are counted anew). The context is not in it either: it is the workflow's first argument.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tasker_temporal.core.joins import count, is_doomed, occupy, queue_of
from tasker_temporal.core.machine import DONE, OVER, State
from tasker_temporal.core.messages import DROPPED, JSON, Content, Failure, Kept, Timer
from tasker_temporal.core.task import INTERPRETER, Step, Task
from tasker_temporal.core.template import Template, changed

_TIMES = ("started_at", "ended_at", "missing_since")
_COUNTS = {"row": 0, "attempt": 0, "execution": 0, "round": 1}


def snapshot(task: Task) -> dict[str, Any]:
    """The task as JSON."""
    plain = {
        "interpreter": INTERPRETER,
        "id": task.id,
        "key": task.key.hex(),
        "template": task.template.plain,
        "state": task.state,
        "before": [task.sort_key, task.head],
        "started_at": _time(task.started_at),
        "ended_at": _time(task.ended_at),
        "cancelling": task.cancelling,
        "cancelled_by": list(task.cancelled_by) if task.cancelling is not None else None,
        "problems": [dict(problem) for problem in task.problems],
        "viable": [name for name in dict.fromkeys((*task.gates, *task.viable)) if task.steps[name].viable],
        "timers": [[*timer[:3], _time(timer.due), timer.cause] for timer in sorted(task.timers.values())],
        "answers": {name: list(rows) for name, rows in sorted(task.answers.items(), key=lambda item: item[1])},
        "inbox": {name: [_kept(kept) for kept in task.inbox[name]] for name in sorted(task.inbox)},
        "steps": {name: plain for name, step in task.steps.items() if (plain := _step(task, step))},
    }
    return {key: value for key, value in plain.items() if value not in (None, [], {})}


def _step(task: Task, step: Step) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: count for name, default in _COUNTS.items() if (count := getattr(step, name)) != default
    }
    plain |= {name: _time(at) for name in _TIMES if (at := getattr(step, name)) is not None}
    if step.state is not State.PENDING:
        plain["state"] = step.state
    if step.failure is not None:
        plain["failure"] = list(step.failure)
    if step.final is not None:
        plain["final"] = step.final
    if step.changes:
        plain["changes"] = step.changes
    if step.result is not None:
        plain["result"] = _content(step.result) if step.by_hand or _is_needed(task, step) else None
    if step.by_hand:
        plain["by_hand"] = True
    return plain


def _is_needed(task: Task, step: Step) -> bool:
    takers = (task.steps[name] for name in task.template.dependents[step.name])
    return any(
        taker.state not in OVER and any(argument.step == step.name for argument in taker.template.arguments)
        for taker in takers
    )


def _content(content: Content) -> Any:
    if content.metadata == JSON:
        try:
            return content.data.decode()
        except UnicodeDecodeError:
            pass
    metadata = {key: base64.b64encode(value).decode() for key, value in content.metadata}
    return {"data": base64.b64encode(content.data).decode(), "metadata": metadata}


def _kept(kept: Kept) -> list[Any]:
    return [kept.id, kept.row, _content(kept.content)]


def restore(plain: Mapping[str, Any], context: Content) -> Task:
    """The task that `plain` was made of, without its rows."""
    template = Template.model_validate(plain["template"])
    task = Task(plain["id"], template, context, bytes.fromhex(plain["key"]))
    task.before = (plain["before"][0], plain["before"][1])
    task.state = State(plain["state"]) if "state" in plain else None
    task.started_at, task.ended_at = _read_time(plain.get("started_at")), _read_time(plain.get("ended_at"))
    task.cancelling = plain.get("cancelling")
    task.cancelled_by = tuple(plain.get("cancelled_by", task.cancelled_by))
    task.problems = tuple(plain.get("problems", ()))
    task.timers = {row[0]: Timer(row[0], row[1], row[2], _known(row[3]), row[4]) for row in plain.get("timers", ())}
    task.answers = {name: (rows[0], rows[1]) for name, rows in plain.get("answers", {}).items()}
    inbox = plain.get("inbox", {})
    task.inbox = {name: tuple(Kept(row[0], row[1], _read_content(row[2])) for row in inbox[name]) for name in inbox}
    steps = plain.get("steps", {})
    for name, step in task.steps.items():
        _restore_step(task, step, steps.get(name, {}))
    _count(task)
    _queue(task, plain.get("viable", ()))
    return task


def _restore_step(task: Task, step: Step, plain: Mapping[str, Any]) -> None:
    for name, default in _COUNTS.items():
        setattr(step, name, plain.get(name, default))
    for name in _TIMES:
        setattr(step, name, _read_time(plain.get(name)))
    state = plain.get("state", State.PENDING)
    step.state = None if state is None else State(state)
    step.failure = Failure(*plain["failure"]) if "failure" in plain else None
    step.final, step.by_hand = plain.get("final"), plain.get("by_hand", False)
    step.changes = dict(plain.get("changes", {}))
    step.template = changed(step.template, step.changes)
    if "result" in plain:
        step.result = _read_content(plain["result"])


def _read_content(plain: Any) -> Content:
    if plain is None:
        return DROPPED
    if isinstance(plain, str):
        return Content(plain.encode())
    metadata = tuple((key, base64.b64decode(value)) for key, value in plain["metadata"].items())
    return Content(base64.b64decode(plain["data"]), metadata)


def _count(task: Task) -> None:
    for step in task.steps.values():
        if step.state is None:
            continue
        for dependency in map(task.steps.__getitem__, step.template.dependencies):
            if dependency.state in DONE:
                count(step, dependency)
        task.counts[step.state] += 1
        if step.state is State.IN_PROGRESS:
            occupy(task, step, 1)
        elif step.state is State.ERROR:
            task.backing_off += step.final is None
            task.exhausted += step.final is not None


def _queue(task: Task, viable: Any) -> None:
    for name in viable:
        task.steps[name].viable = True
        queue_of(task, task.steps[name]).append(name)
    task.never.extend(step.name for step in task.steps.values() if is_doomed(step))


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _known(text: str) -> datetime:
    return datetime.fromisoformat(text)
