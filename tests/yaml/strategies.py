"""Random sound templates, with every field that a template has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tasker_temporal.core.template import Argument, Limits, Retry, StepTemplate, Template

LONG = timedelta(days=400)
durations = st.timedeltas(min_value=timedelta(0), max_value=LONG)
spans = st.timedeltas(min_value=timedelta(microseconds=1), max_value=LONG)
words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(["on", "null", "~", "1.0", "0x1F", "yes", "- a", "a: b", "# c", "|", "{}", "*x", "!tag", "1e3"]),
)
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


@st.composite
def arguments(draw: st.DrawFn, earlier: list[str]) -> tuple[Argument, ...]:
    """Parameters that take the context, or results of earlier steps."""
    names = draw(st.lists(words, unique=True, max_size=3))
    sources = st.none() | st.sampled_from(earlier) if earlier else st.none()
    made = []
    for name in names:
        step = draw(sources)
        made.append(Argument(name=name, step=step, optional=step is not None and draw(st.booleans())))
    return tuple(made)


@st.composite
def steps(draw: st.DrawFn, name: str, earlier: list[str]) -> StepTemplate:
    some = st.lists(st.sampled_from(earlier), unique=True, max_size=3) if earlier else st.just([])
    given: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "description": texts,
                "arguments": arguments(earlier),
                "after": some.map(tuple),
                "retry": retries,
                "retryable": st.booleans(),
                "timeout": spans,
                "deadline": spans,
                "heartbeat_timeout": spans,
                "task_queue": texts,
                "formerly": st.lists(words, max_size=2).map(tuple),
                "config": st.dictionaries(texts, jsons, max_size=3),
                "result": texts,
            },
        )
    )
    return StepTemplate(name=name, **given)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    names = draw(st.lists(words, unique=True, max_size=6))
    made = tuple(draw(steps(name, names[:number])) for number, name in enumerate(names))
    given: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "version": texts,
                "description": texts,
                "context": texts,
                "task_queue": texts,
                "on_failure": st.sampled_from(["continue", "stop"]),
                "on_error": st.sampled_from(["fail", "hold"]),
                "hold_for": spans,
                "cancel_grace": durations,
                "handler_grace": durations,
                "limits": limits,
            },
        )
    )
    return Template(name=f"shop.{draw(words)}", steps=made, **given)
