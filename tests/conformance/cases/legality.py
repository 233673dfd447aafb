"""Every line of the tables of requests: legal and refused, in each state in which a task or a step can be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tasker_temporal import State
from tasker_temporal.core.intake.legality import STEP_REQUESTS, TASK_REQUESTS
from tasker_temporal.core.requests import (
    Ask,
    CancelTask,
    ChangeStep,
    CompleteStep,
    PauseTask,
    ResolveStep,
    ResolveTask,
    ResumeTask,
    RetryFrom,
    RetryStep,
    RetryTask,
    SkipStep,
)
from tasker_temporal.testing import Fail, Hang, Ok, Outcome
from tests.conformance.case import Asked, Case
from tests.conformance.cases.requests import HEEDFUL
from tests.conformance.plays import Edges, graph

BY: dict[str, Any] = {"actor": "ann", "reason": "the gateway is back"}

OF_TASK: Mapping[str, Ask] = {
    "cancel": CancelTask(**BY),
    "pause": PauseTask(**BY),
    "resume": ResumeTask(**BY),
    "retry": RetryTask(**BY),
    "resolve": ResolveTask(**BY),
}
OF_STEP: Mapping[str, Ask] = {
    "skip": SkipStep(step="a", **BY),
    "retry_step": RetryStep(step="a", **BY),
    "retry_from": RetryFrom(step="a", **BY),
    "resolve_step": ResolveStep(step="a", **BY),
    "complete_step": CompleteStep(step="a", result=1, **BY),
    "change_step": ChangeStep(step="a", attempts=3, **BY),
}
OF_TEMPLATE = {"move", "send_event"}
"""These also depend on what the template declares: `approvals` and `triggers` have their cases."""

assert {*OF_TASK, *OF_STEP, *OF_TEMPLATE} == {*TASK_REQUESTS, *STEP_REQUESTS}

APART: Edges = {"gate": [], "a": []}
"""`gate` keeps the task busy until everything was asked."""

BUSY: Sequence[Outcome] = (Fail("busy", retry_after=1000), Ok())


class Scene(NamedTuple):
    """How a task, or its step `a`, comes to stand in a state; what ends it afterwards."""

    outcomes: Mapping[str, Sequence[Outcome]]
    when: tuple[str, State]
    first: Sequence[Ask] = ()
    edges: Edges = APART
    hold: bool = False
    after: Mapping[str, Sequence[Ask]] = {}
    """By the request that was made: what else is asked."""


LONG: Mapping[str, Sequence[Outcome]] = {"gate": [Ok(takes=20)]}
BUSY_A = {**LONG, "a": BUSY}

STEPS: Mapping[State, Scene] = {
    State.PENDING: Scene(LONG, ("gate", State.IN_PROGRESS), edges={"gate": [], "a": ["gate"]}),
    State.IN_PROGRESS: Scene({**LONG, "a": [Hang()]}, ("a", State.IN_PROGRESS)),
    State.COMPLETE: Scene(LONG, ("a", State.COMPLETE)),
    State.ERROR: Scene(BUSY_A, ("a", State.ERROR), after={"change_step": [OF_STEP["skip"]]}),
    State.SKIPPED: Scene(BUSY_A, ("a", State.ERROR), [OF_STEP["skip"]]),
    State.RESOLVED_MANUALLY: Scene(BUSY_A, ("a", State.ERROR), [OF_STEP["resolve_step"]]),
}

RESUME = [OF_TASK["resume"]]
HELD: Mapping[str, Sequence[Outcome]] = {"a": [Fail("down", permanent=True), Ok()]}

TASKS: Mapping[State, Scene] = {
    State.IN_PROGRESS: Scene(LONG, ("gate", State.IN_PROGRESS), edges={"gate": []}, after={"pause": RESUME}),
    State.PAUSED: Scene(LONG, ("gate", State.IN_PROGRESS), [OF_TASK["pause"]], edges={"gate": []}),
    State.ERROR: Scene(HELD, ("a", State.ERROR), edges={"a": []}, hold=True),
}

ENDS = {"cancel": State.CANCELLED, "resolve": State.RESOLVED_MANUALLY}
"""How the task ends if it does not complete."""


def steps_of(name: str, state: State, scene: Scene) -> Mapping[str, State]:
    """How the steps end that do not complete."""
    if name == "cancel":
        return dict.fromkeys(scene.edges, State.CANCELLED)
    if name == "resolve":
        return {"a": State.ERROR}
    if name == "skip" or (name == "change_step" and state in (State.ERROR, State.SKIPPED)):
        return {"a": State.SKIPPED}
    resolved = name == "resolve_step" or (name == "change_step" and state is State.RESOLVED_MANUALLY)
    return {"a": State.RESOLVED_MANUALLY} if resolved else {}


def made(name: str, whose: str, state: State, scene: Scene, requests: Mapping[str, Ask]) -> Case:
    """The request is taken, and before it every other one is refused that is not legal there."""
    table = TASK_REQUESTS if whose == "task" else STEP_REQUESTS
    wrong = [request for other, request in requests.items() if state not in table[other]]
    refused = [(request, f"is {state}: {request.model_dump()['request']!r} is legal for") for request in wrong]
    asked = [*((one, "") for one in scene.first), *refused, (requests[name], "")]
    asked += [(one, "") for one in scene.after.get(name, ())]
    outcomes = {**scene.outcomes, **({"gate": [Hang()]} if name == "cancel" and "gate" in scene.edges else {})}
    hold: dict[str, Any] = {"on_error": "hold"} if scene.hold else {}
    then = ("gate", State.IN_PROGRESS) if "gate" in scene.edges else scene.when
    title = f"{name}-{whose}-{state}".replace("_", "-")
    return Case(
        name=f"legal-{title}",
        template=graph(title.replace("-", "_"), scene.edges, heartbeat_timeout=HEEDFUL, **hold),
        outcomes=outcomes,
        asked=[
            Asked(after=5 + number / 100, when=then if number else scene.when, request=one, refused=rule)
            for number, (one, rule) in enumerate(asked)
        ],
        state=ENDS.get(name, State.COMPLETE) if whose == "task" else State.COMPLETE,
        steps=steps_of(name, state, scene),
    )


def legal(whose: str, scenes: Mapping[State, Scene], requests: Mapping[str, Ask]) -> Iterator[Case]:
    table = TASK_REQUESTS if whose == "task" else STEP_REQUESTS
    for state, scene in scenes.items():
        for name in requests:
            if state in table[name]:
                yield made(name, whose, state, scene, requests)


CASES = [*legal("task", TASKS, OF_TASK), *legal("step", STEPS, OF_STEP)]
