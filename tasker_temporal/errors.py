"""
Every exception of the package, divided by what the catcher does next:

* TaskerError
  - TemplateError            mend the declaration: it is not a graph of steps with fitting types
    · YamlError              mend the YAML file: each problem has its line and a code
  - OptionError              mend the call: a value that it was given, as in `Retry(attempts=0)`
  - ContextInvalid           mend the context: it does not validate against the template's model
  - UnknownTemplate          register the template, or name one that is
  - UnknownSink              say how the sink is reached: `TaskerPlugin(sinks=...)`
  - TaskAlreadyStarted       use the task that is there, or another id
  - UnknownTask              look for another id, or in another namespace
  - RequestRefused           the request broke a rule; the task is unchanged
  - RequestUnanswered        nobody answered in time; the request may still be applied
  - NoAnswer                 run a worker; a task that is over needs none
  - RetellingFailed          run a worker: this release cannot tell the task from its history
  - SearchAttributesMissing  run `tasker setup`, or start tasks without search attributes
  - EventError               mend the publisher: an event nobody registered, or a payload of the wrong shape
  - ConditionError           mend the condition, or its data: it has no answer
  - ConditionsUnavailable    install `cel-expr-python`, or use a system that it has a wheel for
  - NewerRelease             upgrade: what is read was written by a newer release of this library
  - RecordError              the written record is missing or does not verify
  - WebhookRefused           mend the receiver: it answered, but not with 2xx
  - SignatureError           do not trust the webhook: who sent it does not know the secret, or sent it long ago
  - TaskEnded                the task is over, and not well
    · TaskFailed
    · TaskCancelled
    · TaskLost               terminated or timed out: it could not write its own end
  - ServerNotFound           install the embedded server
  - ServerFailed             the embedded server did not start
  - TelemetryError           mend the OTEL_ variables, or install what they ask for
  - ScriptError              mend the test: what it scripted does not fit the task
* StepError                  raised by step handlers to say what to do next
  - RetryableError           try again, perhaps after `retry_after`
  - PermanentError           do not try again
    · EventRefused           mend the handler: it published what its template does not declare
  - StopRequested            let it through: the handler was told to stop
* PartlyTaken                raised by the function of a sink that took some of the events
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple


class TaskerError(Exception):
    """Base of the errors that the library itself raises."""


class TemplateError(TaskerError):
    """A template's declaration is wrong. `mistakes` holds every one of them, each naming its step."""

    def __init__(self, template: str, mistakes: Sequence[str]) -> None:
        lines = "".join(f"\n  - {mistake}" for mistake in mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"template {template!r} has {count}:{lines}")
        self.template, self.mistakes = template, tuple(mistakes)


class YamlProblem(NamedTuple):
    """One mistake in a YAML file. Lines and columns begin with 1."""

    code: str
    """`TT-Y012`, as the reference explains it; a code never changes its meaning."""
    file: str
    line: int
    column: int
    message: str
    source: str
    """The line as it stands in the file."""

    def __str__(self) -> str:
        shown = self.source[:SHOWN]
        pointer = f"\n      {' ' * (self.column - 1)}^" if self.column <= len(shown) + 1 else ""
        below = f"\n      {shown}{pointer}" if shown.strip() else ""
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}{below}"


SHOWN = 120
"""Characters of an offending line that are shown."""


class YamlError(TemplateError):
    """A template in YAML is wrong. `problems` holds every mistake with its line, column and code."""

    def __init__(self, template: str, file: str, problems: Sequence[YamlProblem]) -> None:
        super().__init__(template or file, [str(problem) for problem in problems])
        self.file, self.problems = file, tuple(problems)


class OptionError(TaskerError, ValueError, TypeError):
    """What was written in a call cannot be. `mistakes` are sentences about what `call` was to make or do."""

    def __init__(self, call: str, mistakes: Sequence[str]) -> None:
        super().__init__(f"{call}: {'; '.join(mistakes)}")
        self.call, self.mistakes = call, tuple(mistakes)


class ContextInvalid(TaskerError):
    """The context does not validate. `problems` are dicts of `loc`, `type` and `msg`, without the input itself."""

    def __init__(self, template: str, problems: Sequence[Mapping[str, Any]]) -> None:
        lines = "".join(f"\n  - {_place(problem)}: {problem['msg']}" for problem in problems)
        super().__init__(f"the context of {template!r} is not valid:{lines}")
        self.template, self.problems = template, tuple(problems)


def _place(problem: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in problem["loc"]) or "(the whole)"


class UnknownTemplate(TaskerError):
    """No template of that name is registered, and nothing else says where its tasks would run."""


class UnknownSink(TaskerError):
    """A template names a sink that nobody here can reach, or a task has no sink of that name."""


class TaskAlreadyStarted(TaskerError):
    """There is a task of this id, running or over. `task_id` names it."""

    def __init__(self, task_id: str) -> None:
        super().__init__(f"there is a task {task_id!r} already: nothing was started")
        self.task_id = task_id


class UnknownTask(TaskerError):
    """No task of that id is kept in the client's namespace."""


class RequestRefused(TaskerError):
    """A request broke a rule. Nothing has changed.

    Attributes:
        rule: Which rule, in one sentence.
        legal: What could be asked for instead, now; empty if nothing could, or nobody has looked.
    """

    def __init__(self, rule: str, legal: Sequence[str] | None = ()) -> None:
        # It stands in histories: None, where nobody has looked at the task, came later.
        super().__init__(rule if legal is None else f"{rule} (legal now: {', '.join(legal) or 'nothing'})")
        self.rule, self.legal = rule, tuple(legal or ())


class RequestUnanswered(TaskerError):
    """Nobody answered in time. The request may still be applied; ask again with the same `request_id`."""

    def __init__(self, request_id: str, seconds: float) -> None:
        super().__init__(
            f"no answer within {seconds:g} s, probably because no worker runs; the request may still be applied: "
            f"ask again with request_id={request_id!r}"
        )
        self.request_id = request_id


class NoAnswer(TaskerError):
    """An open task was asked something, and no worker answered in time."""


class SearchAttributesMissing(TaskerError):
    """The namespace does not have the search attributes that tasks are to tell, or not as they must be."""


class RetellingFailed(TaskerError):
    """No worker answers for a task, and its history cannot be replayed here."""


class EventError(TaskerError):
    """An event name was never registered, or its payload is not of the registered shape."""


class ConditionError(TaskerError):
    """A condition could not be evaluated, and why not."""

    def __init__(self, expression: str, problem: str) -> None:
        super().__init__(f"{expression!r} cannot be evaluated: {problem}")
        self.expression, self.problem = expression, problem


class ConditionsUnavailable(TaskerError):
    """A template has conditions, and the library that evaluates them is not there."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            "conditions need the package cel-expr-python, which has wheels for macOS, Windows and Linux with glibc, "
            f"and none for Alpine's musl: {problem}"
        )


class NewerRelease(TaskerError):
    """What is read was written by a newer release. It may say what this one does not know, and must not pass over."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} was written by a newer release of tasker_temporal: {why}; upgrade what reads it")


class RecordError(TaskerError):
    """A written record is missing, incomplete, or does not verify. `sort_key` names the first bad row, if one is."""

    def __init__(self, message: str, *, sort_key: int | None = None) -> None:
        super().__init__(message)
        self.sort_key = sort_key


class WebhookRefused(TaskerError):
    """The receiver answered, but not with 2xx."""


class SignatureError(TaskerError):
    """A webhook is not signed with the secret, or was signed at another time."""


class TaskEnded(TaskerError):
    """The task is over, and not well. `report` is its last report, None if it could not write one."""

    def __init__(self, message: str, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class TaskFailed(TaskEnded):
    """The task ended in `error`: the message names the step, and `report` has all of them. `retry` goes on with it."""


class TaskCancelled(TaskEnded):
    """The task was cancelled. `report` says how far it had come."""


class TaskLost(TaskEnded):
    """The run was terminated or timed out from outside, so the task never wrote its end."""


class ServerNotFound(TaskerError):
    """There is no Temporal server binary to start."""


class ServerFailed(TaskerError):
    """The embedded server ended before it served, or did not serve in time."""


class TelemetryError(TaskerError):
    """Telemetry cannot be set up as OpenTelemetry's environment variables say."""


class ScriptError(TaskerError):
    """A test scripted what cannot happen, or too little."""


class StepError(Exception):
    """Base of what a step handler raises to steer its own retry."""


class RetryableError(StepError):
    """The step may succeed later.

    Args:
        message: What went wrong, for the report.
        retry_after: When to try again: seconds, a timedelta, a datetime, or the value of an HTTP `Retry-After`
            header (seconds or an HTTP date). It wins over the template's backoff, up to `Retry.max_retry_after`.
    """

    def __init__(self, message: str = "", *, retry_after: float | timedelta | datetime | str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PermanentError(StepError):
    """The step will never succeed with this input, so its retries end at once."""


class EventRefused(PermanentError):
    """A handler published an event that its template does not declare, or whose payload does not validate."""


class StopRequested(StepError):
    """Raised by `StepContext.heartbeat` in a sync handler that was told to stop: let it through."""


class PartlyTaken(Exception):
    """The first `count` events were taken, then it went wrong: only the others come again."""

    def __init__(self, count: int, error: Exception) -> None:
        super().__init__(str(error))
        self.count, self.error = count, error
