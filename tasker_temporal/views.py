"""How a task shows itself: the answers to queries, the texts in Temporal's UI, the message of a failed run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from tasker_temporal.core import waiting as waits
from tasker_temporal.core.ballots import approval_id, terms_of
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Timer
from tasker_temporal.core.report import TaskReport
from tasker_temporal.core.report import report as report_of
from tasker_temporal.core.task import Task
from tasker_temporal.payloads import payload_of

PAGE = 500
"""Rows in one page of the audit, unless asked for fewer."""

WAITS = 1000
"""So many steps say what they wait for. Those that only wait for other steps are counted from then on."""

SHOWN = 40
"""Steps in the table of the current details."""

ICONS = {
    State.PENDING: "·",
    State.IN_PROGRESS: "▶",
    State.COMPLETE: "✓",
    State.ERROR: "✗",
    State.CANCELLED: "⊘",
    State.RESOLVED_MANUALLY: "✓",
    State.SKIPPED: "↷",
}


def report(engine: Engine | None) -> dict[str, Any]:
    if engine is not None:
        return report_of(engine.task).model_dump(mode="json")
    info = workflow.info()
    return preparing(info.workflow_id, info.workflow_type).model_dump(mode="json")


def preparing(task_id: str, template: str) -> TaskReport:
    """A task that was started without its template, before a worker has supplied it."""
    return TaskReport(
        task_id=task_id,
        template=template,
        version="",
        state=State.PENDING,
        started_at=None,
        ended_at=None,
        counts={},
        completion_percentage=0.0,
        execution_status="waiting_for_dependencies",
        recommended_action="wait_for_dependencies",
        health_status="healthy",
    )


def audit(engine: Engine, page: Any) -> dict[str, Any]:
    """One page of this run's rows. `before` is what its first row is chained to, `next` what to ask for next."""
    wanted = page if isinstance(page, dict) else {}
    after, limit = int(wanted.get("after", 0)), min(int(wanted.get("limit", PAGE)), PAGE)
    task = engine.task
    start = max(after - task.before[0], 0)
    rows = task.rows[start : start + limit]
    last = rows[-1].sort_key if rows else task.sort_key
    return {
        "before": list(task.before),
        "rows": [row.plain() for row in rows],
        "next": last if last < task.sort_key else None,
    }


def graph(engine: Engine) -> dict[str, Any]:
    task = engine.task
    steps = {name: {"state": step.state, "after": list(step.template.needs)} for name, step in task.steps.items()}
    return {"template": task.template.name, "version": task.template.version, "state": task.state, "steps": steps}


def waiting(engine: Engine | None) -> list[dict[str, Any]]:
    if engine is None:
        return [{"kind": "preparation", "step": None, "what": "a worker to validate the context"}]
    return [wait.model_dump(mode="json", exclude_defaults=True) for wait in waits.waiting(engine.task, WAITS)]


def result(engine: Engine, step: Any) -> RawValue:
    """The step's result as it came.

    Raises:
        ApplicationError: of type `NoResult`: there is no such step, or no result of it.
    """
    known = engine.task.steps.get(step) if isinstance(step, str) else None
    if known is None:
        raise ApplicationError(f"there is no step {step!r}; there are {', '.join(engine.task.steps)}", type="NoResult")
    if known.result is None:
        raise ApplicationError(f"step {step!r} is {known.state}: it has no result", type="NoResult")
    return RawValue(payload_of(known.result))


def attempt_summary(attempt: int, most: int) -> str | None:
    """What Temporal's UI shows beside the activity. The first attempt has nothing to say, and a summary is not free."""
    return f"attempt {attempt}/{most}" if attempt > 1 else None


def timer_summary(timer: Timer) -> str:
    """How the timer is called in Temporal's UI."""
    names = {
        "backoff": f"{timer.step} · backoff",
        "deadline": f"{timer.step} · deadline",
        "handler": f"{timer.step} · waiting for a worker with its handler",
        "grace": "cancellation grace",
        "hold": "held for somebody to step in",
        "elapsed": f"{timer.step} · time",
        "approval": "the task's approval · deadline",
    }
    return names[timer.kind]


def failure_message(task: Task) -> str:
    """Why the task failed, in one line for people."""
    if task.problems:
        first = task.problems[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        return f"the context is not valid: {place}: {first['msg']}" + _more(len(task.problems) - 1)
    stuck = (step for step in task.steps.values() if step.state is State.ERROR and step.handled is None)
    failed = [step for step in stuck if step.failure is not None]
    if not failed and task.failure is not None:
        return f"{task.failure.type}: {task.failure.message}"
    if not failed:
        return "the task cannot go on, and no step of it failed"
    failure = failed[0].failure
    assert failure is not None
    return f"step {failed[0].name!r} failed: {failure.type}: {failure.message}" + _more(len(failed) - 1)


def _more(count: int) -> str:
    return f" (and {count} more)" if count else ""


def details(task: Task) -> str:
    """The current details of Temporal's UI, in Markdown: a line, and a table of the steps that say most."""
    known = report_of(task)
    share = f"{known.completion_percentage:g} % of {known.counts['total']} steps"
    votes = _votes(task, None)
    head = f"**{known.state}** · {share} · {known.health_status}" + (f" · {votes}" if votes else "")
    names = _most_telling(task)
    rows = "\n".join(_row(known, name, _votes(task, name)) for name in names)
    folded = f"\n\n… and {len(task.steps) - len(names)} more" if len(names) < len(task.steps) else ""
    return f"{head}\n\n{_line('step', 'state', 'attempt', 'since', 'note')}\n|---|---|---|---|---|\n{rows}{folded}"


def _most_telling(task: Task) -> list[str]:
    order = [State.ERROR, State.IN_PROGRESS, State.PENDING, State.SKIPPED, State.CANCELLED]
    rank = {state: number for number, state in enumerate(order)}
    names = list(task.steps)
    if len(names) > SHOWN:
        names.sort(key=lambda name: rank.get(task.steps[name].state or State.PENDING, len(order)))
    return names[:SHOWN]


def _votes(task: Task, step: str | None) -> str:
    """How far people are with deciding."""
    terms, ballot = terms_of(task, step), task.ballots.get(approval_id(task, step))
    if terms is None or ballot is None:
        return ""
    voters = _cell(", ".join(terms.voters(escalated=ballot.escalated)))
    return f"{len(ballot.votes)} of {terms.quorum} votes of {voters}"


def _row(known: TaskReport, name: str, note: str) -> str:
    step = known.steps[name]
    if step.next_attempt_at is not None:
        note = f"next attempt at {_clock(step.next_attempt_at)}"
    elif step.waits_for:
        note = "waits for " + ", ".join(step.waits_for[:3]) + (" …" if len(step.waits_for) > 3 else "")
    if step.last_error is not None and step.state is State.ERROR:
        note = f"{step.last_error.type}: {_cell(step.last_error.message)} {note}".strip()
    since = _clock(step.ended_at or step.started_at)
    return _line(name, f"{ICONS[step.state]} {step.state}", str(step.attempt or ""), since, note)


def _line(*cells: str) -> str:
    """The UI's tables have no space between columns, so each cell brings its own."""
    return "".join(f"| {cell}\u00a0\u00a0\u00a0 " for cell in cells) + "|"


def _clock(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%H:%M:%S")


def _cell(text: str) -> str:
    """One line of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())[:120]
