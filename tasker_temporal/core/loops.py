"""Loops over a map in a fixed order. CEL knows none: what depends on one would differ from replay to replay.

That is which error is met first, and whether an answer is found before the loops have taken too many turns. So what a
loop goes through is handed to `ordered` first. Written by hand that would be easily forgotten; here it is put into the
compiled expression, which is the message `CheckedExpr` of the protocol buffers that CEL publishes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, Final

Shape = Mapping[int, Any]
"""By the number of a field, the shape of the message in it."""

_EXPR: Final[dict[int, Any]] = {}
_LOOP: Final[dict[int, Any]] = dict.fromkeys((2, 4, 5, 6, 7), _EXPR)
_ENTRY: Final[Shape] = {3: _EXPR, 4: _EXPR}
_EXPR.update({5: {1: _EXPR}, 6: {1: _EXPR, 3: _EXPR}, 7: {1: _EXPR}, 8: {2: _ENTRY}, 9: _LOOP})
_CHECKED: Final[Shape] = {4: _EXPR}

_RANGE: Final = 2
"""The field of a loop that says what it goes through."""
_FIRST_ID: Final = 1_000_000
"""No expression has so many parts."""

ORDERED: Final = "ordered"
OVERLOADS: Final = ("ordered_map", "ordered_list")


def in_order(packed: bytes) -> bytes:
    """The compiled expression, an `Any`, with each loop in order; the same bytes if it has none."""
    fields = (
        (number, kind, _checked(content) if number == 2 else content) for number, kind, content in _fields(packed)
    )
    return b"".join(_field(number, content, kind) for number, kind, content in fields)


def _checked(message: bytes) -> bytes:
    ids = count(_FIRST_ID)
    found = _rewritten(message, _CHECKED, ids)
    return found + b"".join(_reference(id) for id in range(_FIRST_ID, next(ids)))


def _rewritten(message: bytes, shape: Shape, ids: Iterator[int]) -> bytes:
    found = bytearray()
    for number, kind, content in _fields(message):
        if kind == _SIZED and number in shape:
            may_be_map = shape is _LOOP and number == _RANGE and not _is_list(content)
            content = _rewritten(content, shape[number], ids)
            content = _call(content, next(ids)) if may_be_map else content
        found += _field(number, content, kind)
    return bytes(found)


def _is_list(expression: bytes) -> bool:
    """Written out, a sum, or made by another loop. Such a list may hold times, which no function can be handed."""
    number, _, content = list(_fields(expression))[-1]
    return number in (7, 9) or (number == 6 and (2, _SIZED, b"_+_") in _fields(content))


def _call(argument: bytes, id: int) -> bytes:
    """The expression `ordered(argument)`."""
    return _field(2, _varint(id), 0) + _field(6, _field(2, ORDERED.encode()) + _field(3, argument))


def _reference(id: int) -> bytes:
    """What the checker would have noted of the call: which functions it may mean."""
    names = b"".join(_field(3, overload.encode()) for overload in OVERLOADS)
    return _field(2, _field(1, _varint(id), 0) + _field(2, names))


# Protocol buffers: a message is its fields, each a number, a kind, and a content.

_SIZED: Final = 2
"""The kind whose content comes behind its length."""


def _fields(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    place = 0
    while place < len(message):
        key, place = _read_varint(message, place)
        start, kind = place, key & 7
        if kind == 0:
            _, place = _read_varint(message, place)
        else:
            assert kind == _SIZED  # Numbers of a fixed size stand in constants alone, which nothing here looks into.
            size, start = _read_varint(message, place)
            place = start + size
        yield key >> 3, kind, message[start:place]


def _field(number: int, content: bytes, kind: int = _SIZED) -> bytes:
    size = _varint(len(content)) if kind == _SIZED else b""
    return _varint(number << 3 | kind) + size + content


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    """The number, and the place behind it."""
    value = shift = 0
    while message[place] & 0x80:
        value |= (message[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | message[place] << shift, place + 1


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
