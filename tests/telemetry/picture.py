"""Spans as a picture of text: each below its parent, with what a person would ask about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.telemetry.receiver import plain

SHOWN = ("tasker.task.state", "tasker.step.state", "tasker.step.round", "tasker.attempt.number", "error.type")


def picture(spans: Iterable[Span]) -> str:
    """A tree of all of them. A span that came twice is there twice."""
    found = sorted(spans, key=lambda span: (span.start_time_unix_nano, span.name))
    known = {span.span_id: span.name for span in found}
    tops = [span for span in found if span.parent_span_id not in known]
    return "\n".join(line for top in tops for line in _lines(top, found, known, 0))


def _lines(span: Span, all: list[Span], known: dict[bytes, str], depth: int) -> Iterator[str]:
    yield "  " * depth + _line(span, known)
    for child in all:
        if child.parent_span_id == span.span_id:
            yield from _lines(child, all, known, depth + 1)


def _line(span: Span, known: dict[bytes, str]) -> str:
    said = plain(span.attributes)
    parts = [str(said[name]) for name in SHOWN if name in said and (name, said[name]) != ("tasker.step.round", 1)]
    parts += [f"-> {known.get(link.span_id, 'unknown')}" for link in span.links]
    parts += ["ERROR"] if span.status.code == Status.STATUS_CODE_ERROR else []
    return span.name + (f" ({', '.join(parts)})" if parts else "")


def named(spans: Iterable[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def one(spans: Iterable[Span], name: str) -> Span:
    [found] = named(spans, name)
    return found
