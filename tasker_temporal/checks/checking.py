"""All that can be said of one template."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from tasker_temporal.checks.finding import Finding
from tasker_temporal.checks.reach import check_reach
from tasker_temporal.checks.sizes import check_sizes
from tasker_temporal.checks.times import check_times
from tasker_temporal.checks.unused import check_unused
from tasker_temporal.core.template import Template

CHECKS: Final[tuple[Callable[[Template], Iterator[Finding]], ...]] = (
    check_reach,
    check_times,
    check_sizes,
    check_unused,
)

ORDER: Final = ("error", "warning", "info")


def check(template: Any) -> list[Finding]:
    """Everything that is found, the worst first, and then in the order of the steps.

    Args:
        template: A `TaskTemplate`, or the `Template` that it compiles to.

    Raises:
        TemplateError: the template is not even sound.
    """
    compiled = template if isinstance(template, Template) else template.compiled
    found = [each for look in CHECKS for each in look(compiled)]
    places = {step.name: number for number, step in enumerate(compiled.steps)}
    return sorted(found, key=lambda each: (ORDER.index(each.severity), places.get(each.step, -1), each.code))
