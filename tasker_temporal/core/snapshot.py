"""A task at rest, as plain data: what continue-as-new hands over and what a closed run leaves behind.

Defaults are left out, and so are the rows (they are in the record of their run) and every sum (they are counted anew).
The context is not in it either: it is the workflow's first argument. Of the results that no open step asks for only the
smallest are kept, so that somebody can have steps done again (`retry_from`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Set
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from tasker_temporal.core.answers import reconsider
from tasker_temporal.core.conditions import reads
from tasker_temporal.core.guards import results_read
from tasker_temporal.core.joins import count, is_doomed, is_unjudged, occupy, queue_of, take_place, unwound
from tasker_temporal.core.machine import DONE, OVER, State
from tasker_temporal.core.messages import AUTOMATIC, DROPPED, JSON, Answer, Ballot, Content, Failure, Kept, Timer, Vote
from tasker_temporal.core.outbox import Outbox
from tasker_temporal.core.routes import Course
from tasker_temporal.core.task import INTERPRETER, Step, Task
from tasker_temporal.core.task_types import known
from tasker_temporal.core.template import PAYLOAD_LIMIT, changed, read_template
from tasker_temporal.errors import NewerRelease

SPARE_BYTES: Final = 256 * 1024
"""At most so many bytes of results are kept that no open step asks for."""

FULL_BYTES: Final = PAYLOAD_LIMIT // 2
"""None of them is kept beyond this size of all results and the context: a snapshot must fit into a new run."""

_TIMES = ("started_at", "ended_at", "missing_since")
_COUNTS = {"row": 0, "attempt": 0, "execution": 0, "round": 1}


def snapshot(task: Task) -> dict[str, Any]:
    """The task as JSON."""
    kept = _kept_results(task)
    task.collect()
    plain = {
        "interpreter": INTERPRETER,
        "id": task.id,
        "key": task.key.hex(),
        "template": task.template.plain,
        "state": None if task.state is None else str(task.state),
        "before": [task.sort_key, task.head],
        "started_at": _time(task.started_at),
        "ended_at": _time(task.ended_at),
        "since": _time(task.since) if task.since != _since(task) else None,
        "listed": task.listed or None,
        "cancelling": task.cancelling,
        "cancelled_by": list(task.cancelled_by) if task.cancelling is not None else None,
        "problems": [dict(problem) for problem in task.problems],
        "course": task.course.model_dump(mode="json", exclude_defaults=True),
        "viable": [name for name in dict.fromkeys((*task.gates, *task.viable)) if task.steps[name].viable],
        "timers": [[*timer[:3], _time(timer.due), timer.cause] for timer in sorted(task.timers.values())],
        "answers": {id: _answer(known) for id, known in sorted(task.answers.items(), key=lambda item: item[1])},
        "requester": None if task.requester == AUTOMATIC else task.requester,
        "failure": None if task.failure is None else list(task.failure),
        "round": None if task.round == 1 else task.round,
        "ballots": {id: _ballot(task.ballots[id]) for id in sorted(task.ballots)},
        "inbox": {name: [_kept(entry) for entry in task.inbox[name]] for name in sorted(task.inbox)},
        "outboxes": {name: box.plain() for name, box in task.outboxes.items()},
        "steps": {name: plain for name, step in task.steps.items() if (plain := _step(task, step, kept))},
    }
    return {key: value for key, value in plain.items() if value not in (None, [], {})}


def _step(task: Task, step: Step, kept: Set[str]) -> dict[str, Any]:
    plain: dict[str, Any] = {
        name: count for name, default in _COUNTS.items() if (count := getattr(step, name)) != default
    }
    plain |= {name: _time(at) for name in _TIMES if (at := getattr(step, name)) is not None}
    if step.state is not State.PENDING:
        plain["state"] = None if step.state is None else str(step.state)
    if step.since != _since(step, task):
        plain["since"] = _time(step.since)
    if step.failure is not None:
        plain["failure"] = list(step.failure)
    if step.final is not None:
        plain["final"] = step.final
    if step.changes:
        plain["changes"] = step.changes
    if step.result is not None:
        plain["result"] = _content(step.result) if step.name in kept else None
    if step.by_hand:
        plain["by_hand"] = True
    return plain | _triggered(step)


def _triggered(step: Step) -> dict[str, Any]:
    """What its trigger remembers. Keys of a JSON object are text, so pairs stand for them."""
    plain: dict[str, Any] = {"handled": step.handled} if step.handled is not None else {}
    if step.fired:
        plain["fired"] = True
    if step.taken:
        plain["taken"] = step.taken
    if step.came:
        plain["came"] = [list(pair) for pair in sorted(step.came.items())]
    if step.clocks:
        plain["clocks"] = [[number, _time(due), number in step.passed] for number, due in sorted(step.clocks.items())]
    return plain


def _kept_results(task: Task) -> set[str]:
    """The steps whose results are kept: the needed ones, and of the others the smallest that there is room for."""
    steps = [step for step in task.steps.values() if step.result is not None and step.result is not DROPPED]
    sizes = {step.name: step.result.size for step in steps if step.result is not None}
    kept = {step.name for step in steps if step.by_hand or _is_needed(task, step)}
    if task.state in OVER:
        return kept  # For good: nobody can have anything done again.
    kept |= results_read(task.template.type) & sizes.keys()
    spare = [step.name for step in steps if step.name not in kept and any(_takers(task, step))]
    room = min(SPARE_BYTES, FULL_BYTES - task.context.size - sum(sizes[name] for name in kept))
    for name in sorted(spare, key=lambda name: (sizes[name], name)):
        if (room := room - sizes[name]) < 0:
            break
        kept.add(name)
    return kept


def _since(*things: Task | Step) -> datetime | None:
    """When the first came into its present state, if nothing says otherwise."""
    return next((at for thing in things for at in (thing.ended_at, thing.started_at) if at is not None), None)


def _is_needed(task: Task, step: Step) -> bool:
    """Of a decision the result says which branches are taken, whenever somebody asks."""
    return bool(step.template.branches) or any(not taker.is_over for taker in _takers(task, step))


def _takers(task: Task, step: Step) -> Iterator[Step]:
    """The steps that are handed the step's result, or whose conditions read it."""
    for taker in map(task.steps.__getitem__, task.template.followers(step.name)):
        when = taker.template.when
        if step.name in taker.template.takes or (when and reads(when, f"result.{step.name}")):
            yield taker


def _content(content: Content) -> Any:
    if content.metadata == JSON:
        try:
            return content.data.decode()
        except UnicodeDecodeError:
            pass
    metadata = {key: base64.b64encode(value).decode() for key, value in content.metadata}
    return {"data": base64.b64encode(content.data).decode(), "metadata": metadata}


def _answer(answer: Answer) -> list[Any]:
    return list(answer if answer.digest else answer[:2])


def _kept(kept: Kept) -> list[Any]:
    return [kept.id, kept.row, _content(kept.content)]


def _ballot(ballot: Ballot) -> list[Any]:
    votes = [[*vote[:3], _content(vote.form), vote.row] for vote in ballot.votes]
    return [ballot.step, votes, ballot.escalated]


def _read_ballot(plain: Any) -> Ballot:
    votes = (Vote(vote[0], vote[1], vote[2], _read_content(vote[3]), vote[4]) for vote in plain[1])
    return Ballot(plain[0], tuple(votes), plain[2])


def restore(plain: Mapping[str, Any], context: Content) -> Task:
    """The task that `plain` was made of, without its rows.

    Raises:
        NewerRelease: it says what this release does not know.
    """
    _require_known(plain)
    template = read_template(plain["template"])
    task = Task(plain["id"], template, context, bytes.fromhex(plain["key"]))
    task.before = (plain["before"][0], plain["before"][1])
    task.state = known(plain["state"]) if "state" in plain else None
    task.started_at, task.ended_at = _read_time(plain.get("started_at")), _read_time(plain.get("ended_at"))
    task.since = _read_time(plain.get("since")) or _since(task)
    task.listed = plain.get("listed", False)
    task.cancelling = plain.get("cancelling")
    task.cancelled_by = tuple(plain.get("cancelled_by", task.cancelled_by))
    task.problems = tuple(plain.get("problems", ()))
    task.course = Course.model_validate(plain.get("course", {}))
    task.timers = {row[0]: Timer(row[0], row[1], row[2], _known(row[3]), row[4]) for row in plain.get("timers", ())}
    task.answers = {id: Answer(*known) for id, known in plain.get("answers", {}).items()}
    inbox = plain.get("inbox", {})
    task.inbox = {name: tuple(Kept(row[0], row[1], _read_content(row[2])) for row in inbox[name]) for name in inbox}
    boxes = plain.get("outboxes", {})
    task.outboxes = {sink.name: Outbox.of(sink, boxes.get(sink.name, {})) for sink in template.sinks}
    task.requester, task.round = plain.get("requester", task.requester), plain.get("round", 1)
    task.failure = Failure(*plain["failure"]) if "failure" in plain else None
    task.ballots = {id: _read_ballot(ballot) for id, ballot in plain.get("ballots", {}).items()}
    steps = plain.get("steps", {})
    for name, step in task.steps.items():
        _restore_step(task, step, steps.get(name, {}))
    _count(task)
    _queue(task, plain.get("viable", ()))
    return task


TASK_KEYS: Final = frozenset({
    "interpreter", "id", "key", "template", "state", "before", "started_at", "ended_at", "since", "listed",
    "cancelling", "cancelled_by", "problems", "course", "viable", "timers", "answers", "requester", "failure",
    "round", "ballots", "inbox", "outboxes", "steps",
})  # fmt: skip
STEP_KEYS: Final = frozenset({
    "row", "attempt", "execution", "round", "started_at", "ended_at", "missing_since", "state", "since",
    "failure", "final", "changes", "result", "by_hand", "handled", "fired", "taken", "came", "clocks",
})  # fmt: skip
"""What a snapshot can say. A key that nobody knows is state that would be lost."""


def _require_known(plain: Mapping[str, Any]) -> None:
    if (number := plain.get("interpreter", INTERPRETER)) > INTERPRETER:
        raise NewerRelease("the task's snapshot", f"its interpreter is {number}, and {INTERPRETER} is the last known")
    strange = plain.keys() - TASK_KEYS
    for step in plain.get("steps", {}).values():
        strange |= step.keys() - STEP_KEYS
    if strange:
        raise NewerRelease("the task's snapshot", f"it has {', '.join(sorted(strange))}, which nobody here knows")


def _restore_step(task: Task, step: Step, plain: Mapping[str, Any]) -> None:
    for name, default in _COUNTS.items():
        setattr(step, name, plain.get(name, default))
    for name in _TIMES:
        setattr(step, name, _read_time(plain.get(name)))
    step.since = _read_time(plain.get("since")) or _since(step, task)
    state = plain.get("state", State.PENDING)
    step.state = None if state is None else State(state)
    step.failure = Failure(*plain["failure"]) if "failure" in plain else None
    step.final, step.by_hand = plain.get("final"), plain.get("by_hand", False)
    step.changes = dict(plain.get("changes", {}))
    step.template = changed(step.template, step.changes)
    if "result" in plain:
        step.result = _read_content(plain["result"])
    step.handled, step.fired = plain.get("handled"), plain.get("fired", False)
    step.taken = plain.get("taken", 0)
    step.size += step.taken
    step.came = dict(plain.get("came", ()))
    step.clocks = {number: _known(due) for number, due, _ in plain.get("clocks", ())}
    step.passed = frozenset(number for number, _, passed in plain.get("clocks", ()) if passed)


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
            if dependency.state in DONE or dependency.handled is not None:
                count(step, dependency)
        task.counts[step.state] += 1
        if step.state is State.IN_PROGRESS:
            occupy(task, step, 1)
        elif step.state is State.ERROR:
            task.backing_off += step.final is None
            task.exhausted += step.final is not None and step.handled is None
            task.handled += step.handled is not None
        reconsider(task, step)
    task.journal.commit()


def _queue(task: Task, viable: Any) -> None:
    for name in viable:
        task.steps[name].viable = True
        queue_of(task, task.steps[name]).append(name)
        take_place(task, task.steps[name])
    task.never.extend(step.name for step in task.steps.values() if is_doomed(step))
    task.unjudged.extend(step.name for step in task.steps.values() if is_unjudged(step))
    task.wound.extend(step.name for step in task.steps.values() if unwound(task, step))


@lru_cache(maxsize=256)
def _time(at: datetime | None) -> str | None:
    """Kept, because most steps begin when another ends."""
    return None if at is None else at.isoformat()


def _read_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _known(text: str) -> datetime:
    return datetime.fromisoformat(text)
