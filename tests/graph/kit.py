"""Graphs to draw, and the pictures that are expected of them.

`python -m tests.graph.kit` draws the pictures in `expected/` anew. Look at what changed before you keep it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tasker_temporal.core.machine import State
from tasker_temporal.core.report import ErrorReport, StepReport, TaskReport
from tasker_temporal.core.task_types import BATCH, CRITICAL
from tasker_temporal.core.template import Argument, StepTemplate, Template
from tasker_temporal.graph import FORMATS, Graph, graph_of, machine_of

EXPECTED = Path(__file__).parent / "expected"
ENDINGS = {"mermaid": "mmd", "dot": "dot", "svg": "svg", "ascii": "txt"}


def step(name: str, takes: Iterable[str] = (), after: Iterable[str] = ()) -> StepTemplate:
    arguments = tuple(Argument(name=f"the_{taken}", step=taken) for taken in takes)
    return StepTemplate(name=name, arguments=arguments, after=tuple(after))


def template(*steps: StepTemplate, name: str = "shop.order") -> Template:
    return Template(name=name, steps=steps)


def diamond() -> Template:
    """`ship` takes the result of `charge`, and only waits for `reserve`."""
    return template(
        step("validate_cart"),
        step("charge", ["validate_cart"]),
        step("reserve", ["validate_cart"]),
        step("ship", ["charge"], ["reserve"]),
    )


def random_dag(seed: int, size: int, most: int = 3) -> Template:
    """Each step waits for at most so many of the twelve steps before it, for some of them only in order."""
    chance = random.Random(seed)
    names = [f"s{number}" for number in range(size)]
    steps = []
    for at, name in enumerate(names):
        before = names[max(at - 12, 0) : at]
        chosen = chance.sample(before, min(len(before), chance.randint(0, most)))
        taken = chance.randint(0, len(chosen))
        steps.append(step(name, chosen[:taken], chosen[taken:]))
    return template(*steps, name="any.dag")


def fan_out(width: int) -> Template:
    parts = [f"part_{number}" for number in range(width)]
    return template(step("split"), *(step(part, ["split"]) for part in parts), step("merge", parts), name="fan.out")


def report(template: Template, steps: Mapping[str, StepReport], state: State = State.IN_PROGRESS) -> TaskReport:
    return TaskReport(
        task_id="order-1",
        template=template.name,
        version=template.version,
        state=state,
        started_at=None,
        ended_at=None,
        counts={},
        completion_percentage=0,
        execution_status="processing",
        recommended_action="wait_for_completion",
        health_status="healthy",
        steps=steps,
    )


def run() -> Graph:
    """The diamond, half done: one step is tried again, and one waits."""
    steps = {
        "validate_cart": StepReport(state=State.COMPLETE, attempt=1),
        "charge": StepReport(
            state=State.ERROR,
            attempt=2,
            last_error=ErrorReport(type="CardDeclined", message="no"),
            next_attempt_at=datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC),
        ),
        "reserve": StepReport(state=State.IN_PROGRESS, attempt=1),
        "ship": StepReport(state=State.PENDING, waits_for=("charge", "reserve")),
    }
    return graph_of(diamond(), report(diamond(), steps))


def triggers() -> Graph:
    """A failure that is handled, a decision with its branches, a condition, an event from outside."""
    until = {"any_of": [{"ended": "refund"}, {"all_of": [{"completed": "welcome"}, {"elapsed": 60}]}]}
    steps = [
        {"name": "charge"},
        {
            "name": "refund",
            "on": {"failed": "charge"},
            "arguments": [{"name": "x", "step": "charge", "optional": True}],
        },
        {"name": "plan", "branches": ["gold", "plain"], "after": ["charge"]},
        {"name": "welcome", "on": {"chosen": "plan", "branch": "gold"}, "when": "context.total > 10"},
        {"name": "payment", "awaits": "event", "on": {"received": "paid"}},
        {"name": "close", "after": ["payment"], "on": until},
    ]
    return graph_of(Template.model_validate({"name": "shop.order", "events": [{"name": "paid"}], "steps": steps}))


def pictured() -> dict[str, Graph]:
    """What there is an expected picture of, in each format."""
    return {
        "diamond": graph_of(diamond()),
        "run": run(),
        "task": machine_of("task"),
        "step": machine_of("step"),
        "critical": machine_of(CRITICAL),
        "batch": machine_of(BATCH),
        "triggers": triggers(),
    }


if __name__ == "__main__":
    EXPECTED.mkdir(exist_ok=True)
    for name, graph in pictured().items():
        for form, render in FORMATS.items():
            (EXPECTED / f"{name}.{ENDINGS[form]}").write_text(render(graph), encoding="utf-8")
