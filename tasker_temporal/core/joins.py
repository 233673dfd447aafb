"""When may a step run? The join rule, counted down as its dependencies end.

Not yet: a dependency is not over; a failed one is not over until it is retried, skipped, resolved, or handled.
Never:   all are over, and a required result did not come, or every one of them was skipped, or failed and was handled.
Yes:     otherwise.

What the trigger `on` says stands beside it: the step runs when both say yes, and never if one of them says never.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from tasker_temporal.core import answers, timers
from tasker_temporal.core.answers import Answer, handles, reconsider, stop_expecting
from tasker_temporal.core.machine import State
from tasker_temporal.core.task import Step, Task


def answer(step: Step) -> Answer:
    """The answer for one step, of the join rule and of its trigger. What has fired does not ask its trigger again."""
    if says_never(step) or (not step.waiting and _is_lost(step)):
        return "never"
    return "not yet" if step.waiting or not (step.fired or step.told == "yes") else "yes"


def says_never(step: Step) -> bool:
    """Its trigger can never be true, or what it requires of what that names is not there."""
    return not step.fired and (step.told == "never" or step.missing is not None)


def _is_lost(step: Step) -> bool:
    """All that it waits for is over: a required result did not come, or everything was skipped."""
    return step.lacking > 0 or 0 < step.skipped == len(step.template.dependencies)


def join(task: Task, step: Step) -> None:
    """Put a pending step, that may be changed, where the discovery finds it, if its answer is known."""
    known = answer(step)
    if known == "yes" and step.template.when and not step.fired:
        task.journal.append(task.unjudged, step.name)
    elif known == "yes":
        step.viable = True
        task.journal.append(queue_of(task, step), step.name)
        take_place(task, step)
    elif known == "never":
        task.journal.append(task.never, step.name)


def queue_of(task: Task, step: Step) -> deque[str]:
    """Where the discovery finds it once it may start."""
    return task.viable if step.template.runs else task.gates


def take_place(task: Task, step: Step) -> None:
    """One at a time they start in declared order, and not in that of the queue.

    A number is copied whole, but a step has one bit of it: 12 KB in a task of 100,000 steps. And it needs no undoing.
    """
    if task.mode == "sequential_only" and step.template.runs:
        task.places |= 1 << task.template.place(step.name)


def count_down(task: Task, over: Step) -> None:
    """Tell the dependents that `over` is over."""
    for name in task.template.dependents[over.name]:
        step = task.steps[name]
        task.journal.keep(step)
        count(step, over)
        if not step.waiting and step.state is State.PENDING:
            reconsider(task, step)
            join(task, step)


def tell_listeners(task: Task, named: Step) -> None:
    """Ask the triggers again that name the step: something has become of it."""
    for name in task.template.listeners.get(named.name, ()):
        task.journal.keep(task.steps[name])
        ask_again(task, task.steps[name])


def ask_again(task: Task, step: Step) -> None:
    """Find what the step's trigger says now, and what follows for it. The step may be changed."""
    reconsider(task, step)
    if step.state is State.PENDING and not step.fired:
        if step.viable and answer(step) != "yes":
            leave_queue(task, step)
        if not step.viable:
            join(task, step)


def count(step: Step, over: Step) -> None:
    """Count a dependency that is over, and the bytes that it hands to the step."""
    step.waiting -= 1
    step.skipped += over.state is State.SKIPPED or over.handled is not None
    if over.result is None:
        step.lacking += over.name in step.template.required
    elif over.name in step.template.takes:
        step.size += step.template.takes[over.name] * over.result.size


def weight(task: Task, step: Step) -> int:
    """Bytes that an execution is handed: up to the interpreter 2 without its config."""
    return step.size if task.interpreter < 3 else step.size + step.template.config_size


def occupy(task: Task, step: Step, places: Literal[1, -1]) -> None:
    """Take a place among the steps in progress, or give it back."""
    if step.template.runs:
        task.in_flight += places
        task.bytes_in_flight += places * weight(task, step)
    else:
        task.parked += places


def begin_round(step: Step) -> None:
    """What the step did so far does not count any more: what it does next is something else."""
    step.round += 1
    step.attempt, step.started_at, step.fired = 0, None, False


def count_up(task: Task, back: Step) -> None:
    """Tell the dependents that `back` is not over any more. One that has tried with its old result begins anew."""
    for name in task.template.dependents[back.name]:
        step = task.steps[name]
        task.journal.keep(step)
        _begin_anew(step)
        step.viable = False
        step.waiting += 1
        step.skipped -= back.state is State.SKIPPED or back.handled is not None
        if back.result is None:
            step.lacking -= back.name in step.template.required
        elif back.name in step.template.takes:
            step.size -= step.template.takes[back.name] * back.result.size
        reconsider(task, step)
    for name in task.template.listeners.get(back.name, ()):
        task.journal.keep(task.steps[name])
        _begin_anew(task.steps[name])
    clear_fronts(task)


def _begin_anew(step: Step) -> None:
    """Something that it has run after is done again. What is over itself is sent back by whoever asked for that."""
    if step.attempt and not step.is_over:
        begin_round(step)
    step.fired = step.fired and step.is_over


def leave_queue(task: Task, step: Step) -> None:
    """The step no longer waits to be started."""
    step.viable = False
    if step.template.trigger is not None and step.state is not State.PENDING:
        stop_expecting(task, step)
    clear_fronts(task)


def clear_fronts(task: Task) -> None:
    """What is stale never stays at the front of a queue."""
    for queue in (task.viable, task.gates):
        while queue and not task.steps[queue[0]].viable:
            task.journal.popleft(queue)
    while task.places and not _first_in_order(task).viable:
        task.places &= task.places - 1
    while task.never and not is_doomed(task.steps[task.never[0]]):
        task.journal.popleft(task.never)
    while task.unjudged and not is_unjudged(task.steps[task.unjudged[0]]):
        task.journal.popleft(task.unjudged)
    while task.wound and not unwound(task, task.steps[task.wound[0]]):
        task.journal.popleft(task.wound)


def is_unjudged(step: Step) -> bool:
    """It is pending, all is there, and its condition was not evaluated yet."""
    return step.state is State.PENDING and bool(step.template.when) and not step.fired and answer(step) == "yes"


def unwound(task: Task, step: Step) -> dict[str, datetime | None]:
    """The timers that the step's trigger needs and does not have, with their due times; None for one to be stopped."""
    if step.template.trigger is None:
        return {}
    wanted = answers.due_clocks(step)
    known = {timers.clock(step.name, number) for number in answers.times(step)} & task.timers.keys()
    found: dict[str, datetime | None] = {id: due for id, due in wanted.items() if task.due(id) != due}
    return found | dict.fromkeys(sorted(known - wanted.keys()))


def is_doomed(step: Step) -> bool:
    """It is pending, and can never run as its dependencies stand."""
    return step.state is State.PENDING and answer(step) == "never"


def startable(task: Task) -> tuple[str, ...]:
    """The steps that can start now: all without a handler, then the longest viable, as many as the window holds."""
    if not task.may_start or (task.is_stopped and not task.template.listeners):
        return ()
    if not task.gates:
        return _within_window(task)
    gates = dict.fromkeys(name for name in task.gates if may_start(task, task.steps[name]))
    return (*gates, *_within_window(task))


def may_start(task: Task, step: Step) -> bool:
    """It is viable, and its task lets it start. After a failure a task may let nothing start but what handles it."""
    return step.viable and task.may_start and (not task.is_stopped or bool(handles(task, step)))


def _within_window(task: Task) -> tuple[str, ...]:
    if not task.viable:
        return ()
    found: dict[str, None] = {}
    window, most, size = task.window, task.template.limits.bytes_in_flight, task.bytes_in_flight
    for name in _in_order(task):
        step = task.steps[name]
        if task.in_flight + len(found) >= window:
            break
        if name not in found and may_start(task, step):
            size += weight(task, step)
            if size > most and (found or task.in_flight):
                break
            found[name] = None
    return tuple(found)


def _in_order(task: Task) -> Iterable[str]:
    """The longest viable first, or, one at a time, in declared order."""
    return _by_place(task) if task.mode == "sequential_only" else task.viable


def _by_place(task: Task) -> Iterator[str]:
    rest = task.places
    while rest:
        yield task.template.steps[_lowest(rest)].name
        rest &= rest - 1


def _first_in_order(task: Task) -> Step:
    return task.steps[task.template.steps[_lowest(task.places)].name]


def _lowest(places: int) -> int:
    """The number of the lowest bit."""
    return (places & -places).bit_length() - 1


def unjudged(task: Task) -> str | None:
    """The first step whose condition is to be evaluated."""
    return task.unjudged[0] if task.unjudged and task.may_start else None


def doomed(task: Task) -> str | None:
    """The first pending step that can never run."""
    return task.never[0] if task.never else None
