"""Signs webhooks and checks signatures, as https://www.standardwebhooks.com has it: HMAC-SHA256 over id, time and body.

A secret that begins with `whsec_` is base64, any other is taken as it is. Several secrets give several signatures, so
that one can be replaced while receivers still know the other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from tasker_temporal.errors import SignatureError

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

TOLERANCE = 300.0
"""Seconds by which a webhook may be old, or from the future."""


def signed(secrets: Sequence[str], id: str, body: bytes, now: float | None = None) -> dict[str, str]:
    """The headers for this body; without secrets they have no signature."""
    timestamp = str(int(time.time() if now is None else now))
    headers = {ID: id, TIMESTAMP: timestamp}
    if secrets:
        headers[SIGNATURE] = " ".join(_signature(secret, id, timestamp, body) for secret in secrets)
    return headers


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, tolerance: float = TOLERANCE, now: float | None = None
) -> None:
    """Check, where a webhook is received, that who sent it knows the secret, and that it is not old.

    Args:
        headers: As they came, in any case.
        tolerance: In seconds.
        now: The present, if not the clock's.

    Raises:
        SignatureError: it is not signed with the secret, or not now.
    """
    plain = {name.lower(): value for name, value in headers.items()}
    if missing := [name for name in (ID, TIMESTAMP, SIGNATURE) if name not in plain]:
        raise SignatureError(f"the webhook has no header {missing[0]!r}")
    timestamp = plain[TIMESTAMP]
    if not timestamp.isdecimal():
        raise SignatureError(f"the webhook's time {timestamp!r} is no number of seconds")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance:
        raise SignatureError(f"the webhook is more than {tolerance:g} s away from now")
    expected = _signature(secret, plain[ID], timestamp, body)
    if not any(hmac.compare_digest(expected.encode(), given.encode()) for given in plain[SIGNATURE].split()):
        raise SignatureError("no signature of the webhook is of this secret")


def _signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    content = b".".join([id.encode(), timestamp.encode(), body])
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), content, hashlib.sha256)).decode()


def key_of(secret: str) -> bytes:
    """The key that the secret stands for.

    Raises:
        ValueError: it begins with `whsec_`, and what follows is not base64.
    """
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("a secret that begins with whsec_ goes on in base64") from error
