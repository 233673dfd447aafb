"""One run of a template: where its steps stand, and the rows of everything that happened to it.

Rule 1: a state changes only in `moves`, with the row that says so, and nothing changes that the journal does not keep.
Rule 2: nothing here scans the steps. Readiness is counted down by `joins`, and the sums are kept.
Rule 3: dicts that lose keys are read in sorted order, because an undo may put a key back in another place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from tasker_temporal.core import timers
from tasker_temporal.core.announcements import Announcement
from tasker_temporal.core.events import Event, Payload
from tasker_temporal.core.journal import Journal
from tasker_temporal.core.machine import DONE, OPEN, OVER, State
from tasker_temporal.core.messages import AUTOMATIC, Answer, Ballot, Content, Failure, Kept, Timer
from tasker_temporal.core.outbox import Outbox, announced_to
from tasker_temporal.core.routes import AS_DECLARED, Mode
from tasker_temporal.core.rows import Kind, Row, entity_of, genesis, ordered, salted, sealed
from tasker_temporal.core.task_types import TYPES, TaskType
from tasker_temporal.core.template import StepTemplate, Template

INTERPRETER: Final = 3
"""The number of the rules by which a run is interpreted. A run keeps its number until it continues as new.

1: the reasons of skipped steps do not name the steps that they come from.
2: they do. The same request id for another request has the answer of the first.
3: it is refused. What was done under its id is not checked again. Who starts a task is told as a request tells it.
   A config weighs. A name that is spelled otherwise is nobody else's, and nobody is a group. Refusals are short.
"""

NOBODY: Final = (AUTOMATIC, "")
"""The actor and the reason of a cancellation that nobody asked for."""

NO_STEPS: Final = dict.fromkeys(State, 0)
"""How many steps are in each state. Iterating an enum takes longer than copying a dict."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

What = tuple[Kind, str, str | None, str | None, str]
"""The part of a row that says what happened: `kind`, `entity`, `from_state`, `to_state`, `event`."""

By = tuple[str, str, int | None]
"""The part of a row that says who or what led to it: `actor`, `reason`, `cause`."""


class Step:
    """One step of one run.

    Attributes:
        attempt: Attempts of the present budget, counted from 1 with the first.
        execution: Runs of the handler, counted for ever.
        round: How often the step was sent back after it was over.
        size: Bytes that an execution is handed, as far as they are known.
        waiting: Dependencies that are not over yet.
        lacking: Required dependencies that are over and left no result.
        skipped: Dependencies that were skipped.
        final: Why the present failure ends the retries; None while there is another attempt to come.
        row: The sort_key of its last transition.
        since: When that was.
        by_hand: Somebody gave the result, or an event: it is in no activity, and so every snapshot keeps it.
        handled: The step that runs because this one failed: the failure is final, and holds up nothing.
        fired: It has run, or its condition was found to hold: what its trigger names does not matter any more.
        told: What its trigger says; "yes" without one.
        missing: What it requires of what its trigger names, and cannot have.
        came: For each event of its trigger that has come, by the leaf's number, the sort_key of the event's row.
        clocks: When each time of its trigger is over that counts now, by the leaf's number.
        passed: The numbers of those that are over.
        expects: Only the outside, or time, is missing for it to run.
        taken: The part of `size` that its trigger names.
        changes: The template's fields that somebody changed for this task.
    """

    __slots__ = ("__dict__", "entity", "name")
    """What never changes stands beside the dict, which the journal copies. One of 30 attributes or fewer is compact."""

    def __init__(self, template: StepTemplate, context: int) -> None:
        self.template = template
        self.name = template.name
        self.entity = entity_of(template.name)
        self.state: State | None = None
        self.attempt = self.execution = self.row = self.lacking = self.skipped = 0
        self.round = 1
        self.size = context * template.takes.get(None, 0)
        self.waiting = len(template.dependencies)
        self.viable = False
        self.final: str | None = None
        self.failure: Failure | None = None
        self.result: Content | None = None
        self.by_hand = False
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.missing_since: datetime | None = None
        self.since: datetime | None = None
        self.changes: dict[str, Any] = {}
        self.handled: str | None = None
        self.fired = self.expects = False
        self.told: Literal["yes", "never", "not yet"] = "yes" if template.trigger is None else "not yet"
        self.missing: str | None = None
        self.came: dict[int, int] = {}
        self.clocks: dict[int, datetime] = {}
        self.passed: frozenset[int] = frozenset()
        self.taken = 0

    @property
    def is_over(self) -> bool:
        """It will not run again by itself, and holds up nothing."""
        return self.state in OVER or self.handled is not None

    @property
    def has_failed(self) -> bool:
        """For good, handled or not."""
        return self.state is State.ERROR and self.final is not None

    @property
    def is_in_flight(self) -> bool:
        """Its handler runs."""
        return self.state is State.IN_PROGRESS and self.template.runs


class Task:
    """One run. Only the engine changes it; subscribers read it.

    Attributes:
        interpreter: The number of the rules by which this run is interpreted.
        rows: The rows of this run; those of the runs before it are in their own records.
        before: The sort_key and the digest that the first row of this run is chained to.
        since: When it came into its present state.
        viable: The steps that may start, the longest viable first, among them some that may not any more.
        gates: The same, of the steps that have no handler to run.
        places: In the mode `sequential_only`, where the viable steps stand in declared order, as the bits of a number,
            among them some that may not start any more. The lowest is the next.
        never: The steps that will never run, until they are skipped.
        unjudged: The steps for which all is there, and whose condition is to be evaluated.
        wound: The steps whose triggers began to count time, or ceased to.
        parked: Steps in progress that wait for people or for something from outside.
        backing_off: Failed steps that will be tried again.
        exhausted: Failed steps that will not, and whose failures nobody handles.
        handled: Failed steps whose failures somebody handles.
        expecting: Pending steps that wait for the outside, or for time, alone.
        cancelling: The sort_key of the row that asked for the cancellation.
        course: How it is processed, as far as that differs from its template.
        listed: It tells lists of tasks what it waits for, as was decided when it was started.
        draining: Nothing new starts until the run continues as new.
        problems: The context's validation errors.
        requester: Who started it.
        failure: Why it failed, if no step did.
        round: Counts the openings of its own approval.
        ballots: The open approvals, by id.
        inbox: What came before anybody waited for it, by the name of what it is for.
        answers: What the last requests did, by their ids.
        said: What a template's own events say, by the sort_key of their rows, until every outbox has it.
        outboxes: What each sink is still to get, by its name.
        announced: The events of this run that are no rows, and that one of its sinks names.
    """

    def __init__(self, id: str, template: Template, context: Content, key: bytes) -> None:
        self.id = id
        self.interpreter = INTERPRETER
        self.template = template
        self.context = context
        self.key = key
        size = context.size
        self.steps = {step.name: Step(step, size) for step in template.steps}
        self.journal = Journal()
        self.rows: list[Row] = []
        self.before = (0, genesis(id, template.digest, salted(key, context.data)))
        self.state: State | str | None = None
        self.counts = NO_STEPS.copy()
        self.viable: deque[str] = deque()
        self.gates: deque[str] = deque()
        self.places = 0
        self.never: deque[str] = deque()
        self.unjudged: deque[str] = deque()
        self.wound: deque[str] = deque()
        self.in_flight = self.bytes_in_flight = self.parked = self.backing_off = self.exhausted = 0
        self.handled = self.expecting = 0
        self.course = AS_DECLARED
        self.timers: dict[str, Timer] = {}
        self.cancelling: int | None = None
        self.cancelled_by = NOBODY
        self.listed = self.draining = False
        self.problems: tuple[Mapping[str, Any], ...] = ()
        self.started_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.since: datetime | None = None
        self.requester = AUTOMATIC
        self.failure: Failure | None = None
        self.round = 1
        self.ballots: dict[str, Ballot] = {}
        self.answers: dict[str, Answer] = {}
        self.inbox: dict[str, tuple[Kept, ...]] = {}
        self.said: dict[int, str] = {}
        self.outboxes = {sink.name: Outbox(sink) for sink in template.sinks}
        self.announces = announced_to(template.sinks)
        self.announced: list[Announcement] = []
        self.now = EPOCH
        self.at = ""

    @property
    def sort_key(self) -> int:
        """The last row's."""
        return self.rows[-1].sort_key if self.rows else self.before[0]

    @property
    def head(self) -> str:
        """The last row's digest, or what the first row of this run is chained to."""
        return self.rows[-1].digest if self.rows else self.before[1]

    @property
    def type(self) -> TaskType:
        """The template's, unless a route says otherwise."""
        return self.template.type if self.course.task_type is None else TYPES[self.course.task_type]

    @property
    def is_held(self) -> bool:
        """It is in error, and its run stays open for somebody to step in."""
        return self.state is State.ERROR and timers.HOLD in self.timers

    @property
    def is_open(self) -> bool:
        return self.state in OPEN or self.is_held or self.state in self.type.states

    @property
    def may_start(self) -> bool:
        """New executions may begin, those that handle failures included."""
        return self.state is State.IN_PROGRESS and self.cancelling is None and not self.draining

    @property
    def is_stopped(self) -> bool:
        """After a failure, nothing begins but what handles it."""
        return bool(self.exhausted) and self.template.on_failure == "stop"

    @property
    def mode(self) -> Mode:
        return self.course.mode or self.template.mode

    @property
    def window(self) -> int:
        """How many steps may run at once."""
        if self.mode == "sequential_only":
            return 1
        asked, most = self.course.max_concurrency or self.template.max_concurrency, self.template.limits.in_flight
        return min(most, asked or most)

    @property
    def all_done(self) -> bool:
        return sum(self.counts[state] for state in DONE) + self.handled == len(self.steps)

    def due(self, timer: str) -> datetime | None:
        """When the timer of that id is due; None if there is none."""
        return self.timers[timer].due if timer in self.timers else None

    def tick(self, now: datetime) -> None:
        """Everything from here on happens at `now`, and may change the task's own attributes, `counts`, and `rows`."""
        self.journal.keep(self)
        self.journal.keep_length(self.rows)
        self.counts = self.counts.copy()
        self.now, self.at = now, now.isoformat()

    def write(self, what: What, by: By, metadata: Mapping[str, Any]) -> Row:
        """Append one row to the audit and chain it."""
        sort_key, head = (self.rows[-1].sort_key, self.rows[-1].digest) if self.rows else self.before
        row = sealed(head, (sort_key + 1, *what, *by, ordered(metadata), self.at))
        self.rows.append(row)
        return row

    def announce(self, event: Event[Payload]) -> None:
        """Keep an event that is no row for the sinks that name it."""
        before = self.announced[-1] if self.announced else None
        place = before.place + 1 if before is not None and before.sort_key == self.sort_key else 1
        said = event.payload.model_dump(mode="json")
        self.journal.keep_length(self.announced)
        self.announced.append(Announcement(self.sort_key, place, event.name, said, event.cause, self.at, self.head))

    def collect(self) -> None:
        """Let every outbox take up what came about since."""
        for box in self.outboxes.values():
            box.collect(self.rows, self.said, self.announced)

    def trace(self, data: bytes) -> dict[str, Any]:
        """What a row may say about data: its size in bytes, and its salted digest."""
        return {"size": len(data), "sha256": salted(self.key, data)}
