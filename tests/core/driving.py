"""A synchronous driver for one engine: a virtual clock, executions that end as the test says, and looks at the task."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.ballots import terms_of
from tasker_temporal.core.engine import Engine
from tasker_temporal.core.events import Event, Payload
from tasker_temporal.core.guards import requestable
from tasker_temporal.core.joins import is_doomed, is_unjudged, unwound
from tasker_temporal.core.machine import State
from tasker_temporal.core.messages import (
    CloseTask,
    Command,
    Content,
    Drain,
    Fact,
    Failure,
    HandlerMissing,
    RunContinued,
    RunReopened,
    RunStep,
    Start,
    StartTimer,
    StepFailed,
    StepStopped,
    StepSucceeded,
    StopStep,
    StopTimer,
    Timer,
    TimerFired,
)
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.requests import Approve, Ask, CancelTask, MoveTask, ResumeTask, SkipStep
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.rows import TASK, Row, entity_of, genesis, salted
from tasker_temporal.core.snapshot import restore, snapshot
from tasker_temporal.core.subscribers import SUBSCRIPTIONS, Subscriptions
from tasker_temporal.core.task import Task
from tasker_temporal.core.task_types import Move, TaskType
from tasker_temporal.core.template import Argument, Limits, StepTemplate, Template

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KEY = b"the task's key"
ONCE = Retry(attempts=1)
STEADY = Retry(base_delay=timedelta(seconds=1), jitter="none")
"""Three attempts, 4 and 4 seconds apart: the formula's exponent is never below 2."""


def step(name: str, *takes: str, after: Sequence[str] = (), **options: Any) -> StepTemplate:
    """A step that takes results: `"a"` requires a's, `"a?"` accepts None, and `"*"` is the context."""
    return StepTemplate(name=name, arguments=tuple(map(_argument, takes)), after=tuple(after), **options)


def terms(*approvers: str, **options: Any) -> Approval:
    """The terms of an approval."""
    return Approval(approvers=approvers, **options)


def approval(name: str, *approvers: str, after: Sequence[str] = (), form: str = "Form", **options: Any) -> StepTemplate:
    """A step that waits for people. `deadline` is the step's."""
    of_step = {key: options.pop(key) for key in ("deadline", "description") if key in options}
    voted = terms(*approvers, **options)
    return step(name, after=after, awaits="approval", approval=voted, result=form, **of_step)


AUDITED = TaskType(
    name="audited",
    states=("packed", "under_audit"),
    rows=(
        Move(source="in_progress", to="packed"),
        Move(source="packed", to="under_audit", when="all_steps_complete"),
        Move(source="packed", to="error"),
        Move(source="under_audit", to="complete", by="request"),
        Move(source="under_audit", to="error", by="request"),
    ),
)
"""What is packed is audited if every step is complete, and somebody says how that ended."""


def _argument(takes: str) -> Argument:
    if takes == "*":
        return Argument(name="context")
    name = takes.removesuffix("?")
    return Argument(name=f"of_{name}", step=name, optional=takes.endswith("?"))


def template(*steps: StepTemplate, **options: Any) -> Template:
    """A sound template of these steps."""
    made = Template(name="tests.flow", steps=steps, **options)
    assert mistakes(made) == []
    return made


def limits(**given: int) -> Limits:
    return Limits(**given)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


class Drive:
    """One run of a task under way.

    Attributes:
        replies: What each message was answered with.
        messages: How many rows each message wrote, and what was said of it.
        running: The execution of each handler that runs, by step.
        overdue: The timers that fired while the task was paused, and take effect when it goes on.
        closed: The state in which the run was told to end.
        around: What was said before and after each transition.
        runs: This run, and those before and after it.
    """

    def __init__(
        self,
        template: Template,
        *,
        context: bytes = b"{}",
        subscriptions: Subscriptions = SUBSCRIPTIONS,
        task: Task | None = None,
    ) -> None:
        self.context = Content(context)
        self.subscriptions = subscriptions
        self.task = task or Task("task-1", template, self.context, KEY)
        self.events: list[Event[Payload]] = []
        self.around: list[Event[Payload]] = []
        self.engine = Engine(self.task, subscriptions=subscriptions, observe=self._hear)
        self.replies: list[list[Command]] = []
        self.messages: list[tuple[int, list[Event[Payload]]]] = []
        self.running: dict[str, int] = {}
        self.timers: dict[str, Timer] = {}
        self.overdue: dict[str, Timer] = {}
        self.closed: State | None = None
        self.now = BEGIN
        self.runs = [self]

    # What happens to the task.

    def tell(self, message: Ask | Fact) -> list[Command]:
        """Give the engine a message and perform its commands, as a shell does."""
        commands = self.apply(message)
        self.replies.append(commands)
        for command in commands:
            self._perform(command)
        for command in commands:
            if isinstance(command, StopStep) and self.running.get(command.step) != command.execution:
                self.tell(StepStopped(command.step, command.execution))
        return commands

    def apply(self, message: Ask | Fact) -> list[Command]:
        rows, said = self.task.sort_key, len(self.events)
        try:
            return self.engine.apply(message, self.now)
        finally:
            self.messages.append((self.task.sort_key - rows, self.events[said:]))

    def _perform(self, command: Command) -> None:
        match command:
            case RunStep(name, execution):
                self.running[name] = execution
            case StartTimer(timer):
                self.timers[timer.id] = timer
                self.overdue.pop(timer.id, None)
            case StopTimer(timer_id):
                self.timers.pop(timer_id, None)
                self.overdue.pop(timer_id, None)
            case CloseTask(state):
                self.closed = state

    def _hear(self, event: Event[Payload]) -> None:
        """What is said around a transition is kept apart from what is said in the task."""
        (self.around if event.name.endswith("_transition") else self.events).append(event)

    def start(self, **given: Any) -> list[Command]:
        return self.tell(Start(**given))

    def succeed(self, *names: str, data: bytes = b'"fine"') -> list[Command]:
        """The running executions of these steps return `data`."""
        found: list[Command] = []
        for name in names:
            found += self.tell(StepSucceeded(name, self.running.pop(name), Content(data)))
        return found

    def fail(
        self, name: str, *, retryable: bool = True, after: float | None = None, type: str = "Boom"
    ) -> list[Command]:
        """The running execution of the step fails."""
        failure = Failure(type, "it broke", retryable, after)
        return self.tell(StepFailed(name, self.running.pop(name), failure))

    def stop(self, name: str) -> list[Command]:
        """The running execution of the step acknowledges that it was told to stop."""
        return self.tell(StepStopped(name, self.running.pop(name)))

    def miss(self, name: str) -> list[Command]:
        """The worker that took the execution has no handler for it."""
        return self.tell(HandlerMissing(name, self.running.pop(name), f"tests.flow.{name}"))

    def cancel(self, actor: str = "ann", reason: str = "wrong order", request_id: str | None = None) -> list[Command]:
        return self.tell(CancelTask(actor=actor, reason=reason, request_id=request_id))

    def skip(self, name: str, actor: str = "ann", request_id: str | None = None) -> list[Command]:
        return self.tell(SkipStep(step=name, actor=actor, reason="not needed", request_id=request_id))

    def ask(self, kind: type[Ask], actor: str = "ann", reason: str = "a call", **given: Any) -> list[Command]:
        """Make any request."""
        return self.tell(kind(actor=actor, reason=reason, **given))

    def drain(self) -> list[Command]:
        return self.tell(Drain(10_240, 5_000_000))

    def wait(self, number: float) -> None:
        """Let seconds pass; the timers that become due fire, in their order, each at its moment."""
        until = self.now + seconds(number)
        while due := [timer for timer in self.timers.values() if timer.due <= until]:
            self.fire(min(due, key=lambda timer: (timer.due, timer.id)))
        self.now = until

    def fire(self, timer: Timer | str) -> list[Command]:
        """A timer fires, when it is due or at once if that is over."""
        timer = self.timers[timer] if isinstance(timer, str) else timer
        del self.timers[timer.id]
        self.now = max(self.now, timer.due)
        commands = self.tell(TimerFired(timer.id))
        if timer.id in self.task.timers and timer.id not in self.timers:
            self.overdue[timer.id] = timer
        return commands

    def finish(self) -> None:
        """Let everything succeed that runs, people approve, and every timer fire, until the task is over.

        A paused task is resumed first.
        """
        if self.task.state is State.PAUSED and self.task.cancelling is None:
            self.ask(ResumeTask)
        while self.closed is None and (self.running or self.timers or self.task.ballots or requestable(self.task)):
            if self.running:
                self.succeed(next(iter(self.running)))
            elif self.task.ballots:
                self._approve(min(self.task.ballots))
            elif places := requestable(self.task):
                self.ask(MoveTask, to=places[0])
            else:
                self.fire(min(self.timers.values(), key=lambda timer: (timer.due, timer.id)))

    def _approve(self, id: str) -> None:
        """The next of those who may vote and did not does."""
        ballot = self.task.ballots[id]
        terms = terms_of(self.task, ballot.step)
        assert terms is not None
        voted = [vote.actor for vote in ballot.votes]
        (voter, *_) = (name for name in terms.approvers if name not in voted)
        self.ask(Approve, actor=voter, step=ballot.step)

    def continued(self) -> Drive:
        """The next run of the task, by way of a snapshot in JSON; what runs keeps running."""
        later = self.restored()
        self.runs.append(later)
        later.runs = self.runs
        later.tell(RunContinued("run-1"))
        return later

    def reopened(self) -> Drive:
        """A new run of a task that failed, by way of a snapshot in JSON."""
        later = self.restored()
        self.runs.append(later)
        later.runs = self.runs
        later.tell(RunReopened("run-1"))
        return later

    def restored(self) -> Drive:
        """A drive of the task restored from its snapshot, before anybody told it so."""
        task = restored(self.task)
        later = type(self)(task.template, context=self.context.data, subscriptions=self.subscriptions, task=task)
        later.running, later.now = dict(self.running), self.now
        return later

    # Looks at it.

    @property
    def states(self) -> dict[str, str]:
        return {name: str(step.state) for name, step in self.task.steps.items()}

    @property
    def state(self) -> str:
        return str(self.task.state)

    @property
    def rows(self) -> list[Row]:
        return self.task.rows

    @property
    def commands(self) -> list[Command]:
        """All commands so far."""
        return [command for reply in self.replies for command in reply]

    @property
    def said(self) -> list[str]:
        """The names of all events, in order."""
        return [event.name for event in self.events]

    def event(self, name: str) -> Any:
        """The payload of the only event of that name."""
        (found,) = (event.payload for event in self.events if event.name == name)
        return found

    def row(self, event: str, step: str | None = None) -> Row:
        """The last row of that event, about that step."""
        return [row for row in self.rows if row.event == event and row.entity == entity_of(step)][-1]

    def path(self, step: str | None = None) -> list[str | None]:
        """The states that a step, or the task, went through."""
        return [row.to_state for row in self.rows if row.entity == entity_of(step) and row.kind == "transition"]

    def ran(self) -> list[str]:
        """The steps whose handlers were ordered to run, in order."""
        return [command.step for command in self.commands if isinstance(command, RunStep)]


def restored(task: Task) -> Task:
    """The task after a journey through JSON."""
    return restore(json.loads(json.dumps(snapshot(task))), task.context)


def started(*steps: StepTemplate, **options: Any) -> Drive:
    """A started task of these steps."""
    drive = Drive(template(*steps, **options))
    drive.start()
    return drive


def dump(task: Task) -> dict[str, Any]:
    """Everything a task consists of, to be compared with `==`. The order of timers and answers means nothing."""
    plain = {name: _copied(value) for name, value in vars(task).items() if name not in ("journal", "steps")}
    return plain | {"steps": {name: dict(vars(step)) for name, step in task.steps.items()}}


def _copied(value: Any) -> Any:
    if isinstance(value, (list, deque)):
        return list(value)
    return dict(value) if isinstance(value, dict) else value


def essence(task: Task) -> dict[str, Any]:
    """What of a task survives a snapshot: not the rows, the clock, and what is found again or needed no more."""
    plain = dump(task)
    for gone in ("rows", "now", "at", "draining", "before", "cancelled_by", "problems", "viable", "never", "template"):
        del plain[gone]
    for queue in ("viable", "gates"):
        plain[queue] = [name for name in getattr(task, queue) if task.steps[name].viable]
    plain["places"] = [name for name in plain["viable"] if task.places >> task.template.place(name) & 1]
    plain["unjudged"] = {name for name in task.unjudged if is_unjudged(task.steps[name])}
    plain["wound"] = {name for name in task.wound if task.is_open and unwound(task, task.steps[name])}
    if task.state not in (State.IN_PROGRESS, State.PAUSED):
        plain["wound"] = set()  # They are found again when it goes on.
    plain["never"] = {name for name in task.never if is_doomed(task.steps[name])}
    for name, of_step in plain["steps"].items():
        plain["steps"][name] = {key: of_step[key] for key in of_step.keys() - {"template", "size", "result"}}
    return plain


def state_of_rows(rows: Iterable[Row]) -> dict[str, str]:
    """The state of every entity, as the audit alone tells it."""
    return {row.entity: str(row.to_state) for row in rows if row.kind == "transition"}


def stored_state(task: Task) -> dict[str, str]:
    """The state of every entity, as it is kept."""
    steps = {entity_of(name): str(step.state) for name, step in task.steps.items() if step.state is not None}
    return ({TASK: str(task.state)} if task.state is not None else {}) | steps


def chain_start(task: Task) -> str:
    """What the first row of a task's first run is chained to, made of its documented parts."""
    return genesis(task.id, task.template.digest, salted(task.key, task.context.data))
