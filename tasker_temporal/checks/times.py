"""Do the times fit together? Deadlines, timeouts, retries and their backoffs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from tasker_temporal.checks.finding import Finding, Severity, finding
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.durations import duration_text

DEFAULT_TIMEOUT: Final[timedelta] = StepTemplate.model_fields["timeout"].default
DEFAULT_HOLD: Final[timedelta] = Template.model_fields["hold_for"].default

Rule = Callable[[StepTemplate], Iterator[Finding]]


def check_times(template: Template) -> Iterator[Finding]:
    """Times that cannot hold, and options that make no difference."""
    if template.on_error == "fail" and template.hold_for != DEFAULT_HOLD:
        yield finding("TT-C015", "hold_for has no effect: expected on_error 'hold' with it", field="hold_for")
    for step in template.steps:
        for rule in RULES:
            yield from rule(step)


def _deadline(step: StepTemplate) -> Iterator[Finding]:
    if step.runs and step.deadline is not None and step.deadline < step.timeout:
        told = f"step {step.name!r}: its deadline of {duration_text(step.deadline)} is over before one attempt of up to"
        severity: Severity = "info" if step.timeout == DEFAULT_TIMEOUT else "warning"
        message = f"{told} {duration_text(step.timeout)} is: the timeout never counts"
        yield finding("TT-C010", message, step=step.name, field="deadline", severity=severity)


def _retries(step: StepTemplate) -> Iterator[Finding]:
    if not step.runs or step.deadline is None or step.max_attempts < 2:
        return
    begun = _begun_in_time(step.retry, step.max_attempts, step.deadline)
    if begun < step.max_attempts:
        waits = "the waits between them" if step.retry.jitter == "none" else "the waits between them, on average,"
        message = (
            f"step {step.name!r}: of its {step.max_attempts} attempts {begun} begin before its deadline of "
            f"{duration_text(step.deadline)}, {waits} are longer"
        )
        severity: Severity = "warning" if step.retry.jitter == "none" else "info"
        yield finding("TT-C011", message, step=step.name, field="retry", severity=severity)


def _begun_in_time(retry: Retry, attempts: int, deadline: timedelta) -> int:
    """How many attempts begin before the deadline, if each fails at once and full jitter halves its wait."""
    longest = retry.model_copy(update={"jitter": "none"})
    share = 1.0 if retry.jitter == "none" else 0.5
    passed = timedelta(0)
    for attempt in range(1, attempts):
        passed += longest.delay(attempt, "") * share
        if passed >= deadline:
            return attempt
    return attempts


def _not_retryable(step: StepTemplate) -> Iterator[Finding]:
    if step.runs and not step.retryable and step.retry != Retry():
        message = f"step {step.name!r}: retryable is false, so it has one attempt and its retry is never used"
        yield finding("TT-C012", message, step=step.name, field="retry")


def _backoff(step: StepTemplate) -> Iterator[Finding]:
    retry = step.retry
    if step.max_attempts > 1 and retry.base_delay > retry.max_delay:
        said = f"base_delay {duration_text(retry.base_delay)} is longer than max_delay {duration_text(retry.max_delay)}"
        yield finding(
            "TT-C013", f"step {step.name!r}: {said}, so every wait is cut to it", step=step.name, field="retry"
        )


def _wait(step: StepTemplate) -> Iterator[Finding]:
    if step.runs or step.deadline is not None:
        return
    if step.on_deadline != "fail":
        message = f"step {step.name!r}: on_deadline has no effect without a deadline"
        yield finding("TT-C015", message, step=step.name, field="on_deadline")
    what = "an event" if step.awaits == "event" else "people"
    message = f"step {step.name!r} waits for {what} without a deadline: for ever, if need be"
    yield finding("TT-C014", message, step=step.name)


RULES: Final[tuple[Rule, ...]] = (_deadline, _retries, _not_retryable, _backoff, _wait)
