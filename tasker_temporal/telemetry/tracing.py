"""Spans that are told at their end, with the times and the ids that they had all along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TracerProvider

from tasker_temporal.telemetry.carrier import span_of
from tasker_temporal.telemetry.catalogue import SPANS
from tasker_temporal.telemetry.identity import GivenIds

SCOPE = "tasker_temporal"
"""The name of the instrumentation scope."""

Attributes = Mapping[str, str | int]


class Times(NamedTuple):
    """Nanoseconds since 1970."""

    start: int
    end: int


def name_of(kind: str, **said: str) -> str:
    """A span's name, as `step shop.order.charge`."""
    name = SPANS[kind].name
    for word, value in said.items():
        name = name.replace(word.upper(), value)
    return name


class Tracing:
    """Tells of spans by a tracer provider: the given one, or the process's own once it is needed.

    A provider that is not OpenTelemetry's SDK cannot take computed ids, so with it no spans are told.
    """

    def __init__(self, provider: TracerProvider | None) -> None:
        self._provider = provider

    @cached_property
    def tracer(self) -> Tracer | None:
        """None if nobody would hear of spans."""
        provider: Any = self._provider or trace.get_tracer_provider()
        # Temporal's own replay-safe provider wraps one of the SDK's; what is told here is replay-safe already.
        tracer = getattr(provider, "_tracer_provider", provider).get_tracer(SCOPE, _version())
        if not isinstance(tracer, Tracer):
            return None
        if not isinstance(tracer.id_generator, GivenIds):
            tracer.id_generator = GivenIds(tracer.id_generator)
        return tracer

    def samples(self, context: Context, trace_id: int, name: str) -> bool:
        """Whether a span of that name, below the context's span if there is one, will be told of."""
        if self.tracer is None:
            found = span_of(context)
            return found is not None and found.trace_flags.sampled
        result = self.tracer.sampler.should_sample(context, trace_id, name, SpanKind.INTERNAL)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def tell(
        self,
        kind: str,
        name: str,
        span: SpanContext,
        parent: Context,
        times: Times,
        attributes: Attributes,
        *,
        links: Sequence[SpanContext] = (),
        error: str | None = None,
    ) -> None:
        """Tell of one span that is over. `error` is what went wrong, by its type."""
        if self.tracer is None or not span.trace_flags.sampled:
            return
        ids = self.tracer.id_generator
        assert isinstance(ids, GivenIds)
        with ids.given(span.trace_id, span.span_id):
            told = self.tracer.start_span(
                name,
                parent,
                KINDS[kind],
                dict(attributes),
                [Link(link) for link in links],
                start_time=times.start,
            )
        if error is not None:
            told.set_attribute("error.type", error)
            told.set_status(Status(StatusCode.ERROR, error))
        told.end(max(times.end, times.start))


KINDS = {name: SpanKind[said.kind.upper()] for name, said in SPANS.items()}


def spanned(trace_id: int, span_id: int, sampled: bool, like: SpanContext | None = None) -> SpanContext:
    """The context of a span that is known by its ids."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    state = None if like is None else like.trace_state
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags, trace_state=state)


def _version() -> str:
    try:
        return version("tasker-temporal")
    except PackageNotFoundError:
        return ""
