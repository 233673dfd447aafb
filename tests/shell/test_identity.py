"""A signature is of one identity, for one use: nothing of it can be changed, and it is of no use elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from tasker_temporal import Identity, IdentityInterceptor
from tasker_temporal.identity import HEADER, Claim, digest_of, is_signed, sign

KEY = b"a key"
ANN = Identity(actor="ann", groups=("fraud",))
USE = ("task-1", "approve", digest_of({"step": "review"}))


def test_what_was_signed_is_found_to_be() -> None:
    assert is_signed(sign(ANN, KEY, *USE), KEY, *USE)


@pytest.mark.parametrize(
    ("claim", "key", "use"),
    [
        (sign(ANN, None, *USE), KEY, USE),
        (sign(ANN, b"another", *USE), KEY, USE),
        (sign(ANN, KEY, *USE), KEY, ("task-2", *USE[1:])),
        (sign(ANN, KEY, *USE), KEY, ("task-1", "reject", USE[2])),
        (sign(ANN, KEY, *USE), KEY, (*USE[:2], digest_of({"step": "release"}))),
        (sign(ANN, KEY, *USE).model_copy(update={"actor": "bob"}), KEY, USE),
        (sign(ANN, KEY, *USE).model_copy(update={"groups": ("fraud", "boss")}), KEY, USE),
    ],
)
def test_what_was_not_signed_for_this_use_is_not(claim: Claim, key: bytes, use: Any) -> None:
    assert not is_signed(claim, key, *use)


def test_the_digest_is_of_what_json_says_and_not_of_how() -> None:
    raw = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b'{"b": 1.0,  "a": "\xc3\xa9"}'))
    assert digest_of(raw) == digest_of({"a": "é", "b": 1.0})
    assert digest_of(raw) != digest_of({"a": "é", "b": 2.0})
    assert digest_of(RawValue(Payload(data=b"\xff\x00"))) != digest_of(RawValue(Payload(data=b"\xff\x01")))
    assert digest_of(RawValue(Payload())) == digest_of(None)


def test_nobody_logged_in_says_nothing() -> None:
    assert IdentityInterceptor(lambda: None).headers({}, "task-1", "approve", [{}]) == {}


def test_a_claim_is_read_as_it_was_written_and_what_is_none_is_an_error() -> None:
    headers = IdentityInterceptor(lambda: ANN, key=KEY).headers({}, "task-1", "approve", [{"step": "review"}])
    claim = Claim.of(headers)
    assert claim is not None
    assert claim.identity == ANN
    assert is_signed(claim, KEY, *USE)
    assert Claim.of({}) is None
    with pytest.raises(ValueError, match="Invalid JSON"):
        Claim.of({HEADER: Payload(data=b"\xff")})
