"""Random sound templates, with every field that a template has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tasker_temporal.core.approval import Approval
from tasker_temporal.core.mistakes import mistakes
from tasker_temporal.core.retry import Retry
from tasker_temporal.core.routes import Route
from tasker_temporal.core.soundness import unsound
from tasker_temporal.core.task_types import TYPES, Move, TaskType
from tasker_temporal.core.template import Argument, Limits, Sink, StepTemplate, Template
from tasker_temporal.core.triggers import (
    AllOf,
    AnyOf,
    AtLeast,
    Chosen,
    Completed,
    Elapsed,
    Ended,
    EventTemplate,
    Failed,
    Received,
    Skipped,
    Trigger,
    leaves,
)

LONG = timedelta(days=400)
durations = st.timedeltas(min_value=timedelta(0), max_value=LONG)
spans = st.timedeltas(min_value=timedelta(microseconds=1), max_value=LONG)
conditions = st.sampled_from(["", "context.total > 1000", "true || context.name == 'é'"])
routing = st.sampled_from(["context.total > 1000", "has(context.vip)"])
matches = st.sampled_from(["", "event.order == context.order", "size(event.lines) > 2"])
words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["on", "null", "~", "1.0", "0x1F", "yes", "- a", "a: b", "# c", "|", "{}", "*x", "!tag", "1e3"]),
)
queues = texts.filter(lambda text: text.strip() and not text.startswith("/_sys/"))
jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
retries = st.builds(
    Retry,
    attempts=st.integers(1, 99),
    base_delay=durations,
    max_delay=durations,
    multiplier=st.floats(1, 10),
    jitter=st.sampled_from(["full", "none"]),
    max_retry_after=durations,
)
limits = st.builds(
    Limits,
    in_flight=st.integers(1, 1000),
    bytes_in_flight=st.integers(1, 10**7),
    drain_events=st.integers(10, 10**5),
    drain_bytes=st.integers(10_000, 10**8),
)


EVENTS = ("payment.captured", "payment", "shipped")
routes = st.builds(
    Route,
    when=routing,
    name=texts,
    mode=st.none() | st.sampled_from(["concurrent", "sequential_only", "high_priority"]),
    max_concurrency=st.none() | st.integers(1, 9),
    priority=st.none() | st.integers(1, 5),
    fairness_key=st.none() | words,
    task_queue=st.none() | words,
    task_type=st.none() | st.sampled_from(["default", "batch"]),
)


def triggers(earlier: list[StepTemplate]) -> st.SearchStrategy[Trigger]:
    """Any trigger over earlier steps and the events."""
    names = [step.name for step in earlier]
    kinds: list[st.SearchStrategy[Any]] = [
        st.builds(Received, received=st.sampled_from(EVENTS), match=matches),
        st.builds(Elapsed, elapsed=spans),
    ]
    if names:
        name = st.sampled_from(names)
        kinds += [st.builds(kind, **{kind.__name__.lower(): name}) for kind in (Completed, Failed, Ended, Skipped)]
    if choices := [(step.name, branch) for step in earlier for branch in step.branches]:
        kinds.append(st.sampled_from(choices).map(lambda choice: Chosen(chosen=choice[0], branch=choice[1])))
    return st.recursive(st.one_of(kinds), _groups, max_leaves=5)


def _groups(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    least = some.flatmap(lambda of: st.builds(AtLeast, at_least=st.integers(1, len(of)), of=st.just(of)))
    return st.builds(AllOf, all_of=some) | st.builds(AnyOf, any_of=some) | least


@st.composite
def arguments(draw: st.DrawFn, earlier: list[str], on: Trigger | None) -> tuple[Argument, ...]:
    """Parameters that take the context, results of earlier steps, and what the trigger names."""
    sources: list[dict[str, Any]] = [{}, *({"step": name} for name in earlier)]
    for leaf in leaves(on) if on is not None else ():
        if isinstance(leaf, Failed):
            sources.append({"step": leaf.failed, "part": "failure"})
        if isinstance(leaf, Received):
            sources.append({"event": leaf.received})
    chosen = draw(st.dictionaries(words, st.sampled_from(sources), max_size=3))
    return tuple(
        Argument(name=name, **source, optional=bool(source) and draw(st.booleans())) for name, source in chosen.items()
    )


approvals = st.builds(
    Approval,
    approvers=st.lists(words, min_size=1, max_size=3, unique=True).map(tuple),
    not_requester=st.booleans(),
    verified=st.booleans(),
    notify=st.booleans(),
)
sinks = st.builds(
    Sink,
    events=st.lists(st.sampled_from(["*", "task.*", "step.failed", "step.*"]), min_size=1, max_size=2).map(tuple),
    batch=st.integers(1, 5000),
    within=st.none() | spans,
    grace=spans,
    task_queue=st.none() | queues,
    name=st.just("ledger"),
)
OWN = TaskType(
    name="checked",
    states=("checking",),
    rows=(
        Move(source="in_progress", to="error", when="context.total > 1000 && !all_steps_complete"),
        Move(source="in_progress", to="checking"),
        Move(source="checking", to="complete", by="request"),
        Move(source="checking", to="error", when="all_steps_over", by="request"),
    ),
)


@st.composite
def steps(draw: st.DrawFn, name: str, before: list[StepTemplate]) -> StepTemplate:
    earlier = [step.name for step in before]
    some = st.lists(st.sampled_from(earlier), unique=True, max_size=3) if earlier else st.just([])
    common: dict[str, Any] = {"description": texts, "after": some.map(tuple), "when": conditions, "deadline": spans}
    if draw(st.integers(0, 4)) == 0:
        wait = st.builds(Received, received=st.sampled_from(EVENTS), match=matches)
        common["on_deadline"] = st.sampled_from(["fail", "skip"])
        return StepTemplate(name=name, awaits="event", on=draw(wait), **_some(draw, common))
    if draw(st.integers(0, 4)) == 0 and name != "task":
        common |= {"result": texts, "formerly": st.lists(words, max_size=2).map(tuple)}
        return StepTemplate(name=name, awaits="approval", approval=draw(approvals), **_some(draw, common))
    on = draw(st.none() | triggers(before))
    options: dict[str, Any] = {
        "arguments": arguments(earlier, on),
        "branches": st.lists(words, unique=True, max_size=3).map(tuple),
        "retry": retries,
        "retryable": st.booleans(),
        "timeout": spans,
        "heartbeat_timeout": spans,
        "task_queue": queues,
        "formerly": st.lists(words, max_size=2).map(tuple),
        "config": st.dictionaries(texts, jsons, max_size=3),
        "result": texts,
    }
    return StepTemplate(name=name, on=on, **_some(draw, common | options))


def _some(draw: st.DrawFn, options: dict[str, Any]) -> dict[str, Any]:
    """Each of them, or its default."""
    given: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=options))
    return given


@st.composite
def templates(draw: st.DrawFn) -> Template:
    """A sound template. Each field is now and then not its default."""
    made: list[StepTemplate] = []
    for name in draw(st.lists(words, unique=True, max_size=6)):
        made.append(draw(steps(name, made)))
    options: dict[str, Any] = {
        "version": texts,
        "description": texts,
        "context": texts,
        "task_queue": queues,
        "on_failure": st.sampled_from(["continue", "stop"]),
        "on_error": st.sampled_from(["fail", "hold"]),
        "hold_for": spans,
        "cancel_grace": durations,
        "handler_grace": durations,
        "limits": limits,
        "mode": st.sampled_from(["concurrent", "high_priority"]),
        "max_concurrency": st.integers(1, 99),
        "routes": st.lists(routes, max_size=2).map(tuple),
    }
    kind = draw(st.sampled_from([*TYPES.values(), OWN]))
    options["sinks"] = sinks.map(lambda sink: (sink,))
    kinds: dict[str, Any] = {"type": kind, "approval": draw(approvals) if kind.is_approved else None}
    events = tuple(EventTemplate(name=name, model=draw(texts)) for name in EVENTS)
    template = Template(name=f"shop.{draw(words)}", steps=tuple(made), events=events, **_some(draw, options), **kinds)
    assert [*mistakes(template), *unsound(template)] == []
    return template
