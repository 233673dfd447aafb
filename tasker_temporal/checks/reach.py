"""Can every step run? Unreachable steps, triggers that are never true, joins that always skip, constant conditions."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.checks.finding import Finding, finding
from tasker_temporal.checks.scenarios import Scenarios
from tasker_temporal.core.conditions import ROOTS, holds, reads
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import said
from tasker_temporal.errors import ConditionError


def check_reach(template: Template) -> Iterator[Finding]:
    """What can never run, each step with its nearest reason."""
    scenarios = Scenarios(template)
    never = scenarios.never_run()
    for name in never:
        yield _why(template.step(name), scenarios, set(never))
    for step in template.steps:
        yield from _constant(step)


def _why(step: StepTemplate, scenarios: Scenarios, never: set[str]) -> Finding:
    if step.trigger is not None and not scenarios.can_be_true(step.name):
        message = (
            f"step {step.name!r} can never run: nothing makes {said(step.trigger)} true together with what it takes"
        )
        return finding("TT-C002", message, step=step.name, field="on")
    dead = [name for name in step.needs if name in never]
    if dead:
        message = f"step {step.name!r} can never run, as it waits for {', '.join(dead)}, which never runs"
        return finding("TT-C001", message, step=step.name)
    message = f"step {step.name!r} is always skipped: of {', '.join(step.needs)} never all run that it needs"
    return finding("TT-C003", message, step=step.name, field="after" if step.after else "takes")


def _constant(step: StepTemplate) -> Iterator[Finding]:
    """A condition that depends on nothing."""
    if not step.when or any(reads(step.when, root) for root in ROOTS):
        return
    try:
        always = holds(step.when, {})
    except ConditionError as error:
        yield finding(
            "TT-C004", f"step {step.name!r}: its condition always fails: {error}", step=step.name, field="when"
        )
        return
    told = f"step {step.name!r}: its condition {step.when!r} is always {'true' if always else 'false'}"
    yield finding("TT-C005" if always else "TT-C004", told, step=step.name, field="when")
