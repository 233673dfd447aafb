"""What a check finds: a code that never changes its meaning, how bad it is, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Severity = Literal["error", "warning", "info"]

CODES: Final[Mapping[str, tuple[Severity, str]]] = {
    "TT-C001": ("error", "unreachable step"),
    "TT-C002": ("error", "trigger that can never be true"),
    "TT-C003": ("error", "join that always skips"),
    "TT-C004": ("error", "condition that is always false"),
    "TT-C005": ("warning", "condition that is always true"),
    "TT-C010": ("warning", "deadline before the end of one attempt"),
    "TT-C011": ("warning", "retries that do not fit before the deadline"),
    "TT-C012": ("warning", "retries of a step that is not retryable"),
    "TT-C013": ("warning", "backoff that cannot grow"),
    "TT-C014": ("info", "wait without a deadline"),
    "TT-C015": ("warning", "option without effect"),
    "TT-C020": ("error", "limit beyond the server's own"),
    "TT-C021": ("error", "template that is too large to be started"),
    "TT-C022": ("error", "config that is too large to be sent"),
    "TT-C023": ("info", "history that continues as new"),
    "TT-C024": ("warning", "retries that fill a history"),
    "TT-C025": ("info", "more steps than the window holds"),
    "TT-C026": ("info", "join of many results"),
    "TT-C030": ("warning", "event that nothing receives"),
    "TT-C031": ("info", "branch that nothing waits for"),
    "TT-C032": ("info", "result that no step takes"),
    "TT-C033": ("info", "step that nobody waits for"),
    "TT-C034": ("info", "order that is said twice"),
    "TT-C035": ("warning", "template without steps"),
    "TT-C036": ("error", "former name of a step that is there"),
    "TT-C050": ("warning", "handler that running tasks still need"),
    "TT-C051": ("warning", "handler that asks for what running tasks do not send"),
    "TT-C052": ("warning", "result of another type"),
    "TT-C053": ("warning", "another graph under the same version"),
    "TT-C054": ("warning", "template under another name"),
    "TT-C055": ("warning", "event that running tasks still wait for"),
    "TT-C056": ("warning", "event of another type"),
}
"""Every code, how bad it is, and what it is about."""


class Finding(NamedTuple):
    """One thing that a check found. `step` and `field` are empty if it is about the template."""

    code: str
    severity: Severity
    step: str
    field: str
    message: str


def finding(code: str, message: str, *, step: str = "", field: str = "", severity: Severity | None = None) -> Finding:
    """A finding of that code, as severe as its code says unless told otherwise."""
    return Finding(code, severity or CODES[code][0], step, field, message)
