"""How a trace travels: W3C Trace Context and baggage, as JSON in the header that Temporal's SDKs use."""

from __future__ import annotations

import json
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from temporalio.api.common.v1 import Payload

from tasker_temporal.wire import TRACE_HEADER, carried

Headers = Mapping[str, Payload]
Carrier = Mapping[str, str]

PROPAGATOR = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])


def carried_by(context: Context | None = None) -> dict[str, str]:
    """What to send so that the receiver goes on with the context, the current one unless said."""
    carrier: dict[str, str] = {}
    PROPAGATOR.inject(carrier, context)
    return carrier


def context_of(carrier: Carrier) -> Context:
    """The context that was sent."""
    return PROPAGATOR.extract(dict(carrier), Context())


def sent(headers: Headers) -> dict[str, str]:
    """The carrier in the headers; empty if there is none, or none that can be read."""
    return carried(headers.get(TRACE_HEADER))


def sending(headers: Headers, carrier: Carrier) -> dict[str, Payload]:
    """The headers with the carrier in them. An empty one leaves them as they are."""
    if not carrier:
        return dict(headers)
    payload = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(dict(carrier)).encode())
    return {**headers, TRACE_HEADER: payload}


def span_of(context: Context) -> SpanContext | None:
    """The context's span, None if it has none."""
    found = trace.get_current_span(context).get_span_context()
    return found if found.is_valid else None


def below(span: SpanContext, context: Context | None = None) -> Context:
    """The context in which that span is the current one."""
    return trace.set_span_in_context(NonRecordingSpan(span), context or Context())
