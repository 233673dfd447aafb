"""Decides when a step is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tasker_temporal.core import timers
from tasker_temporal.core.events import Event, StepNamed, StepNoted, TaskTransitioned
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import Announce, Failure, Message, StartTimer, Timer, TransitionTo
from tasker_temporal.core.task import Step, Task
from tasker_temporal.core.values import after

SHORTEST_WAIT, LONGEST_WAIT = timedelta(seconds=1), timedelta(seconds=30)


def schedule_retry(event: Event[StepNamed], task: Task) -> Iterator[Message]:
    """The handler's own `retry_after` wins over the template's backoff, up to its cap."""
    step = task.steps[event.payload.step]
    delay = _delay(task, step)
    due = after(task.now, delay)
    yield StartTimer(Timer(timers.backoff(step.name, step.execution), "backoff", step.name, due, event.cause))
    yield Announce(
        "step.backoff",
        {
            "step": step.name,
            "attempt": step.attempt,
            "delay": delay.total_seconds(),
            "retry_at": due.isoformat(),
            "requested": step.failure is not None and step.failure.retry_after is not None,
        },
    )


def _delay(task: Task, step: Step) -> timedelta:
    retry, failure = step.template.retry, step.failure
    if failure is not None and failure.retry_after is not None:
        # In this order NaN becomes 0, and infinity the cap.
        return timedelta(seconds=min(max(0.0, failure.retry_after), retry.max_retry_after.total_seconds()))
    return retry.delay(step.attempt, f"{task.id}/{step.name}/{step.attempt}")


def restart_task(event: Event[TaskTransitioned], task: Task) -> Iterator[Message]:
    """A retried task goes on with its failed steps set back to pending, with all their attempts anew."""
    for name, step in task.steps.items():
        if step.state is State.ERROR and step.handled is None:
            yield TransitionTo(name, State.PENDING, {"fresh": True}, fresh=True)
    yield TransitionTo(None, State.IN_PROGRESS)


def await_handler(event: Event[StepNoted], task: Task) -> Iterator[Message]:
    """No worker has the handler: a deployment may bring it, so this is no attempt until `handler_grace` is over.

    Each wait is as long as all before it, between 1 and 30 seconds.
    """
    step, grace = task.steps[event.payload.step], task.template.handler_grace
    assert step.missing_since is not None
    waited = task.now - step.missing_since
    if task.cancelling is not None:
        yield TransitionTo(step.name, State.CANCELLED)
    elif waited >= grace:
        handler = event.payload.metadata["handler"]
        failure = Failure("HandlerMissing", f"no worker had the handler {handler!r} for {grace}", retryable=False)
        yield TransitionTo(step.name, State.ERROR, failure=failure)
    else:
        due = task.now + min(max(waited, SHORTEST_WAIT), LONGEST_WAIT, grace - waited)
        yield StartTimer(Timer(timers.handler(step.name, step.execution), "handler", step.name, due, event.cause))
