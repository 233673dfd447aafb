"""Says in one line why no connection came about, and what to do: the SDK nests its causes, and names no option."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple


class Sign(NamedTuple):
    """What the SDK's message holds, what it means, and what a person can do."""

    pattern: str
    meaning: str
    remedy: str
    secured: bool | None = None
    """Only of connections with TLS, or only of those without."""


CERTIFICATE: Final = "--tls-cert-path and --tls-key-path, or TEMPORAL_TLS_CLIENT_CERT_PATH and _KEY_PATH"

CUT_OFF: Final = "clos|cancel|pipe|reset|http2|eof|aborted"
"""How a connection ends that the other side drops: it depends on who is faster."""

SIGNS: Final[Sequence[Sign]] = (
    Sign(
        "Unauthenticated|unauthorized",
        "it does not take {key}",
        "pass one that is valid with --api-key or TEMPORAL_API_KEY",
    ),
    Sign(
        "PermissionDenied",
        "{key} has no right to it",
        "pass one that has, or name its own namespace with --namespace or TEMPORAL_NAMESPACE",
    ),
    Sign("InvalidContentType", "it does not speak TLS", "leave out what turns TLS on (--tls..., --api-key)", True),
    Sign(
        "UnknownIssuer",
        "its certificate is signed by an authority that is not known here",
        "name that authority's certificate with --tls-ca-path or TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    ),
    Sign("Expired", "its certificate has expired{date}", "renew the server's certificate, or look at this clock"),
    Sign("NotValidYet", "its certificate is not valid yet", "look at this clock, and at the server's certificate"),
    Sign(
        "NotValidForName",
        "its certificate is for another name",
        "connect to that name, or say it with --tls-server-name or TEMPORAL_TLS_SERVER_NAME",
    ),
    Sign(
        "InconsistentKeys", "the client's certificate and key do not belong together", f"pass a pair with {CERTIFICATE}"
    ),
    Sign(
        "NoCertificatesPresented|CertificateParseError",
        "a certificate is none in PEM",
        f"pass another authority with --tls-ca-path, or another client with {CERTIFICATE}",
    ),
    Sign("PrivateKeyParseError", "the client's private key is none in PEM", f"pass one with {CERTIFICATE}"),
    Sign(
        "both client cert and private key",
        "the client's certificate and key come only together",
        f"pass both with {CERTIFICATE}",
    ),
    Sign(
        f"AlertReceived|{CUT_OFF}",
        "it ended the connection as TLS began, as one does that takes no client without a certificate of its own",
        f"pass one that it takes with {CERTIFICATE}",
        True,
    ),
    Sign(
        CUT_OFF,
        "something listens there, and does not speak as Temporal does",
        "if it speaks TLS, pass --tls or --api-key; else look at the port, a server's is often 7233, its UI's 8233",
        False,
    ),
)
"""The first that fits."""

OTHERWISE: Final = "start one with `tasker dev`, or say where it is with --address or TEMPORAL_ADDRESS"


def unreachable(address: str, error: str, *, secured: bool, with_key: bool) -> str:
    """Why nobody answers at `address`, and what to do.

    Args:
        error: What the SDK says of it.
        secured: TLS was spoken.
        with_key: An API key was shown.
    """
    for sign in SIGNS:
        if sign.secured in (None, secured) and re.search(sign.pattern, error):
            key = "the API key" if with_key else "a client without an API key"
            meaning = sign.meaning.format(key=key, date=_date(error))
            return f"no connection to the server at {address} ({meaning}): {sign.remedy}"
    return f"no Temporal server answers at {address} ({_innermost(error)}): {OTHERWISE}"


def _innermost(error: str) -> str:
    """The message nests its causes; the innermost one tells a person something."""
    causes = re.findall(r'(?:message|error): "([^"]+)"', error)
    return causes[-1] if causes else " ".join(error.split())


def _date(error: str) -> str:
    at = re.search(r"not_after: UnixTime\((\d+)\)", error)
    return f" on {datetime.fromtimestamp(int(at[1]), UTC):%Y-%m-%d}" if at else ""
