"""Can every step run? Unreachable steps, triggers that are never true, joins that always skip, constant conditions."""

from __future__ import annotations

from collections.abc import Iterator

from tasker_temporal.checks.finding import Finding, finding
from tasker_temporal.checks.scenarios import Scenarios
from tasker_temporal.core.template import StepTemplate, Template
from tasker_temporal.core.triggers import said


def check_reach(template: Template) -> Iterator[Finding]:
    """What can never run, each step with its nearest reason."""
    scenarios = Scenarios(template)
    never = scenarios.never_run()
    for name in never:
        yield _why(template.step(name), scenarios, set(never))


def _why(step: StepTemplate, scenarios: Scenarios, never: set[str]) -> Finding:
    if step.on is not None and not scenarios.can_be_true(step.name):
        message = f"step {step.name!r} can never run: nothing makes {said(step.on)} true together with what it takes"
        return finding("TT-C002", message, step=step.name, field="on")
    dead = [name for name in step.needs if name in never]
    if dead:
        message = f"step {step.name!r} can never run, as it waits for {', '.join(dead)}, which never runs"
        return finding("TT-C001", message, step=step.name)
    message = f"step {step.name!r} is always skipped: of {', '.join(step.needs)} never all run that it needs"
    return finding("TT-C003", message, step=step.name, field="after" if step.after else "takes")
