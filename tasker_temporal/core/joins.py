"""When may a step run? The join rule, counted down as its dependencies end.

Not yet: a dependency is not over; a failed one is not over until it is retried, skipped or resolved.
Never:   all are over, and a required result did not come, or every one of them was skipped.
Yes:     otherwise.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from tasker_temporal.core.machine import OVER, State
from tasker_temporal.core.task import Step, Task


def answer(step: Step) -> Literal["yes", "never", "not yet"]:
    """The join rule's answer for one step."""
    if step.waiting:
        return "not yet"
    all_skipped = step.skipped > 0 and step.skipped == len(step.template.dependencies)
    return "never" if step.lacking or all_skipped else "yes"


def why_never(step: Step) -> str:
    """The reason of a step that can never run, for its row."""
    return "a required result did not come" if step.lacking else "everything it waits for was skipped"


def join(task: Task, step: Step) -> None:
    """Put a pending step, that may be changed, where the discovery finds it, if its answer is known."""
    known = answer(step)
    if known == "yes":
        step.viable = True
        task.journal.append(queue_of(task, step), step.name)
    elif known == "never":
        task.journal.append(task.never, step.name)


def queue_of(task: Task, step: Step) -> deque[str]:
    """Where the discovery finds it once it may start."""
    return task.viable if step.template.runs else task.gates


def count_down(task: Task, over: Step) -> None:
    """Tell the dependents that `over` is over."""
    for name in task.template.dependents[over.name]:
        step = task.steps[name]
        task.journal.keep(step)
        count(step, over)
        if not step.waiting and step.state is State.PENDING:
            join(task, step)


def count(step: Step, over: Step) -> None:
    """Count a dependency that is over, and the bytes that it hands to the step."""
    step.waiting -= 1
    step.skipped += over.state is State.SKIPPED
    if over.result is None:
        step.lacking += over.name in step.template.required
    elif over.name in step.template.takes:
        step.size += step.template.takes[over.name] * over.result.size


def occupy(task: Task, step: Step, places: Literal[1, -1]) -> None:
    """Take a place among the steps in progress, or give it back."""
    if step.template.runs:
        task.in_flight += places
        task.bytes_in_flight += places * step.size
    else:
        task.parked += places


def begin_round(step: Step) -> None:
    """What the step did so far does not count any more: what it does next is something else."""
    step.round += 1
    step.attempt, step.started_at = 0, None


def count_up(task: Task, back: Step) -> None:
    """Tell the dependents that `back` is not over any more. One that has tried with its old result begins anew."""
    for name in task.template.dependents[back.name]:
        step = task.steps[name]
        task.journal.keep(step)
        if step.attempt and step.state not in OVER:
            begin_round(step)
        step.viable = False
        step.waiting += 1
        step.skipped -= back.state is State.SKIPPED
        if back.result is None:
            step.lacking -= back.name in step.template.required
        elif back.name in step.template.takes:
            step.size -= step.template.takes[back.name] * back.result.size
    _clear_fronts(task)


def leave_queue(task: Task, step: Step) -> None:
    """The step no longer waits to be started."""
    step.viable = False
    _clear_fronts(task)


def _clear_fronts(task: Task) -> None:
    """What is stale never stays at the front of a queue."""
    for queue in (task.viable, task.gates):
        while queue and not task.steps[queue[0]].viable:
            task.journal.popleft(queue)
    while task.never and not is_doomed(task.steps[task.never[0]]):
        task.journal.popleft(task.never)


def is_doomed(step: Step) -> bool:
    """It is pending, and can never run as its dependencies stand."""
    return step.state is State.PENDING and answer(step) == "never"


def startable(task: Task) -> tuple[str, ...]:
    """The steps that can start now: all without a handler, then the longest viable, as many as the window holds."""
    if not task.may_start:
        return ()
    gates = dict.fromkeys(name for name in task.gates if task.steps[name].viable)
    return (*gates, *_within_window(task))


def _within_window(task: Task) -> tuple[str, ...]:
    found: dict[str, None] = {}
    limits, size = task.template.limits, task.bytes_in_flight
    for name in task.viable:
        step = task.steps[name]
        if task.in_flight + len(found) >= limits.in_flight:
            break
        if step.viable and name not in found:
            size += step.size
            if size > limits.bytes_in_flight and (found or task.in_flight):
                break
            found[name] = None
    return tuple(found)


def doomed(task: Task) -> str | None:
    """The first pending step that can never run."""
    return task.never[0] if task.never else None
